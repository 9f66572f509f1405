//! The verifier: a pure function of text, snapshot and now. No I/O, no lock; no allocation for a key without claims.

mod secret_check;

use std::sync::Arc;

use uuid::Uuid;

pub use self::secret_check::{Opened, SecretCheck};
#[cfg(feature = "follow")]
use crate::keyring::ExportedKeyring;
use crate::{
    api_key::{
        self, ApiKeyId,
        text::{Ahead, Parts},
    },
    claims::Claims,
    expectations::Expectations,
    key_version::KeyVersion,
    keyring::{Keyring, RealmKeys},
    payload::Payload,
    realm::Realm,
    rejection::{Rejection, VerifyError},
    revocation::Revocations,
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

/// An API key that holds: genuine, in time, not revoked, and as the caller expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    id: ApiKeyId,
    payload: Payload,
    claims: Option<Box<Claims>>,
}

/// What is left to judge of a key that is genuine, in time, not revoked, and for this caller.
enum Left<'t> {
    Scope,
    /// First a secret half, which the key should have and has not.
    SecretRequired,
    /// First the secret half.
    Secret(Parts<'t>),
}

impl Verifier {
    /// A verifier for the realms that the keyring was loaded for, with nothing revoked.
    pub fn new(keyring: &Keyring) -> Self {
        Verifier { realms: Arc::clone(&keyring.realms), revocations: Arc::default(), requiring: Arc::default() }
    }

    /// A verifier for the realms that an edge has exports of, with nothing revoked. Realms whose exports say so require secret
    /// halves.
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

    /// The same verifier for realms that require secret halves. It accepts no key of theirs that has none, which is what
    /// stops forgery by someone who has the seal key.
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
        match self.examine(text, expected, now)? {
            (verified, Left::Scope) => verified.granting(expected),
            (_, Left::SecretRequired | Left::Secret(_)) => Err(VerifyError::SecretUnchecked),
        }
    }

    /// As [`Verifier::verify`], for a caller that has the hashes of secret halves: a key that has one comes back as a
    /// [`SecretCheck`] when all that stands before the secret half in the order holds.
    pub fn open(&self, text: &str, expected: &Expectations<'_>, now: u64) -> Result<Opened, VerifyError> {
        match self.examine(text, expected, now)? {
            (verified, Left::Scope) => verified.granting(expected).map(Opened::Verified),
            (_, Left::SecretRequired) => Err(Rejection::SecretRequired.into()),
            (verified, Left::Secret(parts)) => Ok(Opened::Secret(SecretCheck::new(verified, &parts)?)),
        }
    }

    #[inline(always)]
    fn examine<'t>(
        &self,
        text: &'t str,
        expected: &Expectations<'_>,
        now: u64,
    ) -> Result<(Verified, Left<'t>), VerifyError> {
        let ahead = if self.revocations.is_blank() { None } else { self.fetch_ahead(text, expected.realms) };
        let parts = Parts::split(text)?;
        let mut buffer = [0; _];
        let (id, sealed) = parts.body(ahead, &mut buffer)?;
        parts.check_secret()?;

        let Some(realm) = expected.realms.iter().find(|realm| realm.as_slice() == parts.realm.as_bytes()) else {
            // The grammar only matters for the reason here: an accepted realm keeps to it.
            return Err(parts.realm.parse::<Realm>().map_or(Rejection::Malformed, |_| Rejection::Realm).into());
        };
        let keys = self.realms.iter().find(|keys| keys.realm == *realm).ok_or(Rejection::Realm)?;

        let (number, nonce) = api_key::id::split(id);
        let version = keys.version(number).ok_or(Rejection::VersionUnknown)?;
        let key = version.key_at(now).ok_or(Rejection::VersionRefused)?;
        if !version.record.suite.fits(sealed.len()) {
            return Err(Rejection::Malformed.into());
        }

        let plaintext = key.open(nonce, sealed).map_err(|_| Rejection::Seal)?;
        let (payload, claims) = Payload::decode(plaintext).ok_or(Rejection::Claims)?;
        let claims = match claims {
            [] => None,
            bytes => Some(Box::new(Claims::from_cbor(bytes)?)),
        };

        payload.check_time(claims.as_ref().and_then(|claims| claims.not_before()), now)?;
        if !self.revocations.is_blank() && self.revocations.has(realm, id, payload.app_id, payload.issued_at) {
            return Err(Rejection::Revoked.into());
        }
        if claims.as_ref().is_some_and(|claims| !claims.is_from(expected.address)) {
            return Err(Rejection::Address.into());
        }
        if claims.as_ref().is_some_and(|claims| !claims.is_for(expected.audience)) {
            return Err(Rejection::Audience.into());
        }
        let left = match (claims.as_ref().is_some_and(|claims| claims.has_secret()), parts.secret.is_some()) {
            (false, false) if self.requiring.contains(realm) => Left::SecretRequired,
            (false, false) => Left::Scope,
            (true, false) => return Err(Rejection::SecretMissing.into()),
            (false, true) => return Err(Rejection::SecretSurplus.into()),
            (true, true) => Left::Secret(parts),
        };
        Ok((Verified { id: ApiKeyId::new(*realm, *id), payload, claims }, left))
    }

    /// Has the processor fetch what the revocations are going to look at, by what looks like the id. Memory takes longer than
    /// all the rest of a verify, so this comes before anything else; where the text is no key it was in vain.
    // Not inlined, nor is the look-up: they would cost keys something where nothing is revoked at all.
    #[inline(never)]
    fn fetch_ahead(&self, text: &str, realms: &[Realm]) -> Option<Ahead> {
        let ahead = realms.iter().find_map(|realm| Ahead::read(text, realm.as_slice().len()));
        ahead.inspect(|ahead| self.revocations.prefetch(&ahead.id))
    }

    /// Whether a key that was opened before still holds, by this verifier's keyring and revocations.
    pub(crate) fn check_again(&self, opened: &Verified, now: u64) -> Result<(), Rejection> {
        let Verified { id, payload, claims } = opened;
        let keys = self.realms.iter().find(|keys| keys.realm == id.realm()).ok_or(Rejection::Realm)?;
        let version = keys.version(id.version()).ok_or(Rejection::VersionUnknown)?;
        version.key_at(now).ok_or(Rejection::VersionRefused)?;
        payload.check_time(claims.as_ref().and_then(|claims| claims.not_before()), now)?;
        if self.revocations.contains(id, payload.app_id, payload.issued_at) { Err(Rejection::Revoked) } else { Ok(()) }
    }
}

impl Verified {
    /// The API-key id.
    pub fn id(&self) -> ApiKeyId {
        self.id
    }

    /// The app the key belongs to.
    pub fn app_id(&self) -> Uuid {
        self.payload.app_id
    }

    /// When it was issued, in Unix seconds.
    pub fn issued_at(&self) -> u64 {
        self.payload.issued_at.into()
    }

    /// When it expires, in Unix seconds; `None` is never.
    pub fn expires_at(&self) -> Option<u64> {
        (self.payload.expires_at != 0).then(|| self.payload.expires_at.into())
    }

    /// The claims, where it has any.
    pub fn claims(&self) -> Option<&Claims> {
        self.claims.as_deref()
    }

    /// The scopes, none where it has none.
    pub fn scopes(&self) -> &[String] {
        self.claims().map_or(&[], Claims::scopes)
    }

    /// The last step: only a key that passes every other check gets an answer about scopes.
    #[inline(always)]
    pub(crate) fn granting(self, expected: &Expectations<'_>) -> Result<Self, VerifyError> {
        let granted = expected.scopes.are_granted_by(self.claims());
        if granted { Ok(self) } else { Err(Rejection::Scope.into()) }
    }
}
