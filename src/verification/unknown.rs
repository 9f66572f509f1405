//! Texts that no key in memory is found for at once: slow digests find some of them, and old systems know others.

use bulla::{ApiKey, Rejection, VerifyError};

use super::{
    DigestSearch, Learned, OldSystem, Pending, Step, Verdict, VerifierState, Wanted, digest_search::Digested, imported,
};

/// What is still to be done about such a text when slow digests do not find it.
struct Unknown {
    /// The verdict if nobody knows the text.
    rejection: Rejection,
    /// The old systems to ask; the last one is next.
    old_systems: Vec<OldSystem>,
    all_answered: bool,
}

/// A verification that waits for a slow digest of its text.
pub(crate) struct PendingDigest {
    search: DigestSearch,
    unknown: Unknown,
}

/// A verification that waits for an old system.
pub(crate) struct PendingOldSystem {
    asked: OldSystem,
    unknown: Unknown,
}

/// Begins to look for a text that is rejected for `rejection` otherwise.
pub(super) fn decide(
    state: &VerifierState<'_>,
    text: &str,
    wanted: &Wanted,
    rejection: Rejection,
) -> Step<Verdict, Pending> {
    let is_sought = !state.old_systems.is_empty() || state.imported.has_slow_digests();
    if !is_sought || text.parse::<ApiKey>().is_ok() {
        return Step::Done(Err(rejection.into()));
    }
    let old_systems = OldSystem::to_ask(state.old_systems, &wanted.realms, text);
    let unknown = Unknown { rejection, old_systems, all_answered: true };
    match DigestSearch::begin(state.imported, text) {
        Some(search) => PendingDigest { search, unknown }.ask(),
        None => unknown.ask(),
    }
}

impl Unknown {
    /// Asks the next old system.
    fn ask(mut self) -> Step<Verdict, Pending> {
        match self.old_systems.pop() {
            Some(asked) => Step::Ask(Pending::OldSystem(Box::new(PendingOldSystem { asked, unknown: self }))),
            None if self.all_answered => Step::Done(Err(self.rejection.into())),
            None => Step::Done(Err(VerifyError::SecretUnchecked)),
        }
    }
}

impl PendingDigest {
    fn ask(self) -> Step<Verdict, Pending> {
        Step::Ask(Pending::Digest(Box::new(self)))
    }

    /// What the shell is to hash.
    pub(crate) fn search(&self) -> &DigestSearch {
        &self.search
    }

    /// Goes on with the digest, in the state of this moment; `None` where it could not be computed.
    pub(crate) fn resume(
        self,
        digest: Option<&[u8]>,
        state: &VerifierState<'_>,
        wanted: &Wanted,
        now: u64,
    ) -> Step<Verdict, Pending> {
        let PendingDigest { search, unknown } = self;
        match search.resume(digest) {
            Digested::More(search) => PendingDigest { search, unknown }.ask(),
            Digested::All { found, .. } if !found.is_empty() => imported::decide_found(state, found, wanted, now),
            // It may be one of these keys, of which no old system has to be asked.
            Digested::All { all_tried: false, .. } => Step::Done(Err(VerifyError::SecretUnchecked)),
            Digested::All { .. } => unknown.ask(),
        }
    }
}

impl PendingOldSystem {
    /// Which old system the shell is to ask about the text.
    pub(crate) fn old_system(&self) -> &OldSystem {
        &self.asked
    }

    /// Goes on with its answer, in the state of this moment.
    pub(crate) fn resume(
        mut self,
        learned: Learned,
        state: &VerifierState<'_>,
        text: &str,
        wanted: &Wanted,
        now: u64,
    ) -> Step<Verdict, Pending> {
        match learned {
            Learned::Known => {
                return imported::decide_recorded(state, text, wanted, now, self.unknown.rejection);
            }
            Learned::Unknown => {}
            Learned::CouldNotTell => self.unknown.all_answered = false,
        }
        self.unknown.ask()
    }
}
