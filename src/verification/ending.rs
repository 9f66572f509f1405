//! Which keys a text is, for a holder who wants to end them. Half of a key is enough: its seal is genuine, and hashes
//! would only take time. A stale revocation log stops nobody from ending a key.

use bulla::{ApiKey, ApiKeyId, Realm, Rejection, VerifyError};

use super::{
    Checked, DigestSearch, Question, Step, VerifierState, Wanted, digest_search::Digested, imported::candidates,
};
use crate::imported::Candidate;

/// The ids, none where the text is no key; or that it could not be found out.
pub(crate) type Ids = Result<Vec<ApiKeyId>, VerifyError>;

/// A search that waits for an answer. Each kind goes on with an answer of its own.
pub(crate) enum PendingIds {
    /// Stored hashes tell.
    Hash(PendingIdsHash),
    /// No key in memory is the text, and slow digests may find one.
    Digest(PendingIdsDigest),
}

/// A search that waits for a stored hash.
pub(crate) struct PendingIdsHash {
    asked: Candidate,
    rest: Rest,
}

/// A search that waits for a slow digest.
pub(crate) struct PendingIdsDigest(DigestSearch);

/// What is still to be done.
struct Rest {
    /// The keys that the text may be; the last one is next.
    candidates: Vec<Candidate>,
    found: Vec<ApiKeyId>,
    unchecked: bool,
    /// For a text that is none of them.
    slow: Option<DigestSearch>,
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
        let slow = DigestSearch::begin(state.imported, text);
        return Rest { candidates, found: Vec::new(), unchecked: false, slow }.next();
    };
    let opened = Wanted { realms, ..Wanted::default() }.open(state.verifier, text, now);
    let is_genuine = match opened {
        Ok(_) => true,
        Err(VerifyError::Rejected(rejection)) => is_genuine(rejection),
        Err(_) => false,
    };
    Step::Done(Ok(if is_genuine { vec![key.id()] } else { Vec::new() }))
}

impl Rest {
    fn next(mut self) -> Step<Ids, PendingIds> {
        match (self.candidates.pop(), self.slow.take()) {
            (Some(asked), slow) => Step::Ask(PendingIds::Hash(PendingIdsHash { asked, rest: Rest { slow, ..self } })),
            (None, _) if !self.found.is_empty() => Step::Done(Ok(self.found)),
            (None, _) if self.unchecked => Step::Done(Err(VerifyError::SecretUnchecked)),
            (None, Some(slow)) => Step::Ask(PendingIds::Digest(PendingIdsDigest(slow))),
            (None, None) => Step::Done(Ok(Vec::new())),
        }
    }
}

impl PendingIdsHash {
    /// What the shell is to find out.
    pub(crate) fn question(&self) -> Question<'_> {
        Question::EndedImported(&self.asked)
    }

    /// Goes on with what it found out.
    pub(crate) fn resume(mut self, checked: Checked) -> Step<Ids, PendingIds> {
        match checked {
            Checked::Right => self.rest.found.push(self.asked.key().id),
            Checked::Wrong => {}
            Checked::Ended(_) | Checked::CouldNotTell => self.rest.unchecked = true,
        }
        self.rest.next()
    }
}

impl PendingIdsDigest {
    /// What the shell is to hash.
    pub(crate) fn search(&self) -> &DigestSearch {
        &self.0
    }

    /// Goes on with the digest at `now`; `None` where it could not be computed.
    pub(crate) fn resume(self, digest: Option<&[u8]>, now: u64) -> Step<Ids, PendingIds> {
        match self.0.resume(digest) {
            Digested::More(search) => Step::Ask(PendingIds::Digest(PendingIdsDigest(search))),
            Digested::All { found, all_tried } => {
                let living = found.iter().map(Candidate::key).filter(|key| !key.has_expired(now));
                let ids: Vec<ApiKeyId> = living.map(|key| key.id).collect();
                let could_not_tell = ids.is_empty() && !all_tried;
                Step::Done(if could_not_tell { Err(VerifyError::SecretUnchecked) } else { Ok(ids) })
            }
        }
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
