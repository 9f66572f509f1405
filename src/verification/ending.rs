//! Which keys a text is, for a holder who wants to end them. Half of a key is enough: its seal is genuine, and hashes
//! would only take time. A stale revocation log stops nobody from ending a key, and neither do the key's times:
//! another clock may show that it is good, or will be.

use bulla::{
    ApiKey, ApiKeyId, Realm, Rejection, VerifyError,
    keyring::{KeyVersion, KeyringDocument},
};

use super::{
    Checked, DigestSearch, Learned, OldSystem, Question, Step, VerifierState, Wanted, digest_search::SlowSets,
    imported::candidates,
};
use crate::imported::Candidate;

/// The ids, none where the text is no key; or that it could not be found out.
pub(crate) type Ids = Result<Vec<ApiKeyId>, EndingError>;

/// Why it is not known which keys a text is: one of them may be accepted elsewhere, or later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EndingError {
    /// Nothing here opens keys of its realm.
    #[error(
        "the API key is of the realm `{realm}`, which this server does not have, so that its seal cannot be checked \
         here: ask a server that has the realm, or revoke {0} by its id on the admin plane", realm = .0.realm()
    )]
    RealmUnknown(ApiKeyId),
    /// A newer keyring may have its version.
    #[error(
        "the API key names version {version}, which is not in this server's keyring, so that its seal cannot be \
         checked here: try again where the keyring is newer, or revoke {0} by its id on the admin plane",
        version = .0.version()
    )]
    VersionUnknown(ApiKeyId),
    /// The keyring has its version, and no source yielded the key.
    #[error(
        "the key of version {version} is not loaded on this server, so that the API key's seal cannot be checked here: \
         see the server's /readyz and log, ask another server, or revoke {0} by its id on the admin plane",
        version = .0.version()
    )]
    VersionNotLoaded(ApiKeyId),
    /// A hash could not be computed, or an old system could not be asked.
    #[error("the API key could not be verified just now: try again")]
    Unchecked,
    /// It is these keys, which are to be ended, and may be others.
    #[error(
        "the API key is revoked where it was found, and may be another key as well, which could not be verified just \
         now: try again"
    )]
    Partly(Vec<ApiKeyId>),
}

/// A search that waits for an answer. Each kind goes on with an answer of its own.
pub(crate) enum PendingIds {
    /// Stored hashes tell.
    Hash(PendingIdsHash),
    /// Slow digests may find one more.
    Digest(PendingIdsDigest),
    /// No key on record is the text, and an old system may know it. What it accepts goes on record, so that it can be
    /// ended.
    OldSystem(PendingIdsOldSystem),
}

/// A search that waits for a stored hash.
pub(crate) struct PendingIdsHash {
    asked: Candidate,
    rest: Rest,
}

/// A search that waits for a slow digest.
pub(crate) struct PendingIdsDigest {
    search: DigestSearch,
    rest: Rest,
}

/// A search that waits for an old system.
pub(crate) struct PendingIdsOldSystem {
    asked: OldSystem,
    unrecorded: Unrecorded,
}

/// What is still to be done.
struct Rest {
    /// The keys that the text may be; the last one is next.
    candidates: Vec<Candidate>,
    found: Vec<ApiKeyId>,
    unchecked: bool,
    /// Whether one of those that were found is this text and no other one.
    is_known_key: bool,
    slow: SlowSets,
    unrecorded: Unrecorded,
}

/// What is still to be done about a text that nobody finds on record.
struct Unrecorded {
    /// The old systems to ask; the last one is next.
    old_systems: Vec<OldSystem>,
    /// Whether all that was asked for could be told, so that the text may be called no key.
    all_answered: bool,
}

/// Begins to find out which keys of these realms `text` is. A key that is revoked, suspended or expired counts: ending
/// it once more is what was asked for. `document` is that of the verifier's keyring.
pub(crate) fn decide_ending(
    state: &VerifierState<'_>,
    document: &KeyringDocument,
    text: &str,
    realms: Vec<Realm>,
) -> Step<Ids, PendingIds> {
    let Ok(key) = text.parse::<ApiKey>() else {
        // In every set that has it: in another one it would be accepted.
        let mut candidates = candidates(state, text);
        candidates.reverse();
        // A key of ours with something beside it is for nobody else's eyes.
        let is_ours = ApiKey::is_within(text);
        let old_systems = if is_ours { Vec::new() } else { OldSystem::to_ask(state.old_systems, &realms, text) };
        let unrecorded = Unrecorded { old_systems, all_answered: true };
        return Rest::of(candidates, SlowSets::of(state.imported, text), unrecorded).next();
    };
    // At the beginning of all times no key has expired and no version is past its end: all that is in time now, or by
    // another clock, opens, and is "not valid yet" at most.
    let opened = Wanted { realms, ..Wanted::default() }.open(state.verifier, text, 0);
    Step::Done(match opened {
        Ok(_) => Ok(vec![key.id()]),
        Err(VerifyError::Rejected(rejection)) => by_rejection(key.id(), rejection, document),
        Err(_) => Err(EndingError::Unchecked),
    })
}

fn by_rejection(id: ApiKeyId, rejection: Rejection, document: &KeyringDocument) -> Ids {
    match rejection {
        _ if is_genuine(rejection) => Ok(vec![id]),
        Rejection::Realm => Err(EndingError::RealmUnknown(id)),
        // Nothing is sealed under version 0.
        Rejection::VersionUnknown if id.version() > 0 => Err(EndingError::VersionUnknown(id)),
        Rejection::VersionRefused if opens(document, id.version()) => Err(EndingError::VersionNotLoaded(id)),
        _ => Ok(Vec::new()),
    }
}

/// Returns whether keys of this version are good by the document, apart from an end that it may have. One that is
/// compromised or destroyed never opens again.
fn opens(document: &KeyringDocument, version: u32) -> bool {
    let record = KeyVersion::new(version).and_then(|version| document.version(version));
    record.is_some_and(|record| record.state.opens())
}

impl Rest {
    fn of(candidates: Vec<Candidate>, slow: SlowSets, unrecorded: Unrecorded) -> Self {
        Rest { candidates, found: Vec::new(), unchecked: false, is_known_key: false, slow, unrecorded }
    }

    fn next(mut self) -> Step<Ids, PendingIds> {
        if let Some(asked) = self.candidates.pop() {
            return Step::Ask(PendingIds::Hash(PendingIdsHash { asked, rest: self }));
        }
        if let Some(search) = self.slow.next(self.is_known_key, |_| true) {
            return Step::Ask(PendingIds::Digest(PendingIdsDigest { search, rest: self }));
        }
        match (self.found.is_empty(), self.unchecked || self.slow.remain(|_| true)) {
            (false, false) => Step::Done(Ok(self.found)),
            (false, true) => Step::Done(Err(EndingError::Partly(self.found))),
            // It may be one of these keys, of which no old system has to be asked.
            (true, true) => Step::Done(Err(EndingError::Unchecked)),
            (true, false) => self.unrecorded.ask(),
        }
    }
}

impl Unrecorded {
    /// Asks the next old system.
    fn ask(mut self) -> Step<Ids, PendingIds> {
        match self.old_systems.pop() {
            Some(asked) => Step::Ask(PendingIds::OldSystem(PendingIdsOldSystem { asked, unrecorded: self })),
            None if self.all_answered => Step::Done(Ok(Vec::new())),
            None => Step::Done(Err(EndingError::Unchecked)),
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
            Checked::Right => {
                self.rest.found.push(self.asked.key().id);
                self.rest.is_known_key |= self.asked.sees_all();
            }
            Checked::Wrong => {}
            Checked::Ended(_) | Checked::CouldNotTell => self.rest.unchecked = true,
        }
        self.rest.next()
    }
}

impl PendingIdsDigest {
    /// What the shell is to hash.
    pub(crate) fn search(&self) -> &DigestSearch {
        &self.search
    }

    /// Goes on with the digest; `None` where it could not be computed.
    pub(crate) fn resume(self, digest: Option<&[u8]>) -> Step<Ids, PendingIds> {
        let PendingIdsDigest { search, mut rest } = self;
        let found = rest.slow.found(search, digest);
        rest.is_known_key |= !found.is_empty();
        rest.found.extend(found.iter().map(|found| found.key().id));
        rest.next()
    }
}

impl PendingIdsOldSystem {
    /// Which old system the shell is to ask about the text.
    pub(crate) fn old_system(&self) -> &OldSystem {
        &self.asked
    }

    /// Goes on with its answer, in the state of this moment.
    pub(crate) fn resume(mut self, learned: Learned, state: &VerifierState<'_>, text: &str) -> Step<Ids, PendingIds> {
        match learned {
            Learned::Known => {
                let mut candidates = candidates(state, text);
                candidates.reverse();
                // Whom it accepts, and nobody finds on record, is not called no key.
                let unrecorded = Unrecorded { old_systems: Vec::new(), all_answered: false };
                return Rest::of(candidates, SlowSets::default(), unrecorded).next();
            }
            Learned::Unknown => {}
            Learned::CouldNotTell => self.unrecorded.all_answered = false,
        }
        self.unrecorded.ask()
    }
}

/// Returns whether a key that was rejected for this is one that was issued: it comes behind the seal. When, where, for
/// whom and with what it may be used is no reason to let it live on, and neither are claims that only a newer server
/// knows.
fn is_genuine(rejection: Rejection) -> bool {
    use Rejection::{
        Address, Audience, Claims, Expired, NotYetValid, Revoked, Scope, SecretMissing, SecretRequired, SecretSurplus,
    };
    matches!(
        rejection,
        Claims
            | NotYetValid
            | Expired
            | Revoked
            | Address
            | Audience
            | SecretMissing
            | SecretSurplus
            | SecretRequired
            | Scope
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_comes_before_the_seal_is_genuine() {
        use Rejection::{Checksum, Malformed, Realm, Seal, SecretWrong, VersionRefused, VersionUnknown};
        let not: Vec<Rejection> = Rejection::ALL.into_iter().filter(|one| !is_genuine(*one)).collect();
        // A wrong secret half is never asked about.
        assert_eq!(not, [Malformed, Checksum, Realm, VersionUnknown, VersionRefused, Seal, SecretWrong]);
    }
}
