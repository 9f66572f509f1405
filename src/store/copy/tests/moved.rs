//! The mark in the source of a copy.

use super::*;

fn file() -> StoreConfig {
    StoreConfig::at("sqlite:bulla.db")
}

#[test]
fn nobody_works_on_a_file_that_moved_until_it_is_unmarked() {
    let ((folder, from), place) = (source(), TargetDatabase::new());
    let before = folder.path().join("before.db");
    sql(&folder, &format!("VACUUM INTO '{}'", before.display()));
    place.copy(&*from).expect("copied");
    let opened = || open(&file(), folder.path(), false);
    assert_moved(&*from, opened(), &place);
    let told = opened().err().expect("refused").to_string();
    for part in [place.config.url.as_str(), "bulla.db moved to", "set store.url", "`bulla store unmark`"] {
        assert!(told.contains(part), "{told}");
    }
    // A backup says what the store said when it was made.
    sql(&folder, &format!("VACUUM INTO '{}'", folder.path().join("behind.db").display()));
    let behind = open(&StoreConfig::at("sqlite:behind.db"), folder.path(), false);
    assert!(matches!(behind, Err(StoreError::Moved { .. })));
    open(&StoreConfig::at("sqlite:before.db"), folder.path(), false).expect("made before the mark");

    let source = open_source(&file(), folder.path()).expect("opened to be copied");
    unmark(&*source, &record()).expect("unmarked");
    let again = opened().expect("in use again");
    assert_eq!(again.audit_after(3, 9).expect("the audit").len(), 1, "the record of that");
    note(&*from);
    assert!(matches!(place.copy(&*from), Err(CopyError::InUse(what)) if what.contains("audit, 4")));
}

#[test]
fn nobody_works_on_a_database_that_moved_until_it_is_unmarked() {
    let ((_folder, file), place, next) = (source(), TargetDatabase::new(), TargetDatabase::new());
    place.copy(&*file).expect("copied");
    let from = place.opened().expect("a store");
    next.copy(&*from).expect("copied on");
    assert_moved(&*from, place.opened(), &next);
    assert!(matches!(from.check_files(), Err(StoreError::Moved { .. })));
    note(&*next.opened().expect("the copy is a store"));

    let source = open_source(&place.config, "/".as_ref()).expect("opened to be copied");
    assert!(source.as_source().moved().expect("looked").is_some_and(|moved| moved.to == next.config.url));
    unmark(&*source, &record()).expect("unmarked");
    assert_eq!(source.as_source().moved().expect("looked"), None);
    note(&*place.opened().expect("in use again"));
    let needs = Postgres::shared().psql(&place.database, "SELECT needs, moved_to IS NULL FROM bulla.store");
    assert_eq!(needs, "0|t");
}

#[test]
fn a_store_that_moved_is_copied_nowhere_else() {
    let ((_folder, from), place, other, begun) =
        (source(), TargetDatabase::new(), TargetDatabase::new(), TargetDatabase::new());
    interrupt(&*from, &begun);
    place.copy(&*from).expect("copied");
    for elsewhere in [&other, &begun] {
        let refused = elsewhere.copy(&*from).expect_err("refused");
        assert!(matches!(&refused, CopyError::Moved { to, .. } if *to == place.config.url), "{refused}");
    }
    assert_eq!(other.opened().expect("nothing was begun").count().expect("counted"), 0);
    assert!(begun.opened().is_err(), "half a copy, as before");
}

#[test]
fn a_copy_that_ended_behind_the_mark_goes_on() {
    let ((folder, from), place) = (source(), TargetDatabase::new());
    interrupt(&*from, &place);
    let here = place.target().as_target().expect("a target").moved_here(clock::now());
    from.as_source().mark_moved(&here).expect("marked");
    let again = open_source(&file(), folder.path()).expect("opened to be copied");
    place.copy(&*again).expect("it goes on");
    assert!(all(&*again) == all(&*place.opened().expect("a store")));
    assert_moved(&*from, open(&file(), folder.path(), false), &place);
    assert_eq!(place.copy(&*again).expect("it is one").changed, 0);
}

#[test]
fn a_source_that_cannot_be_marked_is_not_copied() {
    let ((folder, from), place) = (source(), TargetDatabase::new());
    sql(&folder, "CREATE TRIGGER unwritable BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'as if read-only'); END");
    let refused = place.copy(&*from).expect_err("refused");
    assert!(matches!(refused, CopyError::Unmarkable(_)), "{refused}");
    assert_eq!(place.opened().expect("nothing was begun").count().expect("counted"), 0);
    sql(&folder, "DROP TRIGGER unwritable");
    place.copy(&*from).expect("now");
}
