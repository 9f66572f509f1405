//! A verifier that every request reads and few replace: whoever loads keyrings, and whoever follows what is taken back.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;

use crate::{
    expectations::Expectations,
    key_version::KeyVersion,
    rejection::VerifyError,
    revocation::Revocations,
    verifier::{Verified, Verifier},
};

/// A handle on the [`Verifier`] of the moment (features `tower` and `follow`). Its clones are handles on the same one.
///
/// Two may replace it, and neither undoes what the other did: [`SharedVerifier::store`] brings a keyring that was loaded
/// anew, [`SharedVerifier::set_revocations`] what is revoked. Readers take no lock and wait for nobody.
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
/// // What is revoked stays so when a keyring is loaded anew.
/// shared.set_revocations([api_key.id()].into_iter().collect::<Revocations>().into(), &[], Some(now + 60));
/// shared.store(Verifier::new(keyring));
/// let refused = shared.verify(api_key.expose(), &expected, now);
/// assert_eq!(refused.err(), Some(VerifyError::Rejected(Rejection::Revoked)));
///
/// // Nothing new came in time: what is revoked now, nobody knows.
/// shared.set_revocations(Arc::default(), &[], Some(now + 60));
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
    /// Unix seconds; none for no limit.
    fresh_until: Option<u64>,
}

/// What `Current` is made of.
struct Parts {
    loaded: Verifier,
    taken_back: Option<TakenBack>,
}

struct TakenBack {
    revocations: Arc<Revocations>,
    refused: Vec<KeyVersion>,
    fresh_until: Option<u64>,
}

impl SharedVerifier {
    /// A handle on `verifier`.
    pub fn new(verifier: Verifier) -> Self {
        let current = ArcSwap::from_pointee(Current { verifier: verifier.clone(), fresh_until: None });
        SharedVerifier(Arc::new(Shared { current, parts: Mutex::new(Parts { loaded: verifier, taken_back: None }) }))
    }

    /// Puts in the verifier of a keyring that was loaded anew. What [`SharedVerifier::set_revocations`] said last goes on to hold,
    /// in the place of revocations that `verifier` brings itself.
    pub fn store(&self, verifier: Verifier) {
        self.change(|parts| parts.loaded = verifier);
    }

    /// Says what is taken back: the revocations and the key versions that are refused, in the place of what was said before.
    /// Past `fresh_until`, in Unix seconds, no key is accepted any more until it is said again: its state is
    /// [`VerifyError::Stale`]. `None` sets no limit.
    pub fn set_revocations(&self, revocations: Arc<Revocations>, refused: &[KeyVersion], fresh_until: Option<u64>) {
        let refused = refused.to_vec();
        self.change(|parts| parts.taken_back = Some(TakenBack { revocations, refused, fresh_until }));
    }

    /// Verifies `text` at `now`, in Unix seconds, as [`Verifier::verify`] does. Staleness comes last: a key that is refused
    /// anyway is refused.
    pub fn verify(&self, text: &str, expected: &Expectations<'_>, now: u64) -> Result<Verified, VerifyError> {
        let current = self.0.current.load();
        let verified = current.verifier.verify(text, expected, now)?;
        match current.fresh_until {
            Some(until) if now > until => Err(VerifyError::Stale),
            _ => Ok(verified),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Parts)) {
        let mut parts = self.0.parts.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut parts);
        self.0.current.store(Arc::new(parts.current()));
    }
}

impl Parts {
    fn current(&self) -> Current {
        let Some(TakenBack { revocations, refused, fresh_until }) = &self.taken_back else {
            return Current { verifier: self.loaded.clone(), fresh_until: None };
        };
        let verifier = self.loaded.with_revocations(Arc::clone(revocations)).refusing(refused);
        Current { verifier, fresh_until: *fresh_until }
    }
}

impl fmt::Debug for SharedVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.0.current.load();
        let mut shown = f.debug_struct("SharedVerifier");
        shown.field("verifier", &current.verifier).field("fresh_until", &current.fresh_until).finish()
    }
}
