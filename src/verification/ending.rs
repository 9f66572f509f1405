//! Which keys a text is, for a holder who wants to end them. Half of a key is enough: its seal is genuine, and hashes
//! would only take time. A stale revocation log stops nobody from ending a key.

use bulla::{ApiKey, ApiKeyId, Realm, Rejection, VerifyError};

use super::{Checked, Question, Step, VerifierState, Wanted, imported::candidates};
use crate::imported::Candidate;

/// The ids, none where the text is no key; or that it could not be found out.
pub(crate) type Ids = Result<Vec<ApiKeyId>, VerifyError>;

/// A search that waits for an answer.
pub(crate) struct PendingIds {
    asked: Candidate,
    candidates: Vec<Candidate>,
    found: Vec<ApiKeyId>,
    unchecked: bool,
}

/// Begins to find out which keys of these realms `text` is. A key that is revoked or suspended counts: ending it once
/// more is what was asked for.
pub(crate) fn decide_ending(
    state: &VerifierState<'_>,
    text: &str,
    realms: Vec<Realm>,
    now: u64,
) -> Step<Ids, PendingIds> {
    let Ok(key) = text.parse::<ApiKey>() else {
        // In every set that has it: in another one it would be accepted.
        let mut candidates = candidates(state, text);
        candidates.retain(|candidate| !candidate.key().has_expired(now));
        candidates.reverse();
        return next(candidates, Vec::new(), false);
    };
    let opened = Wanted { realms, ..Wanted::default() }.open(state.verifier, text, now);
    let is_genuine = match opened {
        Ok(_) => true,
        Err(VerifyError::Rejected(rejection)) => is_genuine(rejection),
        Err(_) => false,
    };
    Step::Done(Ok(if is_genuine { vec![key.id()] } else { Vec::new() }))
}

fn next(mut candidates: Vec<Candidate>, found: Vec<ApiKeyId>, unchecked: bool) -> Step<Ids, PendingIds> {
    match candidates.pop() {
        Some(asked) => Step::Ask(PendingIds { asked, candidates, found, unchecked }),
        None if unchecked && found.is_empty() => Step::Done(Err(VerifyError::SecretUnchecked)),
        None => Step::Done(Ok(found)),
    }
}

impl PendingIds {
    /// What the shell is to find out.
    pub(crate) fn question(&self) -> Question<'_> {
        Question::EndedImported(&self.asked)
    }

    /// Goes on with what it found out.
    pub(crate) fn resume(mut self, checked: Checked) -> Step<Ids, PendingIds> {
        match checked {
            Checked::Right => self.found.push(self.asked.key().id),
            Checked::Wrong => {}
            Checked::Ended(_) | Checked::CouldNotTell => self.unchecked = true,
        }
        next(self.candidates, self.found, self.unchecked)
    }
}

/// Returns whether a key that was rejected for this is one that was issued. Where, for whom and with what it may be
/// used is no reason to let it live on.
fn is_genuine(rejection: Rejection) -> bool {
    use Rejection::{Address, Audience, Revoked, SecretMissing, SecretSurplus};
    matches!(rejection, Revoked | Address | Audience | SecretMissing | SecretSurplus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_comes_before_the_seal_and_the_times_is_genuine() {
        use Rejection::{Address, Audience, Revoked, SecretMissing, SecretSurplus};
        let genuine: Vec<Rejection> = Rejection::ALL.into_iter().filter(|one| is_genuine(*one)).collect();
        assert_eq!(genuine, [Revoked, Address, Audience, SecretMissing, SecretSurplus], "and nothing else");
    }
}
