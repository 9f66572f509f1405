//! Imported keys, in the order of sealed ones: realm, time, revocation, hash, scopes.
//!
//! The same key may have been imported under two rules. So a text may be a key of several sets, and a rejection in one
//! of them beats an acceptance in another one of the same realm.

use std::{collections::VecDeque, sync::Arc};

use bulla::{ApiKey, Rejection, VerifyError};

use super::{Accepted, Checked, Pending, PendingHash, Question, Step, Verdict, VerifierState, Wanted, unknown};
use crate::imported::{Candidate, Key};

/// The keys that a text may be, while it is not known which.
pub(crate) struct Search {
    /// What is asked, and what follows.
    asked: Candidate,
    ended: Option<Rejection>,
    rest: Rest,
}

/// What is still to be done.
struct Rest {
    /// Not looked at yet.
    candidates: VecDeque<Candidate>,
    /// Revoked or expired: if the text is one of these, it is rejected, even if another one would be accepted.
    ended: VecDeque<(Candidate, Rejection)>,
    accepted: Option<Arc<Key>>,
    /// The verdict if no key is accepted.
    failed: VerifyError,
}

/// Begins to verify a text that is no sealed key, for `rejection`.
pub(super) fn decide(
    state: &VerifierState<'_>,
    text: &str,
    wanted: &Wanted,
    now: u64,
    rejection: Rejection,
) -> Step<Verdict, Pending> {
    let found = candidates(state, text);
    if found.is_empty() {
        return unknown::decide(state, text, wanted, rejection);
    }
    Rest::of(found, rejection).next(state, wanted, now)
}

/// Begins to verify a text that was recorded as an imported key a moment ago.
pub(super) fn decide_recorded(
    state: &VerifierState<'_>,
    text: &str,
    wanted: &Wanted,
    now: u64,
    rejection: Rejection,
) -> Step<Verdict, Pending> {
    let found = candidates(state, text);
    // The old system accepts it: a table that was read meanwhile may lack it for a moment, and it is not called no key.
    if found.is_empty() {
        return Step::Done(Err(VerifyError::SecretUnchecked));
    }
    Rest::of(found, rejection).next(state, wanted, now)
}

/// Begins to verify a text that slow digests found these keys for.
pub(super) fn decide_found(
    state: &VerifierState<'_>,
    found: Vec<Candidate>,
    wanted: &Wanted,
    now: u64,
) -> Step<Verdict, Pending> {
    Rest::of(found, Rejection::SecretWrong).next(state, wanted, now)
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
        match self.ended {
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
        let Search { asked, ended, mut rest } = self;
        match (ended, checked) {
            (Some(_), Checked::Wrong) => {}
            (Some(rejection), Checked::Right) | (Some(_), Checked::Ended(rejection)) => {
                return Step::Done(Err(rejection.into()));
            }
            (Some(_), Checked::CouldNotTell) => return Step::Done(Err(VerifyError::SecretUnchecked)),
            (None, Checked::Right) => match holds(state, asked.key(), wanted, now) {
                Ok(()) => rest.take(&asked, wanted),
                // That may have taken its time.
                Err(rejection) => rest.reject(asked, rejection),
            },
            (None, Checked::Wrong) => rest.fail(Rejection::SecretWrong.into()),
            (None, Checked::Ended(rejection)) => rest.reject(asked, rejection),
            (None, Checked::CouldNotTell) => rest.fail(VerifyError::SecretUnchecked),
        }
        rest.next(state, wanted, now)
    }
}

impl Rest {
    /// All of it; `rejection` is for the case that no key is accepted.
    fn of(candidates: Vec<Candidate>, rejection: Rejection) -> Self {
        let (candidates, failed) = (candidates.into(), rejection.into());
        Rest { candidates, ended: VecDeque::new(), accepted: None, failed }
    }

    fn next(mut self, state: &VerifierState<'_>, wanted: &Wanted, now: u64) -> Step<Verdict, Pending> {
        while let Some(candidate) = self.candidates.pop_front() {
            match holds(state, candidate.key(), wanted, now) {
                Err(rejection) => self.reject(candidate, rejection),
                Ok(()) if self.accepted.is_some() => {}
                // Before the hash, which costs much and would decide nothing.
                Ok(()) if candidate.is_slow() && state.stale.covers(candidate.key().id.realm()) => {
                    self.fail(VerifyError::Stale);
                }
                Ok(()) => match candidate.matches_at_once() {
                    Some(true) => self.take(&candidate, wanted),
                    Some(false) => self.fail(Rejection::SecretWrong.into()),
                    None => return self.ask(candidate, None),
                },
            }
        }
        let Some(key) = self.accepted.clone() else { return Step::Done(Err(self.failed)) };
        while let Some((candidate, rejection)) = self.ended.pop_front() {
            if candidate.key().id.realm() == key.id.realm() {
                match candidate.matches_at_once() {
                    Some(true) => return Step::Done(Err(rejection.into())),
                    Some(false) => {}
                    None => return self.ask(candidate, Some(rejection)),
                }
            }
        }
        Step::Done(state.accept(Accepted::Imported(key)))
    }

    /// Accepts a key that holds, if it has the scopes.
    fn take(&mut self, candidate: &Candidate, wanted: &Wanted) {
        match candidate.key().grants(&wanted.scopes) {
            Ok(()) => self.accepted = Some(Arc::clone(candidate.key())),
            Err(rejection) => self.fail(rejection.into()),
        }
    }

    fn ask(self, asked: Candidate, ended: Option<Rejection>) -> Step<Verdict, Pending> {
        Step::Ask(Pending::Hash(PendingHash::Imported(Box::new(Search { asked, ended, rest: self }))))
    }

    fn reject(&mut self, candidate: Candidate, rejection: Rejection) {
        if is_ended(rejection) {
            self.ended.push_back((candidate, rejection));
        }
        self.fail(rejection.into());
    }

    /// One that could not be checked may be the right one, so that is not forgotten for another one.
    fn fail(&mut self, error: VerifyError) {
        if matches!(self.failed, VerifyError::Rejected(_)) {
            self.failed = error;
        }
    }
}
