//! A text that several sets may have, fast ones and slow ones, in one realm or in two.

use super::{
    tests::{Answer, Keys, Moment, STALE, UNCHECKED, drive, other_realm, realm, rejected, wanted},
    unknown_tests::{TEXT, add, digest, drive_ending, moment, recorded, recorded_id, slow_id, slow_set},
    *,
};
use crate::imported::{Check, KeyLayout, PublicPart, Scheme, Set};

const NO: Answer = Answer::Digest(Some(0));
const FIRST: Answer = Answer::Digest(Some(11));
const SECOND: Answer = Answer::Digest(Some(12));
const FAILS: Answer = Answer::Digest(None);

/// A moment with two slow sets, an old system, and a row whose digest is found at once.
fn with_fast_row(keys: &Keys, revoked: &[ApiKeyId], is_stale: bool) -> Moment {
    let moment = moment(keys, true, &[realm()], revoked, is_stale);
    let (set, check) = recorded();
    add(&moment, set, check, None);
    moment
}

/// A key of another text that has the public part of this one.
fn neighbour(scheme: Scheme) -> (Set, Check) {
    let (prefix, public) = ("old_".to_owned(), PublicPart::First(4));
    let layout = KeyLayout { prefix, public, shared: true, ..KeyLayout::new(scheme) };
    let check = match scheme {
        Scheme::Bcrypt => Check::Text("never looked at".into()),
        _ => digest(7),
    };
    (Set::new(30, realm(), layout, [30; 16], None), check)
}

#[test]
fn a_row_that_only_a_slow_digest_finds_rejects_what_another_one_accepts() {
    let keys = Keys::new();
    let (first, second, fast) = (slow_id(11), slow_id(12), recorded_id());
    for (revoked, answers, expected) in [
        (&[][..], &[NO, NO][..], Ok(fast)),
        (&[], &[FIRST, SECOND], Ok(fast)),
        (&[first], &[FIRST], rejected(Rejection::Revoked)),
        (&[second], &[NO, SECOND], rejected(Rejection::Revoked)),
        (&[second], &[FIRST, SECOND], rejected(Rejection::Revoked)),
        (&[first, second], &[NO, NO], Ok(fast)),
        // Whether it has ended there could not be told.
        (&[], &[FAILS, NO], Err(UNCHECKED)),
        (&[second], &[FAILS, SECOND], rejected(Rejection::Revoked)),
        // Neither is a slow digest computed nor an old system asked where that would decide nothing.
        (&[fast], &[], rejected(Rejection::Revoked)),
    ] {
        let now = with_fast_row(&keys, revoked, false);
        assert_eq!(drive(TEXT, &wanted(&["read"]), [&now; 2], answers), expected, "{revoked:?} {answers:?}");
    }
    let stale = with_fast_row(&keys, &[], true);
    assert_eq!(drive(TEXT, &wanted(&["read"]), [&stale; 2], &[]), Err(STALE));
    let now = with_fast_row(&keys, &[], false);
    let lacking = drive(TEXT, &wanted(&["write"]), [&now; 2], &[NO, NO]);
    assert_eq!(lacking, rejected(Rejection::Scope), "another set might grant it");
    // Revoked while a digest was computed.
    let later = with_fast_row(&keys, &[second], false);
    assert_eq!(drive(TEXT, &wanted(&[]), [&now, &later], &[NO, SECOND]), rejected(Rejection::Revoked));
}

#[test]
fn a_row_that_is_not_the_text_hides_no_key() {
    use Answer::{Hash, Old};
    use Checked::{CouldNotTell, Right, Wrong};
    use Learned::{Known, Unknown};
    let (keys, asked) = (Keys::new(), [realm()]);
    let (known, unknown) = (Old("live", Known), Old("live", Unknown));
    let wrong = rejected(Rejection::SecretWrong);
    let id_of = |(set, check): (Set, Check)| set.id_of(Some(b"9Zk3"), &check);
    for (scheme, is_revoked, slow, answers, expected) in [
        // Its digest tells at once.
        (Scheme::Sha256, false, true, &[FIRST, NO][..], Ok(slow_id(11))),
        (Scheme::Sha256, true, true, &[FIRST, NO], Ok(slow_id(11))),
        (Scheme::Sha256, false, true, &[NO, FAILS], Err(UNCHECKED)),
        (Scheme::Sha256, false, true, &[NO, NO, unknown], wrong),
        (Scheme::Sha256, false, false, &[unknown], wrong),
        (Scheme::Sha256, false, false, &[known], Ok(recorded_id())),
        (Scheme::Sha256, true, false, &[known], Ok(recorded_id())),
        // A slow hash tells, and is computed once.
        (Scheme::Bcrypt, false, true, &[Hash(Wrong), FIRST, NO], Ok(slow_id(11))),
        (Scheme::Bcrypt, false, true, &[Hash(Wrong), NO, NO, known], Ok(recorded_id())),
        (Scheme::Bcrypt, false, true, &[Hash(CouldNotTell), FIRST, NO], Ok(slow_id(11))),
        (Scheme::Bcrypt, false, true, &[Hash(CouldNotTell), NO, NO], Err(UNCHECKED)),
        (Scheme::Bcrypt, true, true, &[Hash(Wrong), FIRST, NO], Ok(slow_id(11))),
        (Scheme::Bcrypt, true, false, &[Hash(Wrong), known], Ok(recorded_id())),
        (Scheme::Bcrypt, true, true, &[Hash(Right)], rejected(Rejection::Revoked)),
        (Scheme::Bcrypt, true, true, &[Hash(CouldNotTell)], Err(UNCHECKED)),
    ] {
        let revoked = if is_revoked { vec![id_of(neighbour(scheme))] } else { Vec::new() };
        let moments = [(), ()].map(|()| {
            let moment = moment(&keys, slow, &asked, &revoked, false);
            add_with_public(&moment, neighbour(scheme));
            moment
        });
        let (set, check) = recorded();
        if answers.contains(&known) {
            add(&moments[1], set, check, None);
        }
        let verdict = drive(TEXT, &wanted(&["read"]), [&moments[0], &moments[1]], answers);
        assert_eq!(verdict, expected, "{scheme:?} {is_revoked} {slow} {answers:?}");
    }
    // Nothing is left to look for, and no hash is computed to reject it.
    let scheme = Scheme::Bcrypt;
    let now = moment(&keys, false, &[], &[id_of(neighbour(scheme))], false);
    add_with_public(&now, neighbour(scheme));
    assert_eq!(drive(TEXT, &wanted(&[]), [&now; 2], &[]), rejected(Rejection::Revoked));
}

fn add_with_public(moment: &Moment, (set, check): (Set, Check)) {
    let mut row = super::unknown_tests::row(&set, check, None);
    row.public = Some(b"9Zk3".as_slice().into());
    row.id = set.id_of(row.public.as_deref(), &row.check);
    moment.imported.table().add_set(set);
    moment.imported.table().add(&[row]);
}

#[test]
fn in_another_realm_it_is_another_key() {
    let keys = Keys::new();
    let in_other = |number: u8, layout| Set::new(number.into(), other_realm(), layout, [number; 16], None);
    let slow = || in_other(41, slow_set(41).layout);
    let fast = || {
        let (set, check) = recorded();
        (in_other(42, set.layout), check)
    };
    let (slow_in_other, fast_in_other) = (slow().id_of(None, &digest(41)), fast().0.id_of(None, &fast().1));
    let of = |realms: &[Realm]| Wanted { realms: realms.to_vec(), ..wanted(&["read"]) };
    let (other, both) = (of(&[other_realm()]), of(&[realm(), other_realm()]));
    let found = Answer::Digest(Some(41));
    for (wanted, revoked, answers, expected) in [
        (&other, &[][..], &[found][..], Ok(slow_in_other)),
        (&other, &[], &[NO], rejected(Rejection::Realm)),
        (&other, &[recorded_id()], &[found], Ok(slow_in_other)),
        (&both, &[recorded_id()], &[found], Ok(slow_in_other)),
        (&both, &[recorded_id()], &[NO], rejected(Rejection::Revoked)),
        (&both, &[slow_in_other], &[NO, NO], Ok(recorded_id())),
    ] {
        let now = with_fast_row(&keys, revoked, false);
        add(&now, slow(), digest(41), None);
        assert_eq!(drive(TEXT, wanted, [&now; 2], answers), expected, "{:?} {revoked:?} {answers:?}", wanted.realms);
    }
    let now = with_fast_row(&keys, &[slow_id(11)], false);
    let (set, check) = fast();
    add(&now, set, check, None);
    assert_eq!(drive(TEXT, &both, [&now; 2], &[FIRST]), Ok(fast_in_other), "it has ended in the first realm alone");
}

#[test]
fn a_holder_ends_what_is_found_and_is_told_of_what_could_not_be_tried() {
    use Answer::Hash;
    use Checked::{CouldNotTell, Right, Wrong};
    let keys = Keys::new();
    let now = with_fast_row(&keys, &[], false);
    let partly = |ids: &[ApiKeyId]| Err(EndingError::Partly(ids.to_vec()));
    for (answers, expected) in [
        (&[Hash(Right), FIRST, NO][..], Ok(vec![recorded_id(), slow_id(11)])),
        (&[Hash(Right), NO, NO], Ok(vec![recorded_id()])),
        (&[Hash(Right), FAILS, SECOND], partly(&[recorded_id(), slow_id(12)])),
        (&[Hash(CouldNotTell), FIRST, NO], partly(&[slow_id(11)])),
        (&[Hash(CouldNotTell), NO, NO], Err(EndingError::Unchecked)),
        (&[Hash(Wrong), NO, NO, Answer::Old("live", Learned::Unknown)], Ok(vec![])),
    ] {
        assert_eq!(drive_ending(&keys, TEXT, &[realm()], [&now; 2], answers), expected, "{answers:?}");
    }
}
