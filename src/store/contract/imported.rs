//! Imported keys.

use super::*;
use crate::imported::{Check, KeyLayout, Scheme};

fn layout(prefix: &str) -> KeyLayout {
    KeyLayout { prefix: prefix.to_owned(), ..KeyLayout::new(Scheme::Sha256SaltKey) }
}

fn new(set: i64, text: &str, byte: u8) -> NewImported {
    let check = Check::Fast { digest: [byte; 32].into(), salt: [byte].as_slice().into() };
    NewImported { set, row: row(text), dated: true, public: Some([byte, byte].as_slice().into()), check }
}

fn import(store: &dyn Store, new: &NewImported) -> Imported {
    transact::<_, StoreError>(store, |transaction| transaction.insert_imported(new)).expect("imported")
}

fn set(store: &dyn Store, prefix: &str) -> StoredSet {
    let realm = id(ONE).realm();
    transact::<_, StoreError>(store, |transaction| transaction.imported_set(realm, &layout(prefix), [7; 16]))
        .expect("a set")
}

pub(super) fn keys_are_imported_once_and_read_page_by_page(tested: &TestStore) {
    let store = &*tested.store;
    let (first, second) = (set(store, "a"), set(store, "b"));
    assert_eq!((first.number, second.number, set(store, "a").number), (1, 2, 1));
    assert_eq!(store.imported_sets().expect("the sets"), [first, second]);
    let (one, two) = (new(1, ONE, 1), new(2, TWO, 2));
    assert_eq!(
        [import(store, &one), import(store, &one), import(store, &two)],
        [Imported::New, Imported::Same, Imported::New]
    );
    assert_eq!(import(store, &new(1, ONE, 3)), Imported::Other);
    let other_app = NewImported { row: LedgerRow { app_id: Uuid::from_u128(99), ..row(ONE) }, ..one.clone() };
    assert_eq!(import(store, &other_app), Imported::Differs(vec!["app_id"]));
    let undated = NewImported { row: LedgerRow { issued_at: at(9), ..row(ONE) }, dated: false, ..one.clone() };
    assert_eq!(import(store, &undated), Imported::Same);
    assert_eq!(store.imported_end().expect("the end"), ImportedEnd { place: 2, changes: 0 });
    let page = |after, limit| store.imported_after(after, limit).expect("a page");
    assert_eq!((page(0, 1).through, page(1, 9).through, page(2, 9).through), (Some(1), Some(2), None));
    let read = &page(1, 9).rows[0];
    assert_eq!((read.id, read.set, &read.check, &read.public), (id(TWO), 2, &two.check, &two.public));
    let elsewhere = store.imported_elsewhere(id(ONE).realm(), 1).expect("looked");
    assert_eq!(elsewhere.in_realm, [Box::from([2; 2].as_slice()), Box::from([2; 32].as_slice())].into());
    assert!(!elsewhere.is_in_others(&[2; 32]));
    let elsewhere = store.imported_elsewhere("other".parse().expect("a realm"), 1).expect("looked");
    assert!(elsewhere.in_realm.is_empty() && elsewhere.is_in_others(&[2; 32]) && !elsewhere.is_in_others(&[3; 32]));
    tested.sql("UPDATE api_keys SET app_id = 'x' WHERE seq = 1; UPDATE imported_sets SET rule = '' WHERE set_id = 2");
    assert_eq!((page(0, 9).rows.len(), page(0, 9).damaged, store.imported_sets().expect("the sets").len()), (0, 2, 1));
}

pub(super) fn migrations_count_what_is_taken_over(tested: &TestStore) {
    let store = &*tested.store;
    set(store, "a");
    let sealed = "acme_live_0000000000000000000000";
    import(store, &new(1, ONE, 1));
    import(store, &new(1, TWO, 2));
    record(store, &[row(sealed)], None).expect("recorded");
    let replace = |text| {
        transact::<_, StoreError>(store, |transaction| transaction.replace_imported(&id(text), &id(sealed)))
            .expect("replaced")
    };
    assert_eq!([replace(ONE), replace(ONE), replace(sealed)], [true, false, false]);
    assert!(store.imported_after(0, 1).expect("a page").rows[0].replaced);
    let used = |text| Use { id: id(text), last_used: 1_795_000_001, count: 1 };
    store.note_uses(&[used(TWO)]).expect("noted");
    let progress = || store.migrations(id(ONE).realm().into(), at(5)).expect("progress").remove(0);
    let numbers = |all: Migration| [all.imported, all.active, all.used, all.replaced, all.taken_over, all.still_in_use];
    assert_eq!(numbers(progress()), [2, 2, 1, 1, 0, 1]);
    store.note_uses(&[used(sealed)]).expect("noted");
    assert_eq!(numbers(progress()), [2, 2, 1, 1, 1, 1]);
    assert_eq!(store.taken_over(id(ONE).realm(), 9).expect("looked"), [id(ONE)]);
    append(store, Change::Revoke { id: id(ONE), expires_at: None }, 0);
    assert_eq!(store.taken_over(id(ONE).realm(), 9).expect("looked"), []);
    assert_eq!(store.migrations(None, at(5)).expect("progress"), [progress()]);
    assert_eq!(store.migrations("acme_test".parse().ok(), at(5)).expect("progress"), []);
}

pub(super) fn a_damaged_row_keeps_no_other_key_from_being_retired(tested: &TestStore) {
    let store = &*tested.store;
    set(store, "a");
    let sealed = "acme_live_0000000000000000000000";
    import(store, &new(1, ONE, 1));
    import(store, &new(1, TWO, 2));
    record(store, &[row(sealed)], None).expect("recorded");
    for text in [ONE, TWO] {
        transact::<_, StoreError>(store, |transaction| transaction.replace_imported(&id(text), &id(sealed)))
            .expect("replaced");
    }
    store.note_uses(&[Use { id: id(sealed), last_used: 1_795_000_001, count: 1 }]).expect("noted");
    tested.sql("UPDATE api_keys SET api_key_id = 'x' WHERE seq = 1");
    assert_eq!(store.taken_over(id(ONE).realm(), 1).expect("looked"), [id(TWO)]);
    assert_eq!(store.taken_over(id(ONE).realm(), u32::MAX).expect("looked"), [id(TWO)]);
}

pub(super) fn imported_keys_are_corrected_and_unused_sets_removed(tested: &TestStore) {
    let store = &*tested.store;
    set(store, "a");
    set(store, "b");
    import(store, &new(1, ONE, 1));
    import(store, &new(2, TWO, 2));
    let correct = |new: &NewImported| {
        transact::<_, StoreError>(store, |transaction| transaction.correct_imported(new)).expect("corrected")
    };
    let other = NewImported {
        row: LedgerRow { app_id: Uuid::from_u128(99), name: Some("new".to_owned()), expires_at: None, ..row(ONE) },
        ..new(1, ONE, 5)
    };
    correct(&other);
    assert_eq!(import(store, &other), Imported::Same);
    let read = store.imported_after(0, 1).expect("a page").rows.remove(0);
    assert_eq!((read.app_id, &read.check), (Uuid::from_u128(99), &other.check));
    assert_eq!(store.imported_end().expect("the end"), ImportedEnd { place: 2, changes: 1 });
    store.note_uses(&[Use { id: id(TWO), last_used: 1_795_000_001, count: 1 }]).expect("noted");
    let counts = |all: Vec<SetCount>| all.iter().map(|one| (one.set.number, one.keys, one.used)).collect::<Vec<_>>();
    assert_eq!(counts(store.imported_set_counts().expect("counts")), [(1, 1, 0), (2, 1, 1)]);
    let remove =
        |set| transact::<_, StoreError>(store, |transaction| transaction.remove_imported_set(set)).expect("looked");
    let removed = |removed| Some(RemovedSet { removed, kept: 0 });
    assert_eq!((remove(2), remove(1), remove(1)), (None, removed(1), removed(0)));
    assert_eq!(counts(store.imported_set_counts().expect("counts")), [(2, 1, 1)]);
    assert!(store.find(&id(ONE)).expect("looked").is_none() && store.find(&id(TWO)).expect("looked").is_some());
    assert_eq!(import(store, &new(1, ONE, 1)), Imported::New, "and once more");
}
