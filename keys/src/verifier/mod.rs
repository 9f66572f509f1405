//! The verifier: a pure function of text, snapshot and now. No I/O, no lock, no allocation.

#[cfg(feature = "gateway")]
mod accepted;
mod batch;
mod secret_check;
mod verified;

use std::sync::Arc;

#[cfg(feature = "gateway")]
pub(crate) use self::accepted::Accepted;
use self::verified::SealedClaims;
pub use self::{
    secret_check::{Opened, SecretCheck},
    verified::Verified,
};
#[cfg(feature = "follow")]
use crate::keyring::ExportedKeyring;
use crate::{
    api_key::{
        self,
        text::{ID_BYTES, Parts},
    },
    claims::View,
    expectations::Expectations,
    key_version::KeyVersion,
    keyring::{Keyring, RealmKeys},
    payload::{MIN_BYTES, Payload},
    realm::Realm,
    rejection::{Rejection, VerifyError},
    revocation::Revocations,
    seal::SealKey,
    vector::Body,
};

/// Verifies API keys under one keyring and one state of the revocations.
///
/// Cheap to clone and to share; its owner swaps in a new one when keyring or revocations change.
#[derive(Clone, Debug)]
pub struct Verifier {
    realms: Arc<[RealmKeys]>,
    revocations: Arc<Revocations>,
    /// Realms whose keys need a secret half.
    requiring: Arc<[Realm]>,
}

/// What is left to judge of a key that is genuine, in time, not revoked, and for this caller.
enum Left<'t> {
    /// Whether it has the scopes, which is looked at last.
    Scope { granted: bool },
    /// First a secret half, which the key should have and has not.
    SecretRequired,
    /// First the secret half.
    Secret(Parts<'t>),
}

/// A key of which all but this is judged. What is copied of it is copied once, to where the caller has it.
struct Judged<'e, 't> {
    realm: &'e Realm,
    id: &'t [u8; ID_BYTES],
    fixed: &'t [u8; MIN_BYTES],
    /// The claims' bytes, and what was read from them.
    sealed: &'t [u8],
    #[cfg_attr(not(feature = "gateway"), allow(dead_code, reason = "a gate reads them in place"))]
    claims: View<'t>,
    left: Left<'t>,
}

impl Judged<'_, '_> {
    #[inline(always)]
    fn payload(&self) -> Payload {
        Payload::read(self.fixed)
    }

    #[inline(always)]
    fn verified(&self) -> Verified {
        let claims = SealedClaims::new(self.sealed);
        Verified { realm: *self.realm, id: *self.id, payload: self.payload(), claims }
    }

    /// The verdict of a caller that has no hashes of secret halves.
    #[inline(always)]
    fn check_without_secret(&self) -> Result<(), VerifyError> {
        match self.left {
            Left::Scope { granted: true } => Ok(()),
            Left::Scope { granted: false } => Err(Rejection::Scope.into()),
            Left::SecretRequired | Left::Secret(_) => Err(VerifyError::SecretUnchecked),
        }
    }

    /// The accepted key of a caller that has no hashes of secret halves.
    #[inline(always)]
    fn without_secret(&self) -> Result<Verified, VerifyError> {
        self.check_without_secret()?;
        // Apart, so that the room for claims is not copied where there are none.
        if self.sealed.is_empty() {
            return Ok(Verified { realm: *self.realm, id: *self.id, payload: self.payload(), claims: None });
        }
        Ok(self.verified())
    }

    /// The verdict up to the secret half.
    #[inline(always)]
    fn with_secret(self) -> Result<Opened, VerifyError> {
        match &self.left {
            Left::Scope { granted: true } => Ok(Opened::Verified(self.verified())),
            Left::Scope { granted: false } => Err(Rejection::Scope.into()),
            Left::SecretRequired => Err(Rejection::SecretRequired.into()),
            Left::Secret(parts) => Ok(Opened::Secret(SecretCheck::new(self.verified(), parts)?)),
        }
    }
}

/// A text up to its seal, with a body beside it.
struct Read<'v, 'e, 't> {
    parts: Parts<'t>,
    realm: &'e Realm,
    key: &'v SealKey,
    sealed: usize,
}

impl Verifier {
    /// A verifier for the realms that the keyring was loaded for, with nothing revoked.
    pub fn new(keyring: &Keyring) -> Self {
        Verifier { realms: Arc::clone(&keyring.realms), revocations: Arc::default(), requiring: Arc::default() }
    }

    /// A verifier for the realms that an edge has exports of, with nothing revoked. Realms whose exports say so require
    /// secret halves.
    #[cfg(feature = "follow")]
    pub fn of_exports(keyring: &ExportedKeyring) -> Self {
        let (realms, requiring) = (Arc::clone(&keyring.realms), Arc::clone(&keyring.requiring));
        Verifier { realms, revocations: Arc::default(), requiring }
    }

    /// The same verifier with other revocations.
    #[must_use]
    pub fn with_revocations(&self, revocations: Arc<Revocations>) -> Self {
        Verifier { revocations, ..self.clone() }
    }

    /// The same verifier with the revocations of another one.
    #[must_use]
    pub fn with_revocations_of(&self, other: &Verifier) -> Self {
        self.with_revocations(Arc::clone(&other.revocations))
    }

    /// The revocations, for callers that check other keys by the same list.
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// The realms whose API keys it opens.
    pub fn realms(&self) -> impl Iterator<Item = Realm> + '_ {
        self.realms.iter().map(|keys| keys.realm)
    }

    /// The key versions that it opens API keys with, in each of its realms.
    pub fn versions(&self) -> Vec<KeyVersion> {
        let opening = |keys: &RealmKeys| {
            let loaded = keys.versions.iter().filter(|version| version.key.is_some());
            loaded.map(|version| version.record.number).collect::<Vec<_>>()
        };
        let mut realms = self.realms.iter().map(opening);
        let first = realms.next().unwrap_or_default();
        realms.fold(first, |all, here| all.into_iter().filter(|version| here.contains(version)).collect())
    }

    /// The same verifier for realms that require secret halves. It accepts no key of theirs that has none, which is
    /// what stops forgery by someone who has the seal key.
    #[must_use]
    pub fn requiring_secrets(&self, realms: &[Realm]) -> Self {
        Verifier { requiring: realms.into(), ..self.clone() }
    }

    /// The same verifier without the keys of these versions: API keys that name them are
    /// [`Rejection::VersionRefused`]. For versions that a feed names as compromised or destroyed before the changed
    /// keyring is loaded. Call it again after every load of a keyring.
    #[must_use]
    pub fn refusing(&self, versions: &[KeyVersion]) -> Self {
        let realms = self.realms.iter().map(|keys| keys.without(versions)).collect();
        Verifier { realms, ..self.clone() }
    }

    /// Verifies `text` at `now`, in Unix seconds: shape and checksum, realm, version, seal, times, revocation, address,
    /// audience, secret half, scope, in this order. It has no hashes of secret halves, so a key that has one, or whose
    /// realm requires one, is [`VerifyError::SecretUnchecked`]; see [`Verifier::open`].
    pub fn verify(&self, text: &str, expected: &Expectations<'_>, now: u64) -> Result<Verified, VerifyError> {
        self.examine(text.as_bytes(), expected, now, &mut Body::new())?.without_secret()
    }

    /// As [`Verifier::verify`], and hands an accepted key to `accept` where it lies, so that nothing is copied that
    /// nobody wants. The text may be no UTF-8.
    #[cfg(feature = "gateway")]
    #[inline(always)]
    pub(crate) fn verify_in_place<R>(
        &self,
        text: &[u8],
        expected: &Expectations<'_>,
        now: u64,
        accept: impl FnOnce(&Accepted<'_>) -> Result<R, VerifyError>,
    ) -> Result<R, VerifyError> {
        let mut body = Body::new();
        let judged = self.examine(text, expected, now, &mut body)?;
        judged.check_without_secret()?;
        accept(&Accepted::new(text, &judged))
    }

    /// As [`Verifier::verify`], for a caller that has the hashes of secret halves: a key that has one comes back as a
    /// [`SecretCheck`] when all that stands before the secret half in the order holds.
    pub fn open(&self, text: &str, expected: &Expectations<'_>, now: u64) -> Result<Opened, VerifyError> {
        self.examine(text.as_bytes(), expected, now, &mut Body::new()).and_then(Judged::with_secret)
    }

    #[inline(always)]
    fn examine<'e, 't>(
        &self,
        text: &'t [u8],
        expected: &Expectations<'e>,
        now: u64,
        body: &'t mut Body,
    ) -> Result<Judged<'e, 't>, VerifyError> {
        let read = self.read(text, expected, now, body)?;
        if !read.key.open(body, read.sealed) {
            return Err(Rejection::Seal.into());
        }
        self.judge(&read, body, expected, now)
    }

    /// What comes before the seal: shape and checksum, realm, version. Decodes the body.
    #[inline(always)]
    fn read<'e, 't>(
        &self,
        text: &'t [u8],
        expected: &Expectations<'e>,
        now: u64,
        body: &mut Body,
    ) -> Result<Read<'_, 'e, 't>, VerifyError> {
        let parts = Parts::split(text)?;
        let sealed = parts.body(body)?;
        self.find_key(parts, sealed, body, expected, now)
    }

    /// What comes between the body and its seal: realm and version.
    #[inline(always)]
    fn find_key<'e, 't>(
        &self,
        parts: Parts<'t>,
        sealed: usize,
        body: &Body,
        expected: &Expectations<'e>,
        now: u64,
    ) -> Result<Read<'_, 'e, 't>, VerifyError> {
        let id = body.id();
        self.prefetch(body);
        parts.check_secret()?;

        let presumed = parts.presumed_realm();
        let Some(realm) = presumed.and_then(|presumed| expected.realms.iter().find(|realm| presumed.is(realm))) else {
            // The grammar only matters for the reason here: an accepted realm keeps to it.
            return Err(parts.realm().map_or(Rejection::Malformed, |_| Rejection::Realm).into());
        };
        let keys = RealmKeys::find(&self.realms, realm).ok_or(Rejection::Realm)?;
        let (number, _) = api_key::id::split(id);
        let version = keys.version(number).ok_or(Rejection::VersionUnknown)?;
        let key = version.key_at(now).ok_or(Rejection::VersionRefused)?;
        if !key.fits(sealed) {
            return Err(Rejection::Malformed.into());
        }
        Ok(Read { parts, realm, key, sealed })
    }

    /// Asks for the memory of the look-up, which takes longer than all that comes before that.
    #[inline(always)]
    fn prefetch(&self, body: &Body) {
        if !self.revocations.is_blank() {
            self.revocations.prefetch(body.id());
        }
    }

    /// What comes after the seal.
    #[inline(always)]
    fn judge<'e, 't>(
        &self,
        read: &Read<'_, 'e, 't>,
        body: &'t Body,
        expected: &Expectations<'_>,
        now: u64,
    ) -> Result<Judged<'e, 't>, VerifyError> {
        let Read { parts, realm, .. } = read;
        let (fixed, sealed) = Payload::split(read.key.opened(body, read.sealed)).ok_or(Rejection::Claims)?;
        let payload = Payload::read(fixed);
        let mut claims = View::default();
        claims.read(sealed).ok_or(Rejection::Claims)?;
        payload.check_time(claims.not_before(), now)?;
        if !self.revocations.is_blank()
            && self.revocations.is_revoked(realm, body.id(), payload.app_id, payload.issued_at)
        {
            return Err(Rejection::Revoked.into());
        }
        if !claims.is_from(expected.address) {
            return Err(Rejection::Address.into());
        }
        if !claims.is_for(expected.audience) {
            return Err(Rejection::Audience.into());
        }
        let left = match (claims.has_secret(), parts.secret.is_some()) {
            (false, false) if !self.requiring.is_empty() && self.requiring.contains(realm) => Left::SecretRequired,
            (false, false) => Left::Scope { granted: expected.scopes.are_granted_by(&claims) },
            (true, false) => return Err(Rejection::SecretMissing.into()),
            (false, true) => return Err(Rejection::SecretSurplus.into()),
            (true, true) => Left::Secret(*parts),
        };
        Ok(Judged { realm, id: body.id(), fixed, sealed, claims, left })
    }

    /// Returns whether a key that was opened before still holds, by this verifier's keyring and revocations.
    pub(crate) fn check_again(&self, opened: &Verified, now: u64) -> Result<(), Rejection> {
        let (id, Verified { payload, claims, .. }) = (opened.id(), opened);
        let keys = RealmKeys::find(&self.realms, &id.realm()).ok_or(Rejection::Realm)?;
        let version = keys.version(id.version()).ok_or(Rejection::VersionUnknown)?;
        version.key_at(now).ok_or(Rejection::VersionRefused)?;
        payload.check_time(claims.as_ref().and_then(SealedClaims::not_before), now)?;
        if self.revocations.contains(&id, payload.app_id, payload.issued_at) { Err(Rejection::Revoked) } else { Ok(()) }
    }
}
