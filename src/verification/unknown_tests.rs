//! What comes of texts that are no key in memory: slow digests, then old systems, then the verdict.

use bulla::claims::Claims;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    tests::{Answer, Keys, Moment, NOW, STALE, UNCHECKED, drive, other_realm, realm, rejected, wanted},
    *,
};
use crate::imported::{Check, ImportedRow, KeyLayout, Scheme, Set};

/// Of the form of the slow sets and of both old systems.
pub(super) const TEXT: &str = "old_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf";
/// Too short for an old system.
const SHORT: &str = "old_9Zk3";

const UNKNOWN: Result<ApiKeyId, VerifyError> = Err(VerifyError::Rejected(Rejection::Malformed));

/// A set whose digests are slow; its key has the digest that is its number again and again.
pub(super) fn slow_set(number: u8) -> Set {
    let cost = Some("i=10000,h=sha256".parse().expect("should be costs"));
    let (prefix, salt) = ("old_".to_owned(), Some("salt of all rows".to_owned()));
    let layout = KeyLayout { prefix, cost, salt, ..KeyLayout::new(Scheme::Pbkdf2) };
    Set::new(number.into(), realm(), layout, [number; 16], None)
}

pub(super) fn digest(byte: u8) -> Check {
    Check::Fast { digest: [byte; 32].into(), salt: [].into() }
}

/// What an old system's answer about the text puts on record.
pub(super) fn recorded() -> (Set, Check) {
    let layout = KeyLayout { prefix: "old_".to_owned(), ..KeyLayout::new(Scheme::Sha256) };
    let check = Check::Fast { digest: Sha256::digest(TEXT).as_slice().into(), salt: [].into() };
    (Set::new(20, realm(), layout, [20; 16], None), check)
}

pub(super) fn slow_id(number: u8) -> ApiKeyId {
    slow_set(number).id_of(None, &digest(number))
}

pub(super) fn recorded_id() -> ApiKeyId {
    let (set, check) = recorded();
    set.id_of(None, &check)
}

/// A key of this set.
pub(super) fn row(set: &Set, check: Check, expires_at: Option<u32>) -> ImportedRow {
    ImportedRow {
        place: set.number,
        set: set.number,
        id: set.id_of(None, &check),
        app_id: Uuid::nil(),
        issued_at: 5,
        expires_at,
        claims: Claims::new().with_scopes(["read"]),
        public: None,
        check,
        replaced: false,
    }
}

/// Adds a set with one key.
pub(super) fn add(moment: &Moment, set: Set, check: Check, expires_at: Option<u32>) {
    let row = row(&set, check, expires_at);
    moment.imported.table().add_set(set);
    moment.imported.table().add(&[row]);
}

/// A moment with two slow sets, where `slow` says so, and the old systems of these realms.
pub(super) fn moment(keys: &Keys, slow: bool, asked: &[Realm], revoked: &[ApiKeyId], is_stale: bool) -> Moment {
    let mut moment = Moment::of(keys, revoked, is_stale);
    if slow {
        [11, 12].into_iter().for_each(|number| add(&moment, slow_set(number), digest(number), None));
    }
    let config = "exec = [\"/usr/bin/check\"]\nprefix = \"old_\"";
    let old = |realm: &Realm| OldSystem::new(*realm, toml::from_str(config).expect("should be a table"));
    moment.old_systems = asked.iter().map(old).collect();
    moment
}

#[test]
fn slow_digests_come_first_then_old_systems_and_what_could_not_be_tried_is_not_denied() {
    use Answer::{Digest, Old};
    use Learned::{CouldNotTell, Known, Unknown};
    const NO: Answer = Digest(Some(0));
    let keys = Keys::new();
    let (live, both) = ([realm()], [realm(), other_realm()]);
    let (first, second) = (Digest(Some(11)), Digest(Some(12)));
    for (slow, asked, answers, expected) in [
        (false, &[][..], &[][..], UNKNOWN),
        // Slow digests.
        (true, &[], &[first, NO], Ok(slow_id(11))),
        (true, &[], &[NO, second], Ok(slow_id(12))),
        // Nothing is accepted that may have ended in another set: where it is known as a key, it is tried once more.
        (true, &[], &[Digest(None), second, NO], Ok(slow_id(12))),
        (true, &[], &[Digest(None), second, first], Ok(slow_id(12))),
        (true, &[], &[Digest(None), second, Digest(None)], Err(UNCHECKED)),
        (true, &[], &[first, Digest(None)], Err(UNCHECKED)),
        (true, &[], &[second, first], UNKNOWN),
        (true, &[], &[NO, Digest(None)], Err(UNCHECKED)),
        // Old systems.
        (false, &live, &[Old("live", Unknown)], UNKNOWN),
        (false, &live, &[Old("live", CouldNotTell)], Err(UNCHECKED)),
        (false, &live, &[Old("live", Known)], Ok(recorded_id())),
        (false, &both, &[Old("live", Unknown), Old("test", Unknown)], UNKNOWN),
        (false, &both, &[Old("live", Unknown), Old("test", Known)], Ok(recorded_id())),
        (false, &both, &[Old("live", CouldNotTell), Old("test", Unknown)], Err(UNCHECKED)),
        (false, &both, &[Old("live", CouldNotTell), Old("test", Known)], Ok(recorded_id())),
        // Both, in this order.
        (true, &live, &[NO, second], Ok(slow_id(12))),
        (true, &live, &[NO, Digest(None)], Err(UNCHECKED)),
        (true, &live, &[NO, NO, Old("live", Unknown)], UNKNOWN),
        (true, &live, &[NO, NO, Old("live", Known)], Ok(recorded_id())),
    ] {
        let (before, after) = (moment(&keys, slow, asked, &[], false), moment(&keys, slow, asked, &[], false));
        if matches!(answers.last(), Some(Old(_, Known))) {
            let (set, check) = recorded();
            add(&after, set, check, None);
        }
        let wanted = Wanted { realms: both.to_vec(), ..wanted(&["read"]) };
        assert_eq!(drive(TEXT, &wanted, [&before, &after], answers), expected, "{slow} {asked:?} {answers:?}");
    }
}

#[test]
fn only_texts_and_realms_that_count_are_asked_about() {
    use Answer::{Digest, Old};
    let keys = Keys::new();
    let now = moment(&keys, true, &[realm(), other_realm()], &[], false);
    let unknown = Old("live", Learned::Unknown);
    for (text, answers) in [
        (TEXT, &[Digest(Some(0)), Digest(Some(0)), unknown][..]),
        (SHORT, &[Digest(Some(0)), Digest(Some(0))]),
        ("new_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf", &[]),
    ] {
        assert_eq!(drive(text, &wanted(&[]), [&now; 2], answers), UNKNOWN, "{text}");
    }
    // A sealed key is never looked for, whatever is wrong with it.
    let (sealed, _) = keys.issue(Claims::new());
    let realms = vec![other_realm()];
    assert_eq!(drive(&sealed, &Wanted { realms, ..wanted(&[]) }, [&now; 2], &[]), rejected(Rejection::Realm));
}

#[test]
fn a_key_that_was_found_late_holds_in_the_state_of_then() {
    use Answer::{Digest, Old};
    let keys = Keys::new();
    let live = [realm()];
    let (found, known) = ([Digest(Some(11)), Digest(Some(0))], [Old("live", Learned::Known)]);
    for (revoked, is_stale, scope, expected) in [
        (false, false, "read", None),
        (true, false, "read", Some(VerifyError::Rejected(Rejection::Revoked))),
        (false, true, "read", Some(STALE)),
        (true, true, "read", Some(VerifyError::Rejected(Rejection::Revoked))),
        (false, false, "write", Some(VerifyError::Rejected(Rejection::Scope))),
    ] {
        for (slow, id, answers) in [(true, slow_id(11), &found[..]), (false, recorded_id(), &known)] {
            let revoked = if revoked { &[id][..] } else { &[] };
            let (before, after) =
                (moment(&keys, slow, &live, &[], false), moment(&keys, slow, &live, revoked, is_stale));
            let (set, check) = recorded();
            add(&after, set, check, None);
            // What is rejected in its realm, and what is stale, is looked for in no other set of the realm.
            let answers = if revoked.is_empty() && !is_stale { answers } else { &answers[..1] };
            let verdict = drive(TEXT, &wanted(&[scope]), [&before, &after], answers);
            assert_eq!(verdict, expected.map_or(Ok(id), Err), "{slow} {revoked:?} {is_stale} {scope}");
        }
    }
    // What an old system accepts, and nobody finds on record, is neither accepted nor called no key.
    let now = moment(&keys, false, &live, &[], false);
    assert_eq!(drive(TEXT, &wanted(&[]), [&now; 2], &known), Err(VerifyError::SecretUnchecked));
}

/// Looks for the keys to end in the first moment, goes on in the second one, and gives these answers.
pub(super) fn drive_ending(
    keys: &Keys,
    text: &str,
    realms: &[Realm],
    moments: [&Moment; 2],
    answers: &[Answer],
) -> Ids {
    let mut step = decide_ending(&moments[0].state(), &keys.document, text, realms.to_vec());
    let mut answers = answers.iter();
    loop {
        let pending = match step {
            Step::Done(ids) => {
                assert_eq!(answers.next(), None, "fewer questions than answers");
                return ids;
            }
            Step::Ask(pending) => pending,
        };
        step = match (pending, *answers.next().expect("more questions than answers")) {
            (PendingIds::Hash(pending), Answer::Hash(checked)) => pending.resume(checked),
            (PendingIds::Digest(pending), Answer::Digest(digest)) => {
                let digest = digest.map(|byte| [byte; 32]);
                pending.resume(digest.as_ref().map(|digest| digest.as_slice()))
            }
            (PendingIds::OldSystem(pending), Answer::Old(realm, learned)) => {
                assert_eq!(pending.old_system().realm().as_str(), realm);
                pending.resume(learned, &moments[1].state(), text)
            }
            (_, answer) => panic!("{answer:?} answers another question"),
        };
    }
}

#[test]
fn a_holder_ends_what_slow_digests_find_and_then_what_an_old_system_knows() {
    use Answer::{Digest, Hash, Old};
    use Learned::{CouldNotTell, Known, Unknown};
    const NO: Answer = Digest(Some(0));
    const NOT_TOLD: Ids = Err(EndingError::Unchecked);
    let keys = Keys::new();
    let (live, both) = ([realm()], [realm(), other_realm()]);
    let (first, second, expired) = (Digest(Some(11)), Digest(Some(12)), Digest(Some(13)));
    let (unknown, right) = (Old("live", Unknown), Hash(Checked::Right));
    for (slow, asked, answers, expected) in [
        (false, &[][..], &[][..], Ok(vec![])),
        // Slow digests, of a key that has expired as well. No old system is asked about what they find or may find.
        (true, &live, &[first, NO, NO], Ok(vec![slow_id(11)])),
        (true, &live, &[first, second, NO], Ok(vec![slow_id(11), slow_id(12)])),
        (true, &live, &[Digest(None), second, NO, NO], Ok(vec![slow_id(12)])),
        (true, &live, &[Digest(None), second, NO, first], Ok(vec![slow_id(12), slow_id(11)])),
        (true, &live, &[Digest(None), second, NO, Digest(None)], Err(EndingError::Partly(vec![slow_id(12)]))),
        (true, &live, &[NO, NO, expired], Ok(vec![slow_id(13)])),
        (true, &live, &[NO, Digest(None), NO], NOT_TOLD),
        (true, &[], &[NO, NO, NO], Ok(vec![])),
        // Old systems.
        (true, &live, &[NO, NO, NO, unknown], Ok(vec![])),
        (true, &live, &[NO, NO, NO, Old("live", CouldNotTell)], NOT_TOLD),
        (true, &live, &[NO, NO, NO, Old("live", Known), right], Ok(vec![recorded_id()])),
        (false, &live, &[unknown], Ok(vec![])),
        (false, &live, &[Old("live", Known), right], Ok(vec![recorded_id()])),
        (false, &live, &[Old("live", Known), Hash(Checked::CouldNotTell)], NOT_TOLD),
        (false, &both, &[unknown, Old("test", Unknown)], Ok(vec![])),
        (false, &both, &[unknown, Old("test", Known), right], Ok(vec![recorded_id()])),
        (false, &both, &[Old("live", CouldNotTell), Old("test", Unknown)], NOT_TOLD),
        (false, &both, &[Old("live", CouldNotTell), Old("test", Known), right], Ok(vec![recorded_id()])),
    ] {
        let (before, after) = (moment(&keys, slow, asked, &[], true), moment(&keys, slow, asked, &[], true));
        if slow {
            [&before, &after].iter().for_each(|moment| add(moment, slow_set(13), digest(13), Some(NOW as u32)));
        }
        let (set, check) = recorded();
        add(&after, set, check, None);
        let ids = drive_ending(&keys, TEXT, &both, [&before, &after], answers);
        assert_eq!(ids, expected, "{slow} {asked:?} {answers:?}");
    }
    // What an old system accepts, and nobody finds on record, is not called no key.
    let now = moment(&keys, false, &live, &[], false);
    assert_eq!(drive_ending(&keys, TEXT, &live, [&now; 2], &[Old("live", Known)]), NOT_TOLD);
    // What is on record, and what holds a key of ours, is no question for an old system.
    let (known, (set, check)) = (moment(&keys, false, &live, &[], false), recorded());
    add(&known, set, check, None);
    assert_eq!(drive_ending(&keys, TEXT, &live, [&known; 2], &[right]), Ok(vec![recorded_id()]));
    // It is no row that shares a part with it.
    assert_eq!(drive_ending(&keys, TEXT, &live, [&known; 2], &[Hash(Checked::Wrong), unknown]), Ok(vec![]));
    let not_told = Old("live", CouldNotTell);
    assert_eq!(drive_ending(&keys, TEXT, &live, [&known; 2], &[Hash(Checked::Wrong), not_told]), NOT_TOLD);
    let (sealed, id) = keys.issue(Claims::new());
    assert_eq!(drive_ending(&keys, &format!("old_{sealed}"), &live, [&now; 2], &[]), Ok(vec![]));
    assert_eq!(drive_ending(&keys, &sealed, &live, [&now; 2], &[]), Ok(vec![id]));
}
