//! A follower's state on its way over a restart: it is the same afterwards, and nothing else is taken for one.

use bulla::{
    ApiKeyId, Realm,
    feed::{FeedState, Format, Head, LogId, Message, SavedStateError, SigningKey},
    keyring::{KeyVersion, KeyringId, VersionState},
    revocation::{Change, RevocationEvent},
};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::fixture::realm;

const T: u64 = 1_800_000_000;

fn id(realm: &str, number: u32) -> ApiKeyId {
    format!("{realm}_00000X{number:016}").parse().expect("an id")
}

fn app(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// A follower that was told each kind of event.
fn follower(of: Option<Realm>) -> FeedState {
    let key = SigningKey::from_seed(&Zeroizing::new([7; 32]));
    let keyring_id = KeyringId::from_bytes([1; 16]);
    let expires_at = Some(T as u32 + 90_000);
    let mut events = vec![
        Change::Revoke { id: id("live", 1), expires_at },
        Change::Revoke { id: id("live", 2), expires_at: None },
        Change::Suspend { id: id("live", 3), expires_at: None },
        Change::Suspend { id: id("live", 4), expires_at },
        Change::Resume { id: id("live", 4) },
        Change::RevokeApp { app_id: app(1), realm: None, issued_before: 500 },
        Change::RevokeApp { app_id: app(2), realm: Some(realm("live")), issued_before: 600 },
        Change::RevokeRealm { realm: realm("live"), issued_before: 300 },
    ];
    if of.is_none() {
        events.push(Change::Revoke { id: id("test", 1), expires_at });
    }
    let mut events: Vec<_> = (1..).zip(events).map(|(seq, change)| RevocationEvent::at_once(seq, change)).collect();
    let later = Change::Revoke { id: id("live", 5), expires_at };
    events.push(RevocationEvent { seq: 20, change: later, effective_at: Some(T as u32 + 50) });
    let versions =
        vec![(KeyVersion::FIRST, VersionState::Compromised), (KeyVersion::new(2).expect("2"), VersionState::Active)];
    let head = Head {
        format: Format::V1,
        keyring_id,
        log_id: LogId::from_bytes([2; 16]),
        realm: of,
        after: 0,
        seq: 21,
        head: 21,
        this_update: T,
        next_update: T + 60,
        keyring_serial: 9,
        versions,
        live: None,
    };
    let mut state = FeedState::new(of);
    let message = Message::write(&head, &events, &key).expect("written");
    let message = Message::read(&message, keyring_id, &key.verifying_key()).expect("read");
    state.apply(&message, T).expect("applied");
    state
}

/// Everything that a state says of itself and of some keys.
fn said(state: &mut FeedState) -> String {
    let ask = |state: &FeedState| {
        let mut asked = String::new();
        for realm in ["live", "test"] {
            for (number, issued_at) in (0..7).flat_map(|number| [(number, 299), (number, 1_000)]) {
                for app_number in 0..3 {
                    let revoked = state.revocations().contains(&id(realm, number), app(app_number), issued_at);
                    asked.push(if revoked { 'r' } else { '-' });
                }
            }
            asked.push_str(&state.revocations().issued_before(app(2), realm.parse().expect("a realm")).to_string());
        }
        asked
    };
    let heads = format!(
        "{:?} {} {:?} {} {:?} {:?} {:?}",
        state.log_id(),
        state.seq(),
        state.fresh(),
        state.keyring_serial(),
        state.versions(),
        state.refused(),
        state.log().scheduled().collect::<Vec<_>>(),
    );
    let before = ask(state);
    state.due(T + 50);
    // What expires is forgotten alike.
    (0..bulla::revocation::Revocations::PARTS).for_each(|part| state.sweep_part(part, T + 90_000 + 90_000));
    format!("{heads} {before} {} {}", ask(state), state.revocations().len())
}

#[test]
fn a_saved_state_is_the_same_again() {
    for of in [None, Some(realm("live"))] {
        let mut state = follower(of);
        let saved = state.save().expect("it is at the end");
        let mut restored = FeedState::restore(of, &saved, T).expect("restored");
        assert_eq!(said(&mut restored), said(&mut state), "{of:?}");
        // A revocation that fell due while nobody ran.
        let later = FeedState::restore(of, &saved, T + 50).expect("restored");
        assert!(later.revocations().contains(&id("live", 5), app(9), 1_000), "{of:?}");
    }
}

#[test]
fn a_follower_goes_on_from_a_saved_state() {
    let (key, keyring_id) = (SigningKey::from_seed(&Zeroizing::new([7; 32])), KeyringId::from_bytes([1; 16]));
    let mut restored = FeedState::restore(None, &follower(None).save().expect("saved"), T).expect("restored");
    let head = Head {
        format: Format::V1,
        keyring_id,
        log_id: LogId::from_bytes([2; 16]),
        realm: None,
        after: 21,
        seq: 22,
        head: 22,
        this_update: T + 30,
        next_update: T + 90,
        keyring_serial: 9,
        versions: vec![(KeyVersion::FIRST, VersionState::Compromised)],
        live: None,
    };
    let event = RevocationEvent::at_once(22, Change::Resume { id: id("live", 3) });
    let message = Message::write(&head, &[event], &key).expect("written");
    let message = Message::read(&message, keyring_id, &key.verifying_key()).expect("read");
    assert!(restored.revocations().contains(&id("live", 3), app(9), 1_000));
    assert!(restored.apply(&message, T + 30).expect("the next one").complete);
    assert!(!restored.revocations().contains(&id("live", 3), app(9), 1_000));
}

#[test]
fn what_another_log_said_stays_apart_and_in_force() {
    let (key, keyring_id) = (SigningKey::from_seed(&Zeroizing::new([7; 32])), KeyringId::from_bytes([1; 16]));
    let head = |this_update: u64| Head {
        format: Format::V2,
        keyring_id,
        log_id: LogId::from_bytes([3; 16]),
        realm: None,
        after: 0,
        seq: 4,
        head: 4,
        this_update,
        next_update: this_update + 60,
        keyring_serial: 9,
        versions: vec![(KeyVersion::FIRST, VersionState::Active)],
        live: None,
    };
    let events = [RevocationEvent::at_once(4, Change::Revoke { id: id("test", 9), expires_at: None })];
    let read = |head: &Head, events: &[RevocationEvent]| {
        let bytes = Message::write(head, events, &key).expect("written");
        Message::read(&bytes, keyring_id, &key.verifying_key()).expect("read")
    };
    let first = read(&Head { format: Format::V1, ..head(T + 1) }, &events);
    // What a server at that place says of it.
    let mut server = FeedState::new(None);
    server.apply(&first, T + 1).expect("applied");
    let live = server.live(0, &head(T).versions);

    let mut state = follower(None);
    state.restart();
    state.apply(&first, T + 1).expect("another log");
    let mut restored = FeedState::restore(None, &state.save().expect("saved"), T + 1).expect("restored");
    let knows = |state: &FeedState, id: ApiKeyId| state.revocations().contains(&id, app(9), 1_000);
    assert!(knows(&restored, id("live", 1)) && knows(&restored, id("test", 9)));
    assert_eq!(said(&mut restored.clone()), said(&mut state.clone()));
    let next = read(&Head { after: 4, live: Some(live), ..head(T + 2) }, &[]);
    assert!(!restored.apply(&next, T + 2).expect("the next one").diverged, "the log alone is compared");
    assert!(knows(&restored, id("live", 1)), "and what another one said stays");
    assert!(!knows(&restored, id("live", 5)), "not yet");
    restored.due(T + 50);
    assert!(knows(&restored, id("live", 5)), "also what waits");
}

#[test]
fn before_the_end_of_the_log_there_is_nothing_to_save() {
    let mut state = FeedState::new(None);
    assert_eq!(state.save(), None);
    state = follower(None);
    state.restart();
    assert_eq!(state.save(), None);
}

#[test]
fn other_bytes_are_refused_and_never_panic() {
    let saved = follower(None).save().expect("saved");
    assert_eq!(FeedState::restore(Some(realm("live")), &saved, T).err(), Some(SavedStateError));
    for cut in 0..saved.len() {
        let _refused_or_shorter = FeedState::restore(None, &saved[..cut], T);
        let mut changed = saved.clone();
        changed[cut] ^= 0x55;
        let _refused_or_other = FeedState::restore(None, &changed, T);
    }
    for wrong in [&[][..], &[2], &[1, 0], &[1, 25]] {
        assert_eq!(FeedState::restore(None, wrong, T).err(), Some(SavedStateError));
    }
}
