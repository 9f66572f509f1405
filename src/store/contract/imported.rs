//! Imported keys.

use super::*;
use crate::imported::{Check, Hashed, KeyLayout, PublicPart, Scheme};

fn layout(prefix: &str) -> KeyLayout {
    KeyLayout {
        scheme: Scheme::Sha256SaltKey,
        prefix: prefix.to_owned(),
        public: PublicPart::None,
        hashed: Hashed::Whole,
        hmac_key: None,
    }
}

fn new(set: i64, text: &str, byte: u8) -> NewImported {
    let check = Check::Fast { digest: [byte; 32], salt: [byte].as_slice().into() };
    NewImported { set, row: row(text), public: Some([byte, byte].as_slice().into()), check }
}

fn import(store: &dyn Store, new: &NewImported) -> Imported {
    transact::<_, StoreError>(store, |transaction| transaction.insert_imported(new)).expect("imported")
}

fn set(store: &dyn Store, prefix: &str) -> StoredSet {
    let realm = id(ONE).realm();
    transact::<_, StoreError>(store, |transaction| transaction.imported_set(realm, &layout(prefix), [7; 16]))
        .expect("a set")
}

pub(super) fn keys_are_imported_once_and_read_page_by_page(place: &Place) {
    let store = &*place.store;
    let (first, second) = (set(store, "a"), set(store, "b"));
    assert_eq!((first.number, second.number, set(store, "a").number), (1, 2, 1));
    assert_eq!(store.imported_sets().expect("the sets"), [first, second]);
    let (one, two) = (new(1, ONE, 1), new(2, TWO, 2));
    assert_eq!(
        [import(store, &one), import(store, &one), import(store, &two)],
        [Imported::New, Imported::Same, Imported::New]
    );
    assert_eq!(import(store, &new(1, ONE, 3)), Imported::Other);
    assert_eq!(store.imported_end().expect("the end"), 2);
    let page = |after, limit| store.imported_after(after, limit).expect("a page");
    assert_eq!((page(0, 1).through, page(1, 9).through, page(2, 9).through), (Some(1), Some(2), None));
    let read = &page(1, 9).rows[0];
    assert_eq!((read.id, read.set, &read.check, &read.public), (id(TWO), 2, &two.check, &two.public));
    let elsewhere = store.imported_elsewhere(id(ONE).realm(), 1).expect("looked");
    assert_eq!(elsewhere, [Box::from([2; 2].as_slice()), Box::from([2; 32].as_slice())].into());
    place.sql("UPDATE api_keys SET app_id = 'x' WHERE seq = 1; UPDATE imported_sets SET rule = '' WHERE set_id = 2");
    assert_eq!((page(0, 9).rows.len(), page(0, 9).damaged, store.imported_sets().expect("the sets").len()), (0, 2, 1));
}

pub(super) fn migrations_count_what_is_taken_over(place: &Place) {
    let store = &*place.store;
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
