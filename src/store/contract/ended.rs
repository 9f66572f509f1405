//! Imported keys that were revoked or suspended here, and are imported again or removed.

use std::io;

use sha2::{Digest, Sha256};

use super::*;
use crate::{
    action::{
        Actor,
        import::{Import, Progress, Summary},
        imported_sets,
    },
    config::FleetConfig,
    imported::{Check, Format, KeyLayout, Reader, Reading, RowError, Scheme, Set},
};

/// An app that no rule is about.
const OTHER_APP: u128 = 99;

struct Silent;

impl Progress for Silent {
    fn refused(&mut self, _: &RowError) -> io::Result<()> {
        Ok(())
    }

    fn read(&mut self, _: u64, _: u64) {}
}

fn layout() -> KeyLayout {
    KeyLayout::new(Scheme::Sha256)
}

/// A row of the key `text`.
fn row_of(text: &str, app: u128, issued_at: i64, expires_at: Option<i64>) -> String {
    let (hash, app) = (hex::encode(Sha256::digest(text)), Uuid::from_u128(app));
    let (issued_at, expires_at) = (at(issued_at).as_second(), expires_at.map(|expiry| at(expiry).as_second()));
    json!({"app_id": app, "hash": hash, "issued_at": issued_at, "expires_at": expires_at}).to_string()
}

/// Imports rows ten seconds after the beginning, and corrects what is on record.
fn import(store: &dyn Store, rows: &[String]) -> Summary {
    let (realm, now, layout, fleet) = (id(ONE).realm(), at(10), layout(), FleetConfig::default());
    let (set, rows) = (Set::new(0, realm, layout.clone(), [0; 16], None), rows.join("\n"));
    let mut reader = Reader::new(Box::new(rows.as_bytes()), Format::Jsonl, Reading::new(&set, now)).expect("a reader");
    let (actor, fleet) = (Actor::service(), &fleet);
    let import = Import { store, fleet, actor: &actor, now, realm, layout: &layout, dry_run: false, replace: true };
    import.run(&mut reader, &mut Silent).expect("imported")
}

fn stored_set(store: &dyn Store) -> StoredSet {
    store.imported_sets().expect("the sets").remove(0)
}

fn id_of(store: &dyn Store, text: &str) -> ApiKeyId {
    let StoredSet { number, realm, layout, id_key } = stored_set(store);
    let check = Check::Fast { digest: Sha256::digest(text).as_slice().into(), salt: [].into() };
    Set::new(number, realm, layout, id_key, None).id_of(None, &check)
}

fn seconds(after: i64) -> u32 {
    u32::try_from(at(after).as_second()).expect("it fits")
}

/// What the log has of a key: each change, and when it takes effect.
fn logged(store: &dyn Store, id: ApiKeyId) -> Vec<(Change, Option<u32>)> {
    let about = |change: &Change| match change {
        Change::Revoke { id: of, .. } | Change::Suspend { id: of, .. } | Change::Resume { id: of } => *of == id,
        _ => false,
    };
    let events = log_after(store, 0, 1_000).into_iter().filter(|event| about(&event.change));
    events.map(|event| (event.change, event.effective_at)).collect()
}

fn state(store: &dyn Store, id: ApiKeyId, now: i64) -> State {
    store.find(&id).expect("looked").expect("found").state(at(now))
}

pub(super) fn an_ended_key_that_is_corrected_stays_ended(tested: &TestStore) {
    let store = &*tested.store;
    let keys = ["revoked", "swept", "suspended", "ending"];
    let rows = |expires_at| keys.map(|text| row_of(text, 7, 0, Some(expires_at)));
    assert_eq!(import(store, &rows(100)).imported, 4);
    let [revoked, swept, suspended, ending] = keys.map(|text| id_of(store, text));
    let expiry = Some(seconds(100));
    append(store, Change::Revoke { id: swept, expires_at: expiry }, 0);
    sweep(store, [101, 0, 0], &[]).expect("swept");
    assert_eq!(logged(store, swept), []);
    append(store, Change::Revoke { id: revoked, expires_at: expiry }, 0);
    append(store, Change::Suspend { id: suspended, expires_at: expiry }, 0);
    append(store, Change::Revoke { id: ending, expires_at: expiry }, 60);
    assert_eq!(import(store, &rows(9_000)).corrected, 4);
    let expires_at = Some(seconds(9_000));
    let ended = || {
        assert_eq!(logged(store, revoked), [(Change::Revoke { id: revoked, expires_at }, None)]);
        assert_eq!(logged(store, swept), [(Change::Revoke { id: swept, expires_at }, None)]);
        assert_eq!(logged(store, suspended), [(Change::Suspend { id: suspended, expires_at }, None)]);
        assert_eq!(logged(store, ending), [(Change::Revoke { id: ending, expires_at }, Some(seconds(60)))]);
    };
    ended();
    sweep(store, [101, 0, 0], &[]).expect("swept");
    ended();
    assert_eq!([revoked, swept].map(|id| state(store, id, 11)), [State::Revoked; 2]);
    assert_eq!([suspended, ending].map(|id| state(store, id, 11)), [State::Suspended, State::Active]);
    assert_eq!(state(store, ending, 60), State::Revoked);
    let entry = store.find(&revoked).expect("looked").expect("found");
    assert_eq!((entry.revoked_at, entry.revoke_reason.as_deref()), (Some(at(0)), Some("why")), "as it was");
    let end = store.log_end().expect("the end").seq;
    assert_eq!((import(store, &rows(9_000)).unchanged, store.log_end().expect("the end").seq), (4, end));
}

pub(super) fn a_key_that_a_rule_revoked_is_revoked_by_its_id_once_it_is_not_under_the_rule(tested: &TestStore) {
    let store = &*tested.store;
    let keys = ["other app", "issued later", "renamed", "never ruled"];
    let before = keys.map(|text| row_of(text, 7, -500, None));
    import(store, &before[..3]);
    let [other_app, later, renamed, never] = keys.map(|text| id_of(store, text));
    append(store, Change::RevokeApp { app_id: Uuid::from_u128(7), realm: None, issued_before: seconds(-100) }, 0);
    import(store, &[row_of(keys[3], OTHER_APP, -500, None)]);
    let mut name: serde_json::Value = serde_json::from_str(&before[2]).expect("a row");
    name["name"] = json!("another name");
    let rows = [
        row_of(keys[0], OTHER_APP, -500, None),
        row_of(keys[1], 7, 0, Some(500)),
        name.to_string(),
        row_of(keys[3], OTHER_APP, -400, None),
    ];
    assert_eq!(import(store, &rows).corrected, 4);
    let revoked = |id, expires_at| vec![(Change::Revoke { id, expires_at }, None)];
    assert_eq!(logged(store, other_app), revoked(other_app, None));
    assert_eq!(logged(store, later), revoked(later, Some(seconds(500))));
    assert_eq!((logged(store, renamed), logged(store, never)), (vec![], vec![]));
    let states = [other_app, later, renamed, never].map(|id| state(store, id, 11));
    assert_eq!(states, [State::Revoked, State::Revoked, State::Revoked, State::Active]);
}

pub(super) fn ended_keys_of_a_removed_set_are_kept(tested: &TestStore) {
    let store = &*tested.store;
    let keys = ["active", "resumed", "revoked", "swept", "suspended", "ending", "in the log alone", "ruled"];
    let rows = keys.map(|text| row_of(text, if text == "ruled" { 7 } else { OTHER_APP }, 0, Some(100)));
    import(store, &rows);
    let [active, resumed, revoked, swept, suspended, ending, log_alone, ruled] = keys.map(|text| id_of(store, text));
    let expires_at = Some(seconds(100));
    append(store, Change::Revoke { id: swept, expires_at }, 0);
    sweep(store, [101, 0, 0], &[]).expect("swept");
    append(store, Change::Suspend { id: resumed, expires_at }, 0);
    append(store, Change::Resume { id: resumed }, 0);
    append(store, Change::Revoke { id: revoked, expires_at }, 0);
    append(store, Change::Suspend { id: suspended, expires_at }, 0);
    append(store, Change::Revoke { id: ending, expires_at }, 60);
    append(store, Change::Revoke { id: log_alone, expires_at }, 0);
    tested.sql(&format!("UPDATE api_keys SET revoked_at = NULL WHERE api_key_id = '{log_alone}'"));
    append(store, Change::RevokeApp { app_id: Uuid::from_u128(7), realm: None, issued_before: seconds(1) }, 0);
    let removed = imported_sets::remove(store, &Actor::service(), &stored_set(store), at(10)).expect("removed");
    assert_eq!(removed, RemovedSet { removed: 2, kept: 6 });
    assert!([active, resumed].iter().all(|id| store.find(id).expect("looked").is_none()));
    let again = import(store, &keys.map(|text| row_of(text, OTHER_APP, 0, Some(9_000))));
    assert_eq!((again.imported, again.corrected), (2, 6));
    sweep(store, [101, 0, 0], &[]).expect("swept");
    let states = [active, resumed, revoked, swept, suspended, ending, log_alone, ruled].map(|id| state(store, id, 60));
    let revoked = State::Revoked;
    let ended = [revoked, revoked, State::Suspended, revoked, revoked, revoked];
    assert_eq!((&states[..2], &states[2..]), (&[State::Active; 2][..], &ended[..]));
}
