//! The order of the steps, with answers that are given in advance.

use std::sync::Arc;

use bulla::{
    ApiKeyId, IssueRequest, Issuer, Realm,
    claims::Claims,
    keyring::{Keyring, KeyringDocument, KeyringId, SourceRecord, Suite},
    revocation::Revocations,
    source::Sources,
};
use uuid::Uuid;

use super::*;
use crate::imported::{Check, ImportedRow, KeyLayout, PublicPart, Scheme, Set};

pub(super) const NOW: u64 = 1_800_000_000;
const IMPORTED: &str = "sk_4f9a1c20_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf";

pub(super) fn realm() -> Realm {
    "live".parse().expect("should be a realm")
}

pub(super) fn other_realm() -> Realm {
    "test".parse().expect("should be a realm")
}

/// A keyring, and what issues with it.
pub(super) struct Keys {
    pub(super) document: KeyringDocument,
    keyring: Keyring,
    issuer: Issuer,
}

impl Keys {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().expect("should make a folder");
        crate::deployment::write_new(
            &folder.path().join("master.key"),
            b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            0o600,
        )
        .expect("should write");
        let (sources, at) = (Sources::new(folder.path()), NOW - 9);
        let mut document = KeyringDocument::new(KeyringId::from_bytes([1; 16]));
        let source = SourceRecord { uri: "file:master.key".parse().expect("a URI"), wrapped: None };
        let version = document.stage(Suite::default(), vec![source], &sources, at).expect("should be staged");
        document.activate(version, at).expect("should be activated");
        let keyring = Keyring::load(&document, &sources, &[realm()]).expect("should load");
        Keys { issuer: Issuer::new(&keyring), keyring, document }
    }

    pub(super) fn issue(&self, claims: Claims) -> (String, ApiKeyId) {
        let request = IssueRequest { realm: realm(), app_id: Uuid::nil(), expires_at: Some(NOW + 60), claims };
        let key = self.issuer.issue(&request, NOW).expect("should be issued");
        (key.expose().to_owned(), key.id())
    }
}

/// What is known at one moment.
pub(super) struct Moment {
    verifier: Verifier,
    pub(super) imported: ImportedKeys,
    stale: Stale,
    pub(super) old_systems: Vec<OldSystem>,
}

impl Moment {
    pub(super) fn of(keys: &Keys, revoked: &[ApiKeyId], is_stale: bool) -> Self {
        let revocations: Revocations = revoked.iter().copied().collect();
        let verifier = Verifier::new(&keys.keyring).with_revocations(Arc::new(revocations));
        let imported = ImportedKeys::default();
        for number in [1, 2] {
            add_imported(&imported, number);
        }
        Moment { verifier, imported, stale: Stale::all(is_stale), old_systems: Vec::new() }
    }

    pub(super) fn state(&self) -> VerifierState<'_> {
        static REALMS: std::sync::OnceLock<[Realm; 2]> = std::sync::OnceLock::new();
        let importing = REALMS.get_or_init(|| [realm(), other_realm()]);
        VerifierState {
            verifier: &self.verifier,
            stale: &self.stale,
            imported: &self.imported,
            importing,
            old_systems: &self.old_systems,
            missing: &[],
        }
    }
}

fn set(number: i64) -> Set {
    let (prefix, public) = ("sk_".to_owned(), PublicPart::First(8));
    Set::new(number, realm(), KeyLayout { prefix, public, ..KeyLayout::new(Scheme::Bcrypt) }, [number as u8; 16], None)
}

fn imported_id(number: i64) -> ApiKeyId {
    set(number).id_of(Some(b"4f9a1c20"), &never())
}

fn never() -> Check {
    Check::Text("never looked at".into())
}

fn add_imported(known: &ImportedKeys, number: i64) {
    let row = ImportedRow {
        place: number,
        set: number,
        id: imported_id(number),
        app_id: Uuid::nil(),
        issued_at: 5,
        expires_at: None,
        claims: Claims::new().with_scopes(["read"]),
        public: Some(b"4f9a1c20".as_slice().into()),
        check: never(),
        replaced: false,
    };
    known.table().add_set(set(number));
    known.table().add(&[row]);
}

/// An answer to a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Answer {
    Hash(Checked),
    /// A digest of one byte, again and again; none where it cannot be computed.
    Digest(Option<u8>),
    /// What the old system of this realm says.
    Old(&'static str, Learned),
}

/// Verifies `text` in the first moment, goes on in the second one, and gives these answers.
pub(super) fn drive(
    text: &str,
    wanted: &Wanted,
    moments: [&Moment; 2],
    answers: &[Answer],
) -> Result<ApiKeyId, VerifyError> {
    let (mut step, mut answers) = (decide(&moments[0].state(), text, wanted, NOW), answers.iter());
    loop {
        let pending = match step {
            Step::Done(verdict) => {
                assert_eq!(answers.next(), None, "fewer questions than answers");
                return verdict.map(|accepted| accepted.id());
            }
            Step::Ask(pending) => pending,
        };
        let state = moments[1].state();
        step = match (pending, *answers.next().expect("more questions than answers")) {
            (Pending::Hash(pending), Answer::Hash(checked)) => pending.resume(checked, &state, wanted, NOW),
            (Pending::Digest(pending), Answer::Digest(digest)) => {
                let digest = digest.map(|byte| [byte; 32]);
                pending.resume(digest.as_ref().map(|digest| digest.as_slice()), &state, wanted, NOW)
            }
            (Pending::OldSystem(pending), Answer::Old(realm, learned)) => {
                assert_eq!(pending.old_system().realm().as_str(), realm);
                pending.resume(learned, &state, text, wanted, NOW)
            }
            (_, answer) => panic!("{answer:?} answers another question"),
        };
    }
}

/// The same where only stored hashes are asked for.
fn verify(text: &str, wanted: &Wanted, moments: [&Moment; 2], answers: &[Checked]) -> Result<ApiKeyId, VerifyError> {
    drive(text, wanted, moments, &answers.iter().copied().map(Answer::Hash).collect::<Vec<_>>())
}

pub(super) fn wanted(scopes: &[&str]) -> Wanted {
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    Wanted { realms: vec![realm()], scopes, ..Wanted::default() }
}

pub(super) const STALE: VerifyError = VerifyError::Stale;
pub(super) const UNCHECKED: VerifyError = VerifyError::SecretUnchecked;

pub(super) fn rejected<T>(rejection: Rejection) -> Result<T, VerifyError> {
    Err(VerifyError::Rejected(rejection))
}

#[test]
fn nothing_is_accepted_while_the_revocations_are_stale() {
    let keys = Keys::new();
    let (text, id) = keys.issue(Claims::new().with_scopes(["read"]));
    let (secret, _) = keys.issue(Claims::new().with_secret());
    let (fresh, stale) = (Moment::of(&keys, &[], false), Moment::of(&keys, &[], true));
    let (any, more) = (wanted(&[]), wanted(&["write"]));
    assert_eq!(verify(&text, &any, [&fresh; 2], &[]), Ok(id));
    assert_eq!(verify(&text, &any, [&stale; 2], &[]), Err(STALE));
    assert_eq!(verify(&secret, &any, [&stale; 2], &[]), Err(STALE), "no hash is computed in vain");
    assert_eq!(verify(IMPORTED, &any, [&stale; 2], &[]), Err(STALE), "nor for an imported key");
    assert_eq!(verify(&text, &more, [&stale; 2], &[]), rejected(Rejection::Scope), "what is refused anyway is refused");
    let forged = format!("{}A{}", &text[..30], &text[31..]);
    assert!(matches!(verify(&forged, &any, [&stale; 2], &[]), Err(VerifyError::Rejected(_))));
    let revoked = Moment::of(&keys, &[id], true);
    assert_eq!(verify(&text, &any, [&revoked; 2], &[]), rejected(Rejection::Revoked));
}

#[test]
fn a_secret_half_is_checked_before_the_scopes_and_the_key_holds_afterwards_too() {
    let keys = Keys::new();
    let (text, id) = keys.issue(Claims::new().with_scopes(["read"]).with_secret());
    let now = Moment::of(&keys, &[], false);
    let (any, more) = (wanted(&["read"]), wanted(&["write"]));
    let later = |revoked: &[ApiKeyId], is_stale| Moment::of(&keys, revoked, is_stale);
    for (checked, accepted, lacking) in [
        (Checked::Right, Ok(id), rejected(Rejection::Scope)),
        (Checked::Wrong, rejected(Rejection::SecretWrong), rejected(Rejection::SecretWrong)),
        (Checked::Ended(Rejection::Expired), rejected(Rejection::Expired), rejected(Rejection::Expired)),
        (Checked::CouldNotTell, Err(UNCHECKED), Err(UNCHECKED)),
    ] {
        assert_eq!(verify(&text, &any, [&now; 2], &[checked]), accepted, "{checked:?}");
        assert_eq!(verify(&text, &more, [&now; 2], &[checked]), lacking, "{checked:?}");
    }
    let right = &[Checked::Right];
    assert_eq!(verify(&text, &any, [&now, &later(&[id], false)], right), rejected(Rejection::Revoked));
    assert_eq!(verify(&text, &any, [&now, &later(&[], true)], right), Err(STALE));
    assert_eq!(verify(&text, &any, [&now, &later(&[id], true)], right), rejected(Rejection::Revoked));
}

#[test]
fn a_rejection_in_one_set_beats_an_acceptance_in_another() {
    use Checked::{CouldNotTell, Ended, Right, Wrong};
    let keys = Keys::new();
    let ids = [imported_id(1), imported_id(2)];
    let any = wanted(&["read"]);
    let ask = |revoked: &[ApiKeyId], later: &[ApiKeyId], answers: &[Checked]| {
        let moments = [Moment::of(&keys, revoked, false), Moment::of(&keys, later, false)];
        verify(IMPORTED, &any, [&moments[0], &moments[1]], answers)
    };
    assert_eq!(ask(&[], &[], &[Right]), Ok(ids[0]));
    assert_eq!(ask(&[], &[], &[Wrong, Right]), Ok(ids[1]));
    assert_eq!(ask(&[], &[], &[CouldNotTell, Right]), Ok(ids[1]));
    assert_eq!(ask(&[], &[], &[CouldNotTell, Wrong]), Err(UNCHECKED), "it may be the right one");
    assert_eq!(ask(&[], &[], &[Wrong, Wrong]), rejected(Rejection::SecretWrong));
    for revoked in ids {
        let other = ids.into_iter().find(|id| *id != revoked).expect("should be two");
        assert!(matches!(ask(&[revoked], &[revoked], &[Wrong]), Err(VerifyError::Rejected(_))), "not the other one");
        assert_eq!(ask(&[revoked], &[revoked], &[Right, Wrong]), Ok(other), "not the revoked one");
        assert_eq!(ask(&[revoked], &[revoked], &[Right, Right]), rejected(Rejection::Revoked));
        assert_eq!(ask(&[revoked], &[revoked], &[Right, CouldNotTell]), Err(UNCHECKED));
    }
    assert_eq!(ask(&[], &[ids[0]], &[Right, Right, Right]), rejected(Rejection::Revoked), "revoked meanwhile");
    assert_eq!(ask(&[], &[], &[Ended(Rejection::Revoked), Right, Right]), rejected(Rejection::Revoked));
    assert_eq!(ask(&ids, &ids, &[]), rejected(Rejection::Revoked));
    let moment = Moment::of(&keys, &[], false);
    let lacking = verify(IMPORTED, &wanted(&["write"]), [&moment; 2], &[Right, Right]);
    assert_eq!(lacking, rejected(Rejection::Scope));
    assert_eq!(verify("no key at all", &any, [&moment; 2], &[]), rejected(Rejection::Malformed));
}

#[test]
fn a_holder_ends_every_key_that_the_text_is_stale_or_not() {
    use Checked::{CouldNotTell, Right, Wrong};
    let keys = Keys::new();
    let (text, id) = keys.issue(Claims::new().with_secret());
    let half = text.rsplit_once('_').map_or(text.as_str(), |(half, _)| half);
    let ids = |text: &str, revoked: &[ApiKeyId], answers: &[Checked]| {
        let moment = Moment::of(&keys, revoked, true);
        let mut step = decide_ending(&moment.state(), &keys.document, text, vec![realm()]);
        let mut answers = answers.iter();
        loop {
            step = match step {
                Step::Done(ids) => return ids,
                Step::Ask(PendingIds::Hash(pending)) => {
                    pending.resume(*answers.next().expect("should be asked so often"))
                }
                Step::Ask(PendingIds::Digest(_) | PendingIds::OldSystem(_)) => panic!("it is in memory or nowhere"),
            };
        }
    };
    assert_eq!(ids(&text, &[], &[]), Ok(vec![id]));
    assert_eq!(ids(&text, &[id], &[]), Ok(vec![id]), "once more, or a suspended one");
    assert_eq!(ids("no key at all", &[], &[]), Ok(vec![]));
    assert!(half.len() < text.len());
    let both = vec![imported_id(1), imported_id(2)];
    assert_eq!(ids(IMPORTED, &[], &[Right, Right]), Ok(both));
    assert_eq!(ids(IMPORTED, &[], &[Wrong, Right]), Ok(vec![imported_id(2)]));
    let partly = Err(EndingError::Partly(vec![imported_id(2)]));
    assert_eq!(ids(IMPORTED, &[], &[CouldNotTell, Right]), partly, "it may be the other one, too");
    assert_eq!(ids(IMPORTED, &[], &[CouldNotTell, Wrong]), Err(EndingError::Unchecked));
    assert_eq!(ids(IMPORTED, &[], &[Wrong, Wrong]), Ok(vec![]));
}

#[test]
fn a_genuine_key_that_cannot_be_opened_here_is_never_taken_for_no_key() {
    let keys = Keys::new();
    let (text, id) = keys.issue(Claims::new());
    let ids = |keyring: &Keyring, document: &KeyringDocument, realms: &[Realm], text: &str| {
        let moment = Moment { verifier: Verifier::new(keyring), ..Moment::of(&keys, &[], false) };
        match decide_ending(&moment.state(), document, text, realms.to_vec()) {
            Step::Done(ids) => ids,
            Step::Ask(_) => panic!("nothing is to be asked"),
        }
    };
    let follow = |document: &KeyringDocument| Keyring::follow(&[&keys.keyring], document, &[realm()]);
    assert_eq!(ids(&keys.keyring, &keys.document, &[realm()], &text), Ok(vec![id]));
    assert_eq!(ids(&keys.keyring, &keys.document, &[], &text), Err(EndingError::RealmUnknown(id)));
    // Another node has staged it.
    let before = KeyringDocument::new(keys.document.id());
    let unknown = ids(&follow(&before), &before, &[realm()], &text);
    assert_eq!(unknown, Err(EndingError::VersionUnknown(id)));
    // Its source yields nothing.
    let unloaded = Keyring::follow(&[], &keys.document, &[realm()]);
    assert_eq!(ids(&unloaded, &keys.document, &[realm()], &text), Err(EndingError::VersionNotLoaded(id)));
    // The end of a version can be moved, and what is compromised never opens again.
    let (version, mut document) = (KeyVersion::FIRST, keys.document.clone());
    document.limit(version, None, Some(NOW - 5)).expect("should have an end");
    assert_eq!(ids(&follow(&document), &document, &[realm()], &text), Ok(vec![id]));
    document.compromise(version, None, NOW).expect("should be compromised");
    assert_eq!(ids(&follow(&document), &document, &[realm()], &text), Ok(vec![]));
    let forged = format!("{}{}{}", &text[..40], if &text[40..41] == "A" { "B" } else { "A" }, &text[41..]);
    assert_eq!(ids(&keys.keyring, &keys.document, &[realm()], &forged), Ok(vec![]));
}

#[test]
fn a_key_is_ended_before_its_time_and_after_it() {
    let keys = Keys::new();
    let moment = Moment::of(&keys, &[], false);
    let end = |text: &str| match decide_ending(&moment.state(), &keys.document, text, vec![realm()]) {
        Step::Done(ids) => ids,
        Step::Ask(_) => panic!("nothing is to be asked"),
    };
    let issue = |claims: Claims, at: u64| {
        let request = IssueRequest { realm: realm(), app_id: Uuid::nil(), expires_at: Some(at + 60), claims };
        let key = keys.issuer.issue(&request, at).expect("should be issued");
        (key.expose().to_owned(), key.id())
    };
    let last = u64::from(u32::MAX);
    let claims = || Claims::new().with_audience(["shop"]);
    for at in [NOW - 86_400, NOW, NOW + 600, last - 60] {
        for claims in [Claims::new(), claims(), claims().with_not_before(at + 30), Claims::new().with_secret()] {
            let (text, id) = issue(claims, at);
            assert_eq!(end(&text), Ok(vec![id]), "issued at {at}");
        }
    }
}
