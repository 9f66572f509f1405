//! Imported keys, in the order of sealed ones: realm, time, revocation, hash, scopes.
//!
//! The same key may have been imported under two rules. So a text may be a key of several sets, and a rejection in one
//! of them beats an acceptance in another one of the same realm. That is why sets with slow digests are searched, too,
//! when another row accepts. Old systems are asked about texts that no row on record is.

use std::{collections::VecDeque, sync::Arc};

use bulla::{ApiKey, ApiKeyId, Realm, Rejection, VerifyError};

use super::{
    Accepted, Checked, Pending, PendingHash, Question, Step, Verdict, VerifierState, Wanted,
    unknown::{Beyond, PendingDigest, PendingOldSystem},
};
use crate::imported::{Candidate, Key};

/// The keys that a text may be, while it is not known which.
pub(crate) struct Search {
    /// What is asked, and what follows.
    asked: Candidate,
    /// Why it was rejected before its hash.
    rejected: Option<Rejection>,
    rest: Rest,
}

/// What is still to be done.
pub(super) struct Rest {
    /// Not looked at yet.
    pub(super) candidates: VecDeque<Candidate>,
    /// Not looked at, as another one was accepted.
    spare: VecDeque<Candidate>,
    /// Rejected before their hashes. Where the text is one of these that was revoked or has expired, it is rejected in
    /// its realm, even if another one would be accepted there.
    rejected: VecDeque<(Candidate, Rejection)>,
    /// Those that a hash showed not to be the text.
    wrong: Vec<ApiKeyId>,
    /// The realms in which the text is a key that has ended.
    ended_in: Vec<Realm>,
    accepted: Option<Arc<Key>>,
    /// The verdict if no key is accepted.
    failed: VerifyError,
    /// Whether memory found rows by the text.
    is_recognized: bool,
    /// Whether the text is a key on record, or may be one that could not be checked.
    on_record: bool,
    /// Whether a row is this text and no other one.
    is_known_key: bool,
    pub(super) beyond: Beyond,
}

/// Begins to verify a text that is no sealed key, for `rejection`.
pub(super) fn decide(
    state: &VerifierState<'_>,
    text: &str,
    wanted: &Wanted,
    now: u64,
    rejection: Rejection,
) -> Step<Verdict, Pending> {
    let has_none = state.imported.len() == 0 && state.old_systems.is_empty();
    if has_none || text.parse::<ApiKey>().is_ok() {
        return Step::Done(Err(rejection.into()));
    }
    let candidates: VecDeque<_> = state.imported.recognize(text).into();
    let rest = Rest {
        is_recognized: !candidates.is_empty(),
        candidates,
        spare: VecDeque::new(),
        rejected: VecDeque::new(),
        wrong: Vec::new(),
        ended_in: Vec::new(),
        accepted: None,
        failed: rejection.into(),
        on_record: false,
        is_known_key: false,
        beyond: Beyond::of(state, text, wanted),
    };
    rest.next(state, wanted, now)
}

/// The keys that the text may be.
pub(super) fn candidates(state: &VerifierState<'_>, text: &str) -> Vec<Candidate> {
    if state.imported.len() == 0 || text.parse::<ApiKey>().is_ok() {
        return Vec::new();
    }
    state.imported.recognize(text)
}

fn holds(state: &VerifierState<'_>, key: &Key, wanted: &Wanted, now: u64) -> Result<(), Rejection> {
    let realm = key.id.realm();
    let is_accepted = wanted.realms.contains(&realm) && state.importing.contains(&realm);
    key.holds(if is_accepted { std::slice::from_ref(&realm) } else { &[] }, state.verifier.revocations(), now)
}

fn is_ended(rejection: Rejection) -> bool {
    matches!(rejection, Rejection::Revoked | Rejection::Expired)
}

impl Search {
    pub(super) fn question(&self) -> Question<'_> {
        match self.rejected {
            None => Question::Imported(&self.asked),
            Some(_) => Question::EndedImported(&self.asked),
        }
    }

    pub(super) fn resume(
        self,
        checked: Checked,
        state: &VerifierState<'_>,
        wanted: &Wanted,
        now: u64,
    ) -> Step<Verdict, Pending> {
        let Search { asked, rejected, mut rest } = self;
        match (rejected, checked) {
            (Some(_), Checked::Wrong) => rest.wrong.push(asked.key().id),
            (Some(rejection), Checked::Right) | (Some(_), Checked::Ended(rejection)) => {
                rest.is_rejected(&asked, rejection, wanted);
            }
            (Some(rejection), Checked::CouldNotTell) => rest.may_be_rejected(&asked, rejection, wanted),
            (None, Checked::Right) => match holds(state, asked.key(), wanted, now) {
                Ok(()) => rest.take(&asked, wanted),
                // That may have taken its time.
                Err(rejection) => rest.reject(asked, rejection),
            },
            (None, Checked::Wrong) => {
                rest.wrong.push(asked.key().id);
                rest.fail(Rejection::SecretWrong.into());
            }
            (None, Checked::Ended(rejection)) => rest.reject(asked, rejection),
            (None, Checked::CouldNotTell) => rest.may_be(VerifyError::SecretUnchecked),
        }
        rest.next(state, wanted, now)
    }
}

impl Rest {
    /// Looks at what memory has found, and then goes on to what it has not.
    pub(super) fn next(mut self, state: &VerifierState<'_>, wanted: &Wanted, now: u64) -> Step<Verdict, Pending> {
        loop {
            while let Some(candidate) = self.candidates.pop_front() {
                match holds(state, candidate.key(), wanted, now) {
                    _ if self.ended_in.contains(&candidate.key().id.realm()) => {}
                    Err(rejection) => self.reject(candidate, rejection),
                    Ok(()) if self.accepted.is_some() => self.spare.push_back(candidate),
                    // Before the hash, which costs much and would decide nothing.
                    Ok(()) if candidate.is_slow() && state.stale.covers(candidate.key().id.realm()) => {
                        self.may_be(VerifyError::Stale);
                    }
                    Ok(()) => match candidate.matches_at_once() {
                        Some(true) => self.take(&candidate, wanted),
                        Some(false) => self.fail(Rejection::SecretWrong.into()),
                        None => return self.ask(candidate, None),
                    },
                }
            }
            let Some(key) = self.accepted.clone() else { return self.look_beyond(wanted) };
            let realm = key.id.realm();
            let Some((candidate, rejection)) = self.next_ended(realm) else {
                return self.accept(state, key);
            };
            match candidate.matches_at_once() {
                Some(true) => self.is_rejected(&candidate, rejection, wanted),
                Some(false) => {}
                None => return self.ask(candidate, Some(rejection)),
            }
        }
    }

    /// Accepts a key that no row in memory rejects, if no row that only a slow digest finds does so.
    fn accept(mut self, state: &VerifierState<'_>, key: Arc<Key>) -> Step<Verdict, Pending> {
        let realm = key.id.realm();
        let is_sought = |one| one == realm;
        if !state.stale.covers(realm) && self.beyond.slow.remain(is_sought) {
            return match self.beyond.slow.next(self.is_known_key, is_sought) {
                Some(search) => PendingDigest::ask(search, self),
                None => Step::Done(Err(VerifyError::SecretUnchecked)),
            };
        }
        Step::Done(state.accept(Accepted::Imported(key)))
    }

    /// Goes on where no row in memory is accepted.
    fn look_beyond(mut self, wanted: &Wanted) -> Step<Verdict, Pending> {
        // Which of these rows the text is decides where to look. Where nothing is left, their hashes would cost much
        // and decide nothing.
        while self.beyond.remains(self.on_record, |realm| self.is_sought(realm, wanted))
            && let Some((candidate, rejection)) = self.rejected.pop_front()
        {
            match candidate.matches_at_once() {
                Some(true) => self.is_rejected(&candidate, rejection, wanted),
                Some(false) => {}
                None => return self.ask(candidate, Some(rejection)),
            }
        }
        let mut slow = std::mem::take(&mut self.beyond.slow);
        let search = slow.next(self.is_known_key, |realm| self.is_sought(realm, wanted));
        let remain = slow.remain(|realm| self.is_sought(realm, wanted));
        self.beyond.slow = slow;
        match search {
            Some(search) => return PendingDigest::ask(search, self),
            // It may be one of these keys, of which no old system has to be asked.
            None if remain => self.may_be(VerifyError::SecretUnchecked),
            None => {}
        }
        if self.on_record {
            return Step::Done(Err(self.failed));
        }
        // The old system accepts it: a table that was read meanwhile may lack it for a moment, and it is not called no
        // key.
        if self.beyond.is_recorded {
            return Step::Done(Err(VerifyError::SecretUnchecked));
        }
        match self.beyond.old_systems.pop() {
            Some(asked) => PendingOldSystem::ask(asked, self),
            None if self.beyond.is_untold => Step::Done(Err(VerifyError::SecretUnchecked)),
            None => Step::Done(Err(self.failed)),
        }
    }

    /// Returns whether slow digests of this realm are to find the text, where no key is accepted so far. A text that
    /// memory has found is looked for where it could be accepted.
    fn is_sought(&self, realm: Realm, wanted: &Wanted) -> bool {
        !self.ended_in.contains(&realm) && (!self.is_recognized || wanted.realms.contains(&realm))
    }

    /// The next key of this realm that has ended.
    fn next_ended(&mut self, realm: Realm) -> Option<(Candidate, Rejection)> {
        let is_one = |(candidate, rejection): &(Candidate, Rejection)| {
            is_ended(*rejection) && candidate.key().id.realm() == realm
        };
        self.rejected.remove(self.rejected.iter().position(is_one)?)
    }

    /// Takes up what an old system has put on record.
    pub(super) fn record(&mut self, state: &VerifierState<'_>, text: &str) {
        self.candidates = candidates(state, text).into();
        self.candidates.retain(|candidate| !self.wrong.contains(&candidate.key().id));
        self.beyond = Beyond { is_recorded: true, ..Beyond::default() };
    }

    /// Accepts a key that holds, if it has the scopes.
    fn take(&mut self, candidate: &Candidate, wanted: &Wanted) {
        self.is(candidate);
        match candidate.key().grants(&wanted.scopes) {
            Ok(()) => self.accepted = Some(Arc::clone(candidate.key())),
            Err(rejection) => self.fail(rejection.into()),
        }
    }

    fn ask(self, asked: Candidate, rejected: Option<Rejection>) -> Step<Verdict, Pending> {
        Step::Ask(Pending::Hash(PendingHash::Imported(Box::new(Search { asked, rejected, rest: self }))))
    }

    /// The text is this key.
    fn is(&mut self, candidate: &Candidate) {
        self.on_record = true;
        self.is_known_key |= candidate.sees_all();
    }

    /// The text may be a key on record, and this is why it was not found out.
    fn may_be(&mut self, error: VerifyError) {
        self.on_record = true;
        self.fail(error);
    }

    fn reject(&mut self, candidate: Candidate, rejection: Rejection) {
        self.rejected.push_back((candidate, rejection));
        self.fail(rejection.into());
    }

    /// The text is this key, which is rejected.
    fn is_rejected(&mut self, candidate: &Candidate, rejection: Rejection, wanted: &Wanted) {
        self.is(candidate);
        if is_ended(rejection) {
            self.end(candidate.key().id.realm(), rejection.into(), wanted);
        }
    }

    /// The text may be this key, which is rejected.
    fn may_be_rejected(&mut self, candidate: &Candidate, rejection: Rejection, wanted: &Wanted) {
        self.may_be(VerifyError::SecretUnchecked);
        if is_ended(rejection) {
            self.end(candidate.key().id.realm(), VerifyError::SecretUnchecked, wanted);
        }
    }

    /// Accepts nothing in this realm. In another one the text is another key.
    fn end(&mut self, realm: Realm, error: VerifyError, wanted: &Wanted) {
        self.ended_in.push(realm);
        self.accepted = self.accepted.take().filter(|key| key.id.realm() != realm);
        if self.accepted.is_none() {
            self.candidates.append(&mut self.spare);
        }
        match wanted.realms.iter().all(|realm| self.ended_in.contains(realm)) {
            true => self.failed = error,
            false => self.fail(error),
        }
    }

    /// One that could not be checked may be the right one, so that is not forgotten for another one.
    fn fail(&mut self, error: VerifyError) {
        if matches!(self.failed, VerifyError::Rejected(_)) {
            self.failed = error;
        }
    }
}
