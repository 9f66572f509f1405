//! A verifier that every request reads and that is replaced now and then: by new keyrings, and by new revocations.

use std::{
    fmt,
    ops::RangeInclusive,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;

#[cfg(feature = "gateway")]
use crate::verifier::Accepted;
use crate::{
    expectations::Expectations,
    key_version::KeyVersion,
    realm::Realm,
    rejection::VerifyError,
    revocation::Revocations,
    verifier::{Opened, SecretCheck, Verified, Verifier},
};

/// A handle on the [`Verifier`] of the moment (features `tower` and `follow`). Its clones are handles on the same one.
///
/// Two calls replace it, and neither undoes the other: [`SharedVerifier::store`] brings a keyring that was loaded anew,
/// [`SharedVerifier::set_revocations`] the revocations. Readers take no lock and never wait.
///
/// ```
/// use std::sync::Arc;
///
/// use bulla::{Expectations, Rejection, SharedVerifier, Verifier, VerifyError, revocation::Revocations};
/// # mod fixture { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/fixture.rs")); }
/// # let (fixture, now) = (fixture::Fixture::new(), fixture::NOW);
/// # let (realms, keyring, api_key) = ([fixture.live], &fixture.keyring, fixture.issue());
///
/// let shared = SharedVerifier::new(Verifier::new(keyring));
/// let expected = Expectations::realms(&realms);
/// assert!(shared.verify(api_key.expose(), &expected, now).is_ok());
///
/// // Revocations stay in force when a keyring is loaded anew.
/// shared.set_revocations([api_key.id()].into_iter().collect::<Revocations>().into(), &[], Some(now..=now + 60));
/// shared.store(Verifier::new(keyring));
/// let refused = shared.verify(api_key.expose(), &expected, now);
/// assert_eq!(refused.err(), Some(VerifyError::Rejected(Rejection::Revoked)));
///
/// // Nothing new came in time: the revocations are stale.
/// shared.set_revocations(Arc::default(), &[], Some(now..=now + 60));
/// assert_eq!(shared.verify(api_key.expose(), &expected, now + 61).err(), Some(VerifyError::Stale));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SharedVerifier(Arc<Shared>);

struct Shared {
    current: ArcSwap<Current>,
    parts: Mutex<Parts>,
}

/// What a request reads.
struct Current {
    verifier: Verifier,
    fresh: Fresh,
}

/// When keys are accepted, in Unix seconds.
#[derive(Clone, Debug)]
pub(crate) enum Fresh {
    Always,
    Within(RangeInclusive<u64>),
    /// Each realm has times of its own. Keys of any other are not accepted.
    #[cfg(feature = "gateway")]
    Realms(Box<[(Realm, RangeInclusive<u64>)]>),
}

/// What `Current` is made of.
struct Parts {
    loaded: Verifier,
    revoked: Option<RevocationState>,
}

struct RevocationState {
    revocations: Arc<Revocations>,
    refused: Vec<KeyVersion>,
    fresh: Fresh,
}

impl SharedVerifier {
    /// A handle on `verifier`.
    pub fn new(verifier: Verifier) -> Self {
        let current = ArcSwap::from_pointee(Current { verifier: verifier.clone(), fresh: Fresh::Always });
        SharedVerifier(Arc::new(Shared { current, parts: Mutex::new(Parts { loaded: verifier, revoked: None }) }))
    }

    /// Replaces the verifier after a keyring was loaded anew. The last [`SharedVerifier::set_revocations`] stays in
    /// force, in the place of the revocations in `verifier`.
    pub fn store(&self, verifier: Verifier) {
        self.change(|parts| parts.loaded = verifier);
    }

    /// Replaces the revocations and the refused key versions. Outside of `fresh`, in Unix seconds, no key is accepted
    /// ([`VerifyError::Stale`]) until the next call. `None` sets no limit.
    pub fn set_revocations(
        &self,
        revocations: Arc<Revocations>,
        refused: &[KeyVersion],
        fresh: Option<RangeInclusive<u64>>,
    ) {
        self.follow(revocations, refused, fresh.map_or(Fresh::Always, Fresh::Within));
    }

    /// The same, where realms may have limits of their own.
    pub(crate) fn follow(&self, revocations: Arc<Revocations>, refused: &[KeyVersion], fresh: Fresh) {
        let refused = refused.to_vec();
        self.change(|parts| parts.revoked = Some(RevocationState { revocations, refused, fresh }));
    }

    /// Verifies `text` at `now`, in Unix seconds, as [`Verifier::verify`] does. Staleness comes last: a key that is
    /// rejected anyway is rejected.
    pub fn verify(&self, text: &str, expected: &Expectations<'_>, now: u64) -> Result<Verified, VerifyError> {
        let current = self.0.current.load();
        let verified = current.verifier.verify(text, expected, now)?;
        current.check_fresh(verified.id().realm(), now)?;
        Ok(verified)
    }

    /// Verifies the text as [`Verifier::verify_in_place`] does, and hands it to `accept` if it holds.
    #[cfg(feature = "gateway")]
    #[inline]
    pub(crate) fn verify_in_place<R>(
        &self,
        text: &[u8],
        expected: &Expectations<'_>,
        now: u64,
        accept: impl FnOnce(&Accepted<'_>) -> R,
    ) -> Result<R, VerifyError> {
        let current = self.0.current.load();
        current.verifier.verify_in_place(text, expected, now, |accepted| {
            current.check_fresh(accepted.id().realm(), now)?;
            Ok(accept(accepted))
        })
    }

    /// The same for many texts; `each` hears of every one, in their order.
    #[cfg(feature = "capi")]
    pub(crate) fn verify_batch_in_place<'t>(
        &self,
        texts: impl Iterator<Item = &'t [u8]>,
        expected: &Expectations<'_>,
        now: u64,
        mut each: impl FnMut(&'t [u8], Result<&Accepted<'_>, VerifyError>),
    ) {
        let current = self.0.current.load();
        current.verifier.verify_batch_in_place(texts, expected, now, |text, key| {
            each(text, key.and_then(|key| current.check_fresh(key.id().realm(), now).map(|()| key)));
        });
    }

    /// Opens `text` as [`Verifier::open`] does, for a caller that has the hashes of secret halves. Staleness comes
    /// before the secret half; [`SharedVerifier::accept`] ends the check of one.
    pub fn open(&self, text: &str, expected: &Expectations<'_>, now: u64) -> Result<Opened, VerifyError> {
        let current = self.0.current.load();
        let opened = current.verifier.open(text, expected, now)?;
        let id = match &opened {
            Opened::Verified(verified) => verified.id(),
            Opened::Secret(check) => check.id(),
        };
        current.check_fresh(id.realm(), now)?;
        Ok(opened)
    }

    /// Accepts a key after a stored hash matched, as [`SecretCheck::accept`] does, by the verifier of this moment.
    pub fn accept(&self, check: SecretCheck, expected: &Expectations<'_>, now: u64) -> Result<Verified, VerifyError> {
        let current = self.0.current.load();
        let verified = check.accept(&current.verifier, expected, now)?;
        current.check_fresh(verified.id().realm(), now)?;
        Ok(verified)
    }

    /// The verifier of this moment. Staleness is not in it.
    pub fn verifier(&self) -> Verifier {
        self.0.current.load().verifier.clone()
    }

    fn change(&self, change: impl FnOnce(&mut Parts)) {
        let mut parts = self.0.parts.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut parts);
        self.0.current.store(Arc::new(parts.current()));
    }
}

impl Current {
    #[cfg_attr(not(feature = "gateway"), allow(unused_variables, reason = "one limit holds for all realms"))]
    fn check_fresh(&self, realm: Realm, now: u64) -> Result<(), VerifyError> {
        let fresh = match &self.fresh {
            Fresh::Always => return Ok(()),
            Fresh::Within(fresh) => Some(fresh),
            #[cfg(feature = "gateway")]
            Fresh::Realms(realms) => realms.iter().find(|(one, _)| *one == realm).map(|(_, fresh)| fresh),
        };
        if fresh.is_some_and(|fresh| fresh.contains(&now)) { Ok(()) } else { Err(VerifyError::Stale) }
    }
}

impl Parts {
    fn current(&self) -> Current {
        let Some(RevocationState { revocations, refused, fresh }) = &self.revoked else {
            return Current { verifier: self.loaded.clone(), fresh: Fresh::Always };
        };
        let verifier = self.loaded.with_revocations(Arc::clone(revocations)).refusing(refused);
        Current { verifier, fresh: fresh.clone() }
    }
}

impl fmt::Debug for SharedVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.0.current.load();
        let mut shown = f.debug_struct("SharedVerifier");
        shown.field("verifier", &current.verifier).field("fresh", &current.fresh).finish()
    }
}
