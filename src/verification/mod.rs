//! Verification of a presented API key. The order of its steps is a security property, so it exists here, once, for
//! every endpoint and the command:
//!
//! 1. open the sealed key: shape, realm, version, seal, times, revocation, address, audience;
//! 2. reject what cannot be distinguished from revoked, where the revocation log is stale;
//! 3. check the secret half;
//! 4. open again: while a hash was computed the key may have expired, or been revoked;
//! 5. the scopes, and staleness again, as nothing is accepted without.
//!
//! A text that is not the text of a sealed key is looked up among the imported keys, and takes the same steps: first
//! those that memory finds at once, and then those that slow digests find, which may reject what the first ones accept.
//! Where none of them is the text, the old systems are asked.
//!
//! The core is pure: it takes what is known at one moment, and returns a [`Step`]. It never waits. Stored hashes and slow
//! digests take a store, memory and time, and an old system is elsewhere. So the core asks with a [`Pending`], and a
//! shell answers: the service's asynchronously, the command's on its own thread.

mod accepted;
mod digest_search;
mod ending;
mod imported;
mod imported_keys;
mod old_system;
mod presented;
mod stale;
mod unknown;
mod wanted;

#[cfg(test)]
mod many_sets_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod unknown_tests;

use std::ops::ControlFlow;

use bulla::{ApiKey, ApiKeyId, Opened, Realm, Rejection, SecretCheck, Verifier, VerifyError, keyring::KeyVersion};

pub(crate) use self::{
    accepted::Accepted,
    digest_search::DigestSearch,
    ending::{EndingError, Ids, PendingIds, decide_ending},
    imported_keys::{ImportedKeysError, importing_realms, read_imported_keys},
    old_system::{Learned, OldSystem},
    presented::{halves, is_nearly_a_key, meant},
    stale::Stale,
    unknown::{PendingDigest, PendingOldSystem},
    wanted::Wanted,
};
use crate::imported::{Candidate, ImportedKeys};

/// What a verification ends with.
pub(crate) type Verdict = Result<Accepted, VerifyError>;

/// What keys are verified by, at one moment.
#[derive(Clone, Copy)]
pub(crate) struct VerifierState<'s> {
    pub(crate) verifier: &'s Verifier,
    /// The realms whose revocations are older than the configuration allows.
    pub(crate) stale: &'s Stale,
    pub(crate) imported: &'s ImportedKeys,
    /// The realms that accept imported keys.
    pub(crate) importing: &'s [Realm],
    /// Whom to ask about keys that nobody imported.
    pub(crate) old_systems: &'s [OldSystem],
    /// Key versions that exist, and whose keys are missing here: an edge has no new export yet.
    pub(crate) missing: &'s [(Realm, KeyVersion)],
}

/// What comes next.
pub(crate) enum Step<T, P> {
    /// The result.
    Done(T),
    /// The shell answers the question of this, and has it go on.
    Ask(P),
}

/// A verification that waits for an answer. Each kind goes on with an answer of its own.
pub(crate) enum Pending {
    /// Stored hashes tell.
    Hash(PendingHash),
    /// Slow digests may find one more key that is the text.
    Digest(Box<PendingDigest>),
    /// No key on record is the text, and an old system may know the text.
    OldSystem(Box<PendingOldSystem>),
}

/// A verification that waits for a stored hash.
pub(crate) enum PendingHash {
    SecretHalf(SecretCheck),
    Imported(Box<imported::Search>),
}

/// What only stored hashes answer.
pub(crate) enum Question<'q> {
    /// Is the presented secret half right?
    SecretHalf(&'q SecretCheck),
    /// Is the text this key, which holds otherwise?
    Imported(&'q Candidate),
    /// Is the text this key, which may have been revoked or have expired?
    EndedImported(&'q Candidate),
}

/// What the shell found out of a [`Question`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    Right,
    Wrong,
    /// The key was revoked, or expired, before its hash was computed.
    Ended(Rejection),
    CouldNotTell,
}

impl VerifierState<'_> {
    /// The one place where a key is accepted.
    #[inline(always)]
    fn accept(&self, accepted: Accepted) -> Verdict {
        if self.stale.covers(accepted.id().realm()) { Err(VerifyError::Stale) } else { Ok(accepted) }
    }

    /// Returns whether the text names a key version that is only unknown here.
    fn is_missing(&self, text: &str) -> bool {
        let names = |id: ApiKeyId| {
            self.missing.iter().any(|(realm, version)| (*realm, version.number()) == (id.realm(), id.version()))
        };
        !self.missing.is_empty() && text.parse::<ApiKey>().is_ok_and(|key| names(key.id()))
    }
}

/// Begins to verify `text` at `now`, in Unix seconds.
#[inline]
pub(crate) fn decide(state: &VerifierState<'_>, text: &str, wanted: &Wanted, now: u64) -> Step<Verdict, Pending> {
    decide_opened(state, text, wanted, now, wanted.open(state.verifier, text, now))
}

/// Begins to verify many texts at `now`; `each` gets the first step of every one, in their order, until it breaks.
pub(crate) fn decide_batch<'t>(
    state: &VerifierState<'_>,
    texts: impl Iterator<Item = &'t str> + Clone,
    wanted: &Wanted,
    now: u64,
    mut each: impl FnMut(&'t str, Step<Verdict, Pending>) -> ControlFlow<()>,
) {
    let (mut same, mut flow) = (texts.clone(), ControlFlow::Continue(()));
    wanted.open_batch(state.verifier, texts, now, |opened| {
        if let (Some(text), ControlFlow::Continue(())) = (same.next(), flow) {
            flow = each(text, decide_opened(state, text, wanted, now, opened));
        }
    });
}

/// Inlined, as an accepted key takes so much room that every call would copy it.
#[inline(always)]
fn decide_opened(
    state: &VerifierState<'_>,
    text: &str,
    wanted: &Wanted,
    now: u64,
    opened: Result<Opened, VerifyError>,
) -> Step<Verdict, Pending> {
    match opened {
        Ok(Opened::Verified(verified)) => Step::Done(state.accept(Accepted::Sealed(verified))),
        // Before the hash, which costs much and would decide nothing.
        Ok(Opened::Secret(check)) if state.stale.covers(check.id().realm()) => Step::Done(Err(VerifyError::Stale)),
        Ok(Opened::Secret(check)) => Step::Ask(Pending::Hash(PendingHash::SecretHalf(check))),
        Err(VerifyError::Rejected(rejection @ (Rejection::Malformed | Rejection::Checksum))) => {
            imported::decide(state, text, wanted, now, rejection)
        }
        // It may be a good key: a verifier that has the version can tell.
        Err(VerifyError::Rejected(Rejection::VersionUnknown)) if state.is_missing(text) => {
            Step::Done(Err(VerifyError::Stale))
        }
        Err(error) => Step::Done(Err(error)),
    }
}

impl PendingHash {
    /// What the shell is to find out.
    pub(crate) fn question(&self) -> Question<'_> {
        match self {
            PendingHash::SecretHalf(check) => Question::SecretHalf(check),
            PendingHash::Imported(search) => search.question(),
        }
    }

    /// Goes on with what it found out. `state` and `now` are those of this moment: what was revoked while the shell
    /// waited must not be accepted.
    pub(crate) fn resume(
        self,
        checked: Checked,
        state: &VerifierState<'_>,
        wanted: &Wanted,
        now: u64,
    ) -> Step<Verdict, Pending> {
        let check = match self {
            PendingHash::SecretHalf(check) => check,
            PendingHash::Imported(search) => return search.resume(checked, state, wanted, now),
        };
        Step::Done(match checked {
            Checked::Right => {
                let verified = wanted.accept(check, state.verifier, now);
                verified.and_then(|verified| state.accept(Accepted::Sealed(verified)))
            }
            Checked::Wrong => Err(Rejection::SecretWrong.into()),
            Checked::Ended(rejection) => Err(rejection.into()),
            Checked::CouldNotTell => Err(VerifyError::SecretUnchecked),
        })
    }
}
