//! What is looked at behind the keys that memory finds at once: slow digests find some texts, and old systems know
//! others.

use bulla::Realm;

use super::{
    DigestSearch, Learned, OldSystem, Pending, Step, Verdict, VerifierState, Wanted, digest_search::SlowSets,
    imported::Rest,
};

/// What was not looked at yet.
#[derive(Default)]
pub(super) struct Beyond {
    pub(super) slow: SlowSets,
    /// The old systems to ask; the last one is next.
    pub(super) old_systems: Vec<OldSystem>,
    /// Whether an old system did not answer.
    pub(super) is_untold: bool,
    /// Whether an old system has accepted the text, so that it is on record.
    pub(super) is_recorded: bool,
}

/// A verification that waits for a slow digest of its text.
pub(crate) struct PendingDigest {
    search: DigestSearch,
    rest: Rest,
}

/// A verification that waits for an old system.
pub(crate) struct PendingOldSystem {
    asked: OldSystem,
    rest: Rest,
}

impl Beyond {
    pub(super) fn of(state: &VerifierState<'_>, text: &str, wanted: &Wanted) -> Self {
        let old_systems = match state.old_systems {
            [] => Vec::new(),
            all => OldSystem::to_ask(all, &wanted.realms, text),
        };
        Beyond { slow: SlowSets::of(state.imported, text), old_systems, ..Beyond::default() }
    }

    /// Returns whether something is to be looked at: of slow digests those of such realms, and old systems where no row
    /// is the text.
    pub(super) fn remains(&self, on_record: bool, is_sought: impl Fn(Realm) -> bool) -> bool {
        let of_old_systems = self.is_recorded || !self.old_systems.is_empty();
        (of_old_systems && !on_record) || self.slow.remain(is_sought)
    }
}

impl PendingDigest {
    pub(super) fn ask(search: DigestSearch, rest: Rest) -> Step<Verdict, Pending> {
        Step::Ask(Pending::Digest(Box::new(PendingDigest { search, rest })))
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
        let PendingDigest { search, mut rest } = self;
        rest.candidates.extend(rest.beyond.slow.found(search, digest));
        rest.next(state, wanted, now)
    }
}

impl PendingOldSystem {
    pub(super) fn ask(asked: OldSystem, rest: Rest) -> Step<Verdict, Pending> {
        Step::Ask(Pending::OldSystem(Box::new(PendingOldSystem { asked, rest })))
    }

    /// Which old system the shell is to ask about the text.
    pub(crate) fn old_system(&self) -> &OldSystem {
        &self.asked
    }

    /// Goes on with its answer, in the state of this moment.
    pub(crate) fn resume(
        self,
        learned: Learned,
        state: &VerifierState<'_>,
        text: &str,
        wanted: &Wanted,
        now: u64,
    ) -> Step<Verdict, Pending> {
        let mut rest = self.rest;
        match learned {
            Learned::Known => rest.record(state, text),
            Learned::Unknown => {}
            Learned::CouldNotTell => rest.beyond.is_untold = true,
        }
        rest.next(state, wanted, now)
    }
}
