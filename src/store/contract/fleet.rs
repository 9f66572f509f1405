//! The nodes and followers that report.

use super::*;

pub(super) fn the_fleet_is_kept(tested: &TestStore) {
    followers::tests::keeps_the_fleet(&*tested.store);
    followers::tests::notices_two_processes_under_one_name(&*tested.store);
}

pub(super) fn what_a_revoked_key_registered_is_removed(tested: &TestStore) {
    let store = &*tested.store;
    let [a, b, c, unknown] = [1, 2, 3, 4].map(|number| format!("acme_live_00000X{number:016}"));
    let of_app = |id: &str, app| LedgerRow { app_id: Uuid::from_u128(app), ..row(id) };
    record(store, &[of_app(&a, 7), of_app(&b, 8), of_app(&c, 9)], None).expect("recorded");
    let member = |name: &str, key: &str| FollowerRow {
        reported_by: Some(key.to_owned()).filter(|key| !key.is_empty()),
        ..followers::tests::row(name, "a log", 1, 0)
    };
    let node = FollowerRow { role: Role::Node, owner: "node".to_owned(), ..member("n", "") };
    let all = [member("a", &a), member("b", &b), member("c", &c), member("d", &unknown), node];
    store.note_followers(&all, at(-1)).expect("noted");
    let left = |now| {
        let dropped = store.drop_followers_of_revoked(at(now)).expect("dropped");
        let rows = store.followers("", 10, at(-1)).expect("all");
        (dropped, rows.into_iter().map(|row| row.name).collect::<String>())
    };
    let left_are = |dropped, names: &str| (dropped, names.to_owned());
    assert_eq!(left(10), left_are(0, "abcdn"));
    append(store, Change::Revoke { id: id(&a), expires_at: None }, 20);
    assert_eq!(left(19), left_are(0, "abcdn"), "not before it takes effect");
    assert_eq!(left(20), left_are(1, "bcdn"));
    let issued = at(0).as_second() as u32;
    let app = |issued_before| Change::RevokeApp { app_id: Uuid::from_u128(8), realm: None, issued_before };
    append(store, app(issued), 0);
    assert_eq!(left(20), left_are(0, "bcdn"), "it was issued at that second");
    append(store, app(issued + 1), 0);
    assert_eq!(left(20), left_are(1, "cdn"));
    append(store, Change::RevokeRealm { realm: id(&c).realm(), issued_before: issued + 1 }, 0);
    assert_eq!(left(20), left_are(1, "dn"));
    let forget = |owner: &str| transact(store, |transaction| transaction.forget_followers_of(owner));
    assert_eq!((forget("another app").expect("none"), forget("an app").expect("forgotten")), (0, 1));
    assert_eq!(left(20), left_are(0, "n"));
}

pub(super) fn a_damaged_member_hides_no_other_and_counts_as_the_worst(tested: &TestStore) {
    let store = &*tested.store;
    let (log, always) = (store.log_end().expect("the end").log_id, at(-1_000));
    let rows = ["a", "b", "c"].map(|name| followers::tests::row(name, &log, 4, 0));
    store.note_followers(&rows, always).expect("noted");
    tested.sql(
        "UPDATE followers SET role = 'x', formats = '[', versions = '{}', keyring_serial = -1,
                last_contact = 9223372036854775807, doubled_at = -9223372036854775807 WHERE name = 'b'",
    );
    let all = store.followers("", 10, always).expect("all");
    assert_eq!(all.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!([&all[0], &all[2]], [&rows[0], &rows[2]]);
    let damaged = &all[1];
    assert_eq!((damaged.role, damaged.keyring_serial, damaged.last_contact), (Role::Edge, 0, Timestamp::MIN));
    assert_eq!((damaged.formats.len(), damaged.versions.len()), (0, 0));
    let told = damaged.last_error.as_deref().unwrap_or_default();
    assert!(told.starts_with("role, formats, ") && told.contains("`bulla fleet forget b`"), "{told}");
    let short = |seq| store.followers_short_of(&log, seq, 10, always).expect("looked");
    assert_eq!((short(4).registered, short(4).missing), (3, 0), "its place can be read");
    tested.sql("UPDATE followers SET seq = -1 WHERE name = 'b'");
    assert_eq!((short(4).missing, short(4).rows[0].name.as_str()), (1, "b"));
    let keyring = store.followers_short_of_keyring(3, 10, always).expect("looked");
    assert_eq!((keyring.registered, keyring.missing, keyring.rows[0].name.as_str()), (3, 1, "b"));
    assert_eq!(store.doubled_followers(10, always).expect("looked"), [""; 0]);
    store.remove_follower("b", "an app", "bb").expect("nothing");
    assert!(transact::<_, StoreError>(store, |transaction| transaction.forget_follower("b")).expect("forgotten"));
    store.note_followers(&rows, always).expect("noted");
    assert_eq!(store.followers("", 10, always).expect("all"), rows, "it is there again");
}
