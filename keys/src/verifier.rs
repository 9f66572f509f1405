//! The verifier: a pure function of text, snapshot and now. No I/O, no lock; no allocation for a key without claims.

use std::sync::Arc;

use uuid::Uuid;

use crate::{
    ApiKeyId, Claims, Expectations, Keyring, Realm, Rejection, Revocations, VerifyError,
    api_key::{self, text::Parts},
    keyring::RealmKeys,
    payload::{InTime, Payload},
};

/// Verifies API keys under one keyring and one state of the revocations.
///
/// Cheap to clone and to share; whoever owns it swaps in a new one when keyring or revocations change.
#[derive(Clone, Debug)]
pub struct Verifier {
    realms: Arc<[RealmKeys]>,
    revocations: Arc<Revocations>,
}

/// An API key that holds: genuine, in time, not revoked, and as the caller expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    id: ApiKeyId,
    payload: Payload,
    claims: Option<Box<Claims>>,
}

impl Verifier {
    /// A verifier for the realms that the keyring was loaded for, with nothing revoked.
    pub fn new(keyring: &Keyring) -> Self {
        Verifier { realms: Arc::clone(&keyring.realms), revocations: Arc::default() }
    }

    /// The same verifier with other revocations.
    #[must_use]
    pub fn with_revocations(&self, revocations: Arc<Revocations>) -> Self {
        Verifier { realms: Arc::clone(&self.realms), revocations }
    }

    /// Verifies `text` at `now`, in Unix seconds: shape and checksum, realm, version, seal, times, revocation, address,
    /// audience, secret half, scope, in this order.
    pub fn verify(&self, text: &str, expected: &Expectations<'_>, now: u64) -> Result<Verified, VerifyError> {
        let parts = Parts::split(text)?;
        let mut buffer = [0; _];
        let (id, sealed) = parts.body(&mut buffer)?;
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

        // Only memory is fetched here; what it says counts after the seal.
        let sought = (!self.revocations.is_blank()).then(|| self.revocations.seek(realm, id));
        let plaintext = key.open(nonce, sealed).map_err(|_| Rejection::Seal)?;
        let (payload, claims) = Payload::decode(plaintext).ok_or(Rejection::Claims)?;
        let claims = match claims {
            [] => None,
            bytes => Some(Box::new(Claims::from_cbor(bytes)?)),
        };

        match payload.in_time(claims.as_ref().and_then(|claims| claims.not_before()), now) {
            InTime::Yes => {}
            InTime::NotYet => return Err(Rejection::NotYetValid.into()),
            InTime::Expired => return Err(Rejection::Expired.into()),
        }
        if sought.is_some_and(|sought| self.revocations.has(&sought, id, payload.app_id, payload.issued_at)) {
            return Err(Rejection::Revoked.into());
        }
        clear(claims.as_deref(), parts.secret.is_some(), expected)?;
        Ok(Verified { id: ApiKeyId::new(*realm, *id), payload, claims })
    }
}

/// Holds a genuine key to what the caller expects: address, audience, secret half, and scope last, so that only a key
/// that is good otherwise ever hears of scopes.
fn clear(claims: Option<&Claims>, has_secret: bool, expected: &Expectations<'_>) -> Result<(), VerifyError> {
    if claims.is_some_and(|claims| !claims.is_from(expected.address)) {
        return Err(Rejection::Address.into());
    }
    if claims.is_some_and(|claims| !claims.is_for(expected.audience)) {
        return Err(Rejection::Audience.into());
    }
    match (claims.is_some_and(Claims::has_secret), has_secret) {
        (false, false) => {}
        (true, false) => return Err(Rejection::SecretMissing.into()),
        (false, true) => return Err(Rejection::SecretSurplus.into()),
        (true, true) => return Err(VerifyError::SecretUnchecked),
    }
    let granted = match claims {
        Some(claims) => claims.grants(expected.scopes),
        None => expected.scopes.is_empty(),
    };
    if granted { Ok(()) } else { Err(Rejection::Scope.into()) }
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
}
