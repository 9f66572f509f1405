//! A key of which only the secret half is left to check, between the seal and the hash.

use std::fmt;

use uuid::Uuid;
use zeroize::Zeroizing;

use super::{Verified, Verifier};
use crate::{
    api_key::{
        ApiKeyId,
        text::{Parts, SECRET_BYTES},
    },
    expectations::Expectations,
    rejection::{Rejection, VerifyError},
    secret::{Pepper, SealBinding, SecretDigest, SecretHash, SecretHashError},
};

/// The result of [`Verifier::open`] for a key that was not rejected. Exhaustive on purpose: no step may be passed over.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "in a box an accepted key would be allocated")]
pub enum Opened {
    /// An accepted key: it has no secret half, and its realm requires none.
    Verified(Verified),
    /// A key of which only the secret half is left to check, and the scopes after it.
    Secret(SecretCheck),
}

/// A genuine key, in time, not revoked and for this caller, whose secret half is still to be checked. It borrows
/// nothing, so that it can wait for a slow hash on another thread. Wiped when dropped.
///
/// Nothing is accepted until [`SecretCheck::accept`]. Where no stored hash matches, the verdict is
/// [`Rejection::SecretWrong`]; where one cannot be used, [`VerifyError::SecretUnchecked`].
pub struct SecretCheck(Box<Pending>);

struct Pending {
    verified: Verified,
    secret: Zeroizing<[u8; SECRET_BYTES]>,
    bound_to: SealBinding,
}

impl SecretCheck {
    pub(crate) fn new(verified: Verified, parts: &Parts<'_>) -> Result<Self, Rejection> {
        let secret = parts.secret_half().ok_or(Rejection::Malformed)?;
        Ok(SecretCheck(Box::new(Pending { verified, secret, bound_to: SealBinding::of(parts) })))
    }

    /// The API-key id, under which the hashes are stored.
    pub fn id(&self) -> ApiKeyId {
        self.0.verified.id()
    }

    /// The app the key belongs to.
    pub fn app_id(&self) -> Uuid {
        self.0.verified.app_id()
    }

    /// Returns whether all but the secret half still holds at `now`. A caller that waited for a hash asks again.
    pub fn holds(&self, verifier: &Verifier, now: u64) -> Result<(), Rejection> {
        verifier.check_again(&self.0.verified, now)
    }

    /// What the presented secret half hashes to under `pepper`.
    pub fn digest(&self, pepper: &Pepper) -> SecretDigest {
        pepper.digest(&self.0.secret, &self.0.bound_to)
    }

    /// Returns whether one of `hashes`, all that are stored for this id, is that of the presented secret half. It takes
    /// the time and memory of the hashes. An error is neither: none matched, and one could not be checked.
    pub fn matches(&self, hashes: &[SecretHash], peppers: &[Pepper]) -> Result<bool, SecretHashError> {
        let mut unchecked = None;
        for stored in hashes {
            let version = stored.pepper_version();
            let pepper = peppers.iter().find(|pepper| pepper.version() == version);
            let matches = pepper
                .ok_or(SecretHashError::PepperMissing(version))
                .and_then(|pepper| stored.matches(&self.digest(pepper)));
            match matches {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => unchecked = Some(error),
            }
        }
        unchecked.map_or(Ok(false), Err)
    }

    /// Accepts the key after a stored hash matched, and never otherwise. While a hash was computed the key may have
    /// expired, been revoked, or its version compromised: so that it does not come back, `verifier` and `now` are those
    /// of this moment, and not those that opened it. The scopes are judged last.
    pub fn accept(self, verifier: &Verifier, expected: &Expectations<'_>, now: u64) -> Result<Verified, VerifyError> {
        let verified = self.0.verified;
        verifier.check_again(&verified, now)?;
        verified.granting(expected)
    }
}

impl fmt::Debug for SecretCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretCheck({}…)", self.id())
    }
}
