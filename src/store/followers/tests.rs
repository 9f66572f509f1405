//! What every store does with the fleet.

use bulla::revocation::Change;

use super::*;
use crate::{
    config::StoreConfig,
    store::{NewRevocation, Store, Transaction, open, transact},
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + seconds).expect("a time")
}

pub(in crate::store) fn row(name: &str, log_id: &str, seq: u64, heard: i64) -> FollowerRow {
    FollowerRow {
        name: name.to_owned(),
        role: Role::Edge,
        owner: "an app".to_owned(),
        address: Some("192.0.2.1".to_owned()),
        version: "0.1.0".to_owned(),
        formats: vec!["feed/1".to_owned(), "feed/2".to_owned()],
        log_id: Some(log_id.to_owned()),
        seq,
        this_update: 1_795_000_000,
        keyring_serial: 3,
        versions: vec![1, 2],
        realms: vec!["live".to_owned()],
        refused: 0,
        last_error: None,
        started_at: 7,
        last_contact: at(heard),
        instance: Some("aa".to_owned()),
        doubled_at: 0,
        reported_by: Some("bulla_00000XzbyFf5rOyRXQyt8V".to_owned()),
    }
}

fn names(rows: &[FollowerRow]) -> Vec<&str> {
    rows.iter().map(|row| row.name.as_str()).collect()
}

/// Runs on a new store.
pub(in crate::store) fn keeps_the_fleet(store: &dyn Store) {
    let always = at(-1_000);
    let end = store.log_end().expect("the end");
    assert_eq!((end.seq, end.newest_at), (0, None));
    let log = end.log_id.as_str();
    assert_eq!(store.fleet_common(always).expect("common"), Common::default());
    let node = FollowerRow { role: Role::Node, owner: "node".to_owned(), address: None, ..row("node", log, 5, 10) };
    let other = FollowerRow { formats: vec!["feed/2".to_owned()], ..row("b", "another log", 9, 20) };
    let mut new = FollowerRow { log_id: None, last_error: Some("why".to_owned()), ..row("c", log, 0, 30) };
    let all = [row("a", log, 4, 0), other, new.clone(), node];
    store.note_followers(&all, always).expect("noted");
    assert_eq!(store.followers("", 10, always).expect("all"), all, "as they were noted");
    assert_eq!(names(&store.followers("a", 2, always).expect("a page")), ["b", "c"]);
    assert_eq!(names(&store.followers("", 10, at(10)).expect("those that were heard")), ["b", "c"]);

    let short = |seq, limit| store.followers_short_of(log, seq, limit, always).expect("looked");
    let reached_4 = short(4, 10);
    assert_eq!((reached_4.registered, reached_4.followers, reached_4.missing), (4, 3, 2));
    assert_eq!(names(&reached_4.rows), ["b", "c"], "another log, and none");
    let reached_5 = short(5, 1);
    assert_eq!((reached_5.missing, names(&reached_5.rows)), (3, vec!["a"]));
    let heard = store.followers_short_of(log, 5, 10, at(25)).expect("looked");
    assert_eq!((heard.registered, names(&heard.rows)), (1, vec!["c"]));
    let knows = |serial| store.followers_short_of_keyring(serial, 1, always).expect("looked");
    assert_eq!((knows(3).registered, knows(3).followers, knows(3).missing), (4, 3, 0));
    assert_eq!((knows(4).missing, names(&knows(4).rows)), (4, vec!["a"]), "no more than asked for are named");
    let common = store.fleet_common(always).expect("common");
    assert_eq!(common, Common { formats: Some(["feed/2".to_owned()].into()), lowest: Some(4) });

    // Within one process a place does not go back, whatever node hears of it last.
    store.note_followers(&[row("a", log, 3, 40)], always).expect("noted");
    let place = |name: &str| {
        let rows = store.followers("", 10, always).expect("all");
        rows.into_iter().find(|row| row.name == name).map(|row| (row.seq, row.last_contact))
    };
    assert_eq!(place("a"), Some((4, at(40))));
    store.note_followers(&[FollowerRow { started_at: 8, ..row("a", log, 1, 50) }], always).expect("noted");
    assert_eq!(place("a"), Some((1, at(50))), "another process may have an older state");
    store.note_followers(&[FollowerRow { started_at: 8, ..row("a", "another log", 0, 60) }], always).expect("noted");
    assert_eq!(place("a"), Some((0, at(60))), "and so may another log");

    // A name has one owner for as long as that one is heard of; a node takes its name.
    let owned = |owner: &str, name: &str, heard| FollowerRow { owner: owner.to_owned(), ..row(name, log, 8, heard) };
    store.note_followers(&[owned("another app", "a", 70)], always).expect("noted");
    assert_eq!(place("a"), Some((0, at(60))), "it stays the first one's");
    store.note_followers(&[owned("another app", "a", 70)], at(60)).expect("noted");
    assert_eq!(place("a"), Some((8, at(70))), "which is not registered any more");
    store.note_followers(&[owned("node", "a", 71)], always).expect("noted");
    let owners = store.follower_owners(&["a".to_owned(), "c".to_owned(), "z".to_owned()], always).expect("owners");
    assert_eq!(owners, [("a".to_owned(), "node".to_owned()), ("c".to_owned(), "an app".to_owned())]);

    let of_app = |heard| store.followers_of("an app", heard).expect("counted");
    assert_eq!((of_app(always), of_app(at(20)), of_app(at(30))), (2, 1, 0), "b and c");

    store.remove_follower("a", "an app", "aa").expect("nothing");
    store.remove_follower("a", "node", "bb").expect("nothing");
    assert!(place("a").is_some(), "it is another's");
    store.remove_follower("a", "node", "aa").expect("removed");
    assert_eq!(place("a"), None);
    let older = |format: &str, heard| {
        let names = |transaction: &mut dyn Transaction| transaction.followers_not_reading(format, 10, heard);
        transact(store, names).expect("looked")
    };
    assert_eq!((older("feed/1", always), older("feed/2", always)), (vec!["b".to_owned()], vec![]));
    assert_eq!(
        (older("feed/", at(10)), older("feed/3", at(25))),
        (vec!["b".to_owned(), "c".to_owned()], vec!["c".to_owned()])
    );
    let forget = |name: &str| transact(store, |transaction| transaction.forget_follower(name)).expect("forgotten");
    assert_eq!((forget("c"), forget("c")), (true, false));
    new.last_contact = at(80);
    store.note_followers(&[new], always).expect("noted");
    store.drop_followers(at(20)).expect("dropped");
    assert_eq!(names(&store.followers("", 10, always).expect("all")), ["c"]);

    let revocation = NewRevocation {
        change: Change::RevokeRealm { realm: "live".parse().expect("a realm"), issued_before: 7 },
        effective_at: None,
        reason: None,
        recorded_at: at(90),
        recorded_by: "test".to_owned(),
    };
    transact(store, |transaction| transaction.append_revocation(&revocation)).expect("revoked");
    let end = store.log_end().expect("the end");
    assert_eq!((end.seq, end.newest_at), (1, Some(at(90))));
}

/// Two processes under one name. Runs on a store that has no member of this name.
pub(in crate::store) fn notices_two_processes_under_one_name(store: &dyn Store) {
    let log = store.log_end().expect("the end").log_id;
    let always = at(-1_000);
    let note = |rows: &[(&str, u64, i64)]| {
        let rows: Vec<_> = rows
            .iter()
            .map(|(instance, seq, heard)| FollowerRow {
                instance: Some((*instance).to_owned()),
                ..row("twin", &log, *seq, *heard)
            })
            .collect();
        store.note_followers(&rows, always).expect("noted");
    };
    let twin = || {
        let rows = store.followers("", 100, always).expect("all");
        rows.into_iter().find(|row| row.name == "twin").expect("its row")
    };
    let is_short = |seq| {
        let short = store.followers_short_of(&log, seq, 100, always).expect("looked");
        names(&short.rows).contains(&"twin")
    };
    let doubled = || store.doubled_followers(10, at(100)).expect("looked");
    note(&[("aa", 4, 200)]);
    // One that was started again takes the name over, with a place of its own, and so do several in turn.
    note(&[("bb", 3, 201)]);
    note(&[("cc", 5, 202)]);
    assert_eq!((twin().seq, twin().is_doubled(), is_short(5)), (5, false, false));
    note(&[("bb", 5, 202)]);
    assert!(twin().is_doubled(), "this one lives though another one took over");
    assert_eq!(doubled(), ["twin"]);
    assert!(is_short(5) && is_short(1), "nobody knows where the other one is");
    let keyring = store.followers_short_of_keyring(1, 100, always).expect("looked");
    assert!(names(&keyring.rows).contains(&"twin"), "nor what it has loaded");
    store.remove_follower("twin", "an app", "cc").expect("nothing");
    assert_eq!(twin().seq, 5, "one that stops does not take the other one out");
    // Both are reported by one node at once.
    note(&[("bb", 4, 240), ("cc", 5, 241), ("bb", 4, 242)]);
    assert_eq!((twin().doubled_at, twin().last_contact), (clock::seconds(at(242)), at(242)));
    note(&[("bb", 5, 302)]);
    assert!(twin().is_doubled());
    note(&[("bb", 5, 303)]);
    assert_eq!(
        (twin().is_doubled(), is_short(5), doubled().len()),
        (false, false, 0),
        "a minute after the other one's last"
    );
    store.remove_follower("twin", "an app", "bb").expect("removed");
}

#[test]
fn a_large_fleet_is_read_in_parts() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&StoreConfig::at("sqlite:bulla.db"), folder.path(), true).expect("a store");
    for count in [999, 1_000, 1_001, 2_000] {
        let rows: Vec<_> = (0..count).map(|at| row(&format!("e{at:04}"), "log", at, 0)).collect();
        store.note_followers(&rows, at(-1)).expect("noted");
        let mut seen = Vec::new();
        store.each_follower(at(-1), &mut |row| seen.push(row.name)).expect("read");
        assert!(seen.len() == rows.len() && seen.is_sorted(), "{count}: {}", seen.len());
    }
}
