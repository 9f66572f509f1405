//! The feed: every file of `tests/vectors-feed`, which the reference follower wrote, and what makes no file.

use std::{collections::BTreeSet, fs, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bulla::{
    ApiKeyId, Realm,
    feed::{FeedError, FeedState, Format, Head, LogId, Message, SigningKey, Snapshot, SnapshotLoad, VerifyingKey},
    keyring::{KeyVersion, KeyringId, VersionState},
    revocation::{Change, RevocationEvent},
};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::fixture::{self, KEYRING_ID, counting};

const T: u64 = 1_800_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    #[serde(rename = "why")]
    _why: String,
    keyring_id: String,
    public_key: String,
    realm: Option<String>,
    steps: Vec<Step>,
    expect: Value,
    asks: Vec<Ask>,
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Step {
    Restart { restart: bool },
    Text { now: u64, message: String, expect: Value },
    Bytes { now: u64, message_base64: String, expect: Value },
    Snapshot { now: u64, manifest: String, body_base64: String, expect: Value },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    id: String,
    app_id: String,
    issued_at: u32,
    at: u64,
    taken_back: bool,
}

fn vectors() -> Vec<(String, Vector)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors-feed");
    let files = ["accepted", "refused"].into_iter().flat_map(|verdict| fs::read_dir(folder.join(verdict)).unwrap());
    let read = |file: fs::DirEntry| {
        let name = file.path().display().to_string();
        let vector = serde_json::from_str(&fs::read_to_string(file.path()).unwrap());
        (name.clone(), vector.unwrap_or_else(|error| panic!("{name}: {error}")))
    };
    files.map(|file| read(file.unwrap())).collect()
}

fn id(text: &str) -> ApiKeyId {
    text.parse().unwrap()
}

fn state(followed: &FeedState) -> Value {
    let versions = followed.versions().iter();
    json!({
        "log_id": followed.log_id().map(|id| id.to_string()),
        "seq": followed.seq(),
        "this_update": followed.this_update(),
        "fresh_until": followed.fresh_until(),
        "keyring_serial": followed.keyring_serial(),
        "versions": versions.map(|(version, state)| json!({"version": version, "state": state})).collect::<Vec<_>>(),
        "refused_versions": followed.refused(),
    })
}

/// What the follower makes of one message; a message that it takes is written again and must mean the same.
fn apply(followed: &mut FeedState, bytes: &[u8], keyring: KeyringId, key: &VerifyingKey, now: u64) -> Value {
    let before = format!("{:?} {}", followed, followed.revocations().len());
    let applied = Message::read(bytes, keyring, key).and_then(|message| {
        let again = Message::write(message.head(), message.events(), &signing_key())?;
        assert_eq!(Message::read(&again, keyring, key).as_ref(), Ok(&message));
        followed.apply(&message, now)
    });
    match applied {
        Ok(applied) if applied.diverged => json!({"refused": null, "complete": applied.complete, "diverged": true}),
        Ok(applied) => json!({"refused": null, "complete": applied.complete}),
        Err(error) => {
            assert_eq!(format!("{:?} {}", followed, followed.revocations().len()), before);
            json!({"refused": error.code()})
        }
    }
}

/// What the follower makes of a snapshot.
fn load(
    followed: &mut FeedState,
    manifest: &str,
    body: &[u8],
    keyring: KeyringId,
    key: &VerifyingKey,
    now: u64,
) -> Value {
    let before = format!("{:?} {}", followed, followed.revocations().len());
    let loaded = Snapshot::read(manifest.as_bytes(), keyring, key).and_then(|snapshot| {
        let mut load = SnapshotLoad::new(snapshot);
        let mut rest = body;
        while let Some(range) = load.next_range() {
            let (chunk, after) = rest.split_at(range.len().min(rest.len()));
            load.chunk(chunk)?;
            rest = after;
        }
        // A body that goes on is another one.
        if !rest.is_empty() {
            return Err(FeedError::Chunk { chunk: usize::MAX });
        }
        followed.load(load.finish()?, now)
    });
    if let Err(error) = &loaded {
        assert_eq!(format!("{:?} {}", followed, followed.revocations().len()), before, "{error}");
    }
    json!({"refused": loaded.err().map(|error| error.code())})
}

fn follow(vector: &Vector) -> Result<(), String> {
    let keyring: KeyringId = vector.keyring_id.parse().unwrap();
    let key: VerifyingKey = vector.public_key.parse().unwrap();
    let mut followed = FeedState::new(vector.realm.as_deref().map(fixture::realm));
    let same = |what: &str, got: &Value, expected: &Value| {
        if got == expected { Ok(()) } else { Err(format!("{what}: expected {expected}\n  got {got}")) }
    };
    for step in &vector.steps {
        let (bytes, now, expect) = match step {
            Step::Restart { restart } => {
                assert!(restart);
                followed.restart();
                continue;
            }
            Step::Text { now, message, expect } => (message.clone().into_bytes(), *now, expect),
            Step::Snapshot { now, manifest, body_base64, expect } => {
                let body = BASE64.decode(body_base64).unwrap();
                same("a snapshot", &load(&mut followed, manifest, &body, keyring, &key, *now), expect)?;
                continue;
            }
            Step::Bytes { now, message_base64, expect } => (BASE64.decode(message_base64).unwrap(), *now, expect),
        };
        same("a message", &apply(&mut followed, &bytes, keyring, &key, now), expect)?;
    }
    same("the state", &state(&followed), &vector.expect)?;
    for ask in &vector.asks {
        followed.due(ask.at);
        let app_id: Uuid = ask.app_id.parse().unwrap();
        let taken_back = followed.revocations().contains(&id(&ask.id), app_id, ask.issued_at);
        same(&format!("{} at {}", ask.id, ask.at), &json!(taken_back), &json!(ask.taken_back))?;
    }
    Ok(())
}

#[test]
fn a_follower_makes_of_every_vector_what_its_file_says() {
    let vectors = vectors();
    assert!(vectors.len() >= 200, "only {} files were found", vectors.len());
    let wrong: Vec<String> = vectors
        .iter()
        .filter_map(|(name, vector)| follow(vector).err().map(|why| format!("{name}\n  {why}")))
        .collect();
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), vectors.len(), wrong.join("\n"));
}

fn signing_key() -> SigningKey {
    SigningKey::from_seed(&Zeroizing::new(counting(0)))
}

fn keyring_id() -> KeyringId {
    KeyringId::from_bytes(KEYRING_ID)
}

fn head(after: u64, seq: u64) -> Head {
    Head {
        format: Format::V1,
        keyring_id: keyring_id(),
        log_id: LogId::from_bytes(counting(0xe0)),
        realm: None,
        after,
        seq,
        head: seq,
        this_update: T,
        next_update: T + 60,
        keyring_serial: 3,
        versions: vec![
            (KeyVersion::new(7).unwrap(), VersionState::Active),
            (KeyVersion::new(8).unwrap(), VersionState::Staged),
        ],
        live: None,
    }
}

fn revoke(seq: u64) -> RevocationEvent {
    let id = id("acme_live_00000XzbyFf5rOyRXQyt8V");
    RevocationEvent::at_once(seq, Change::Revoke { id, expires_at: None })
}

fn read(bytes: &[u8]) -> Result<Message, FeedError> {
    Message::read(bytes, keyring_id(), &signing_key().verifying_key())
}

#[test]
fn the_worked_messages_are_written_to_the_letter() {
    let mut written = 0;
    for (name, vector) in vectors().iter().filter(|(name, _)| name.contains("/worked-")) {
        for step in &vector.steps {
            let Step::Text { message, .. } = step else { panic!("{name}") };
            let parsed = read(message.as_bytes()).unwrap();
            let again = Message::write(parsed.head(), parsed.events(), &signing_key()).unwrap();
            assert_eq!(String::from_utf8(again).unwrap(), *message, "{name}");
            written += 1;
        }
    }
    assert_eq!(written, 6);
}

#[test]
fn every_reason_has_a_vector_or_is_tested_here_and_stands_on_the_page() {
    let told = |vector: Vector| {
        vector.steps.into_iter().filter_map(|step| match step {
            Step::Text { expect, .. } | Step::Bytes { expect, .. } => expect["refused"].as_str().map(str::to_owned),
            Step::Restart { .. } | Step::Snapshot { .. } => None,
        })
    };
    let mut reasons: BTreeSet<String> = vectors().into_iter().flat_map(|(_, vector)| told(vector)).collect();
    reasons.extend(["too_long", "too_many_events"].map(str::to_owned));
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/FEED.md")).unwrap();
    let table: BTreeSet<String> = page
        .lines()
        .skip_while(|line| *line != "## Reasons to refuse a message")
        .take_while(|line| *line != "## Transport")
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(reason, _)| reason.to_owned()))
        .collect();
    assert_eq!(reasons, table);
}

#[test]
fn a_message_has_at_most_ten_thousand_events_and_four_mebibytes() {
    let events: Vec<RevocationEvent> = (1..=10_001).map(revoke).collect();
    let bytes = Message::write(&head(0, 10_000), &events[..10_000], &signing_key()).unwrap();
    assert_eq!(read(&bytes).unwrap().events(), &events[..10_000]);
    let too_many = Message::write(&head(0, 10_001), &events, &signing_key());
    assert_eq!(too_many, Err(FeedError::TooManyEvents(10_001)));

    // The length is looked at before anything else.
    assert_eq!(read(&vec![b'\n'; Message::MAX_BYTES + 1]), Err(FeedError::TooLong(Message::MAX_BYTES + 1)));
    assert_eq!(read(&vec![b'\n'; Message::MAX_BYTES]), Err(FeedError::Unsigned));
}

#[test]
fn what_no_follower_would_take_is_not_signed() {
    let write = |head: Head, events: &[RevocationEvent]| Message::write(&head, events, &signing_key()).unwrap_err();
    let change = |change: fn(&mut Head)| {
        let mut head = head(12, 13);
        change(&mut head);
        head
    };
    let expected = [
        (write(head(12, 11), &[]), "range"),
        (write(change(|head| head.head = 12), &[]), "range"),
        (write(change(|head| head.next_update = T - 1), &[]), "times"),
        (write(change(|head| head.keyring_serial = 1 << 53), &[]), "wrong_value"),
        (write(change(|head| head.this_update = u64::MAX), &[]), "wrong_value"),
        (write(change(|head| head.versions.reverse()), &[]), "version_order"),
        (write(change(|head| head.versions[1] = head.versions[0]), &[]), "version_order"),
        (write(change(|head| head.realm = Some(fixture::realm("acme"))), &[revoke(13)]), "event_realm"),
        (write(head(12, 13), &[revoke(12)]), "event_outside"),
        (write(head(12, 13), &[revoke(14)]), "event_outside"),
        (write(head(12, 13), &[revoke(13), revoke(13)]), "event_order"),
        (write(head(0, 13), &[revoke(0)]), "wrong_value"),
        (write(head(12, 13), &[RevocationEvent::at_once(13, Change::ForgetVersion { version: 7 })]), "no_event"),
    ];
    for (error, code) in expected {
        assert_eq!(error.code(), code, "{error}");
    }
    let resume = RevocationEvent { effective_at: Some(0), ..resume(13) };
    assert_eq!(write(head(12, 13), &[resume]), FeedError::NoEvent { seq: 13 });
}

fn resume(seq: u64) -> RevocationEvent {
    RevocationEvent::at_once(seq, Change::Resume { id: id("acme_live_00000XzbyFf5rOyRXQyt8V") })
}

#[test]
fn an_expiry_of_zero_is_written_as_none_at_all() {
    let id = id("acme_live_00000XzbyFf5rOyRXQyt8V");
    let event = RevocationEvent::at_once(1, Change::Revoke { id, expires_at: Some(0) });
    let bytes = Message::write(&head(0, 1), &[event], &signing_key()).unwrap();
    assert_eq!(read(&bytes).unwrap().events(), [revoke(1)]);
}

#[test]
fn no_byte_of_a_message_may_be_another_one() {
    let good = Message::write(&head(12, 13), &[revoke(13)], &signing_key()).unwrap();
    assert!(read(&good).is_ok());
    for at in 0..good.len() {
        assert!(matches!(read(&good[..at]), Err(FeedError::Unsigned)), "{at} bytes");
        // Signatures are slow to verify here; the last line is looked at byte by byte without one.
        if at % 11 == 0 || at + 100 > good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(matches!(read(&bad), Err(FeedError::Signature | FeedError::Unsigned)), "byte {at}");
        }
    }
}

#[test]
fn an_error_says_where_and_what_to_do() {
    let mut followed = FeedState::new(None);
    let mut apply = |head: Head| {
        let bytes = Message::write(&head, &[], &signing_key()).unwrap();
        followed.apply(&read(&bytes).unwrap(), T)
    };
    apply(head(0, 12)).unwrap();
    let error = apply(Head { log_id: LogId::from_bytes([1; 16]), ..head(12, 12) }).unwrap_err();
    assert!(error.to_string().contains("start again from 0"), "{error}");
    let error = apply(head(11, 12)).unwrap_err();
    assert_eq!(error, FeedError::NotNext { after: 11, seq: 12 });
    assert!(error.to_string().contains("ask for what came after 12"), "{error}");
    let realm: Option<Realm> = Some(fixture::realm("acme"));
    let error = apply(Head { realm, ..head(12, 12) }).unwrap_err();
    assert!(
        error.to_string().starts_with("the message is about the realm acme, and every realm is followed"),
        "{error}"
    );
}

#[test]
fn a_message_says_whether_anything_changed() {
    let mut followed = FeedState::new(None);
    let mut apply = |head: Head, events: &[RevocationEvent]| {
        let bytes = Message::write(&head, events, &signing_key()).unwrap();
        followed.apply(&read(&bytes).unwrap(), T).unwrap().changed
    };
    let other = Change::Revoke { id: id("acme_live_00000YHqiQd7Eu4eUpRFdL"), expires_at: None };
    let waits = RevocationEvent { effective_at: Some(T as u32 + 1), ..RevocationEvent::at_once(2, other) };
    let burned = vec![(KeyVersion::FIRST, VersionState::Compromised)];
    assert!(apply(head(0, 1), &[revoke(1)]));
    assert!(!apply(head(1, 1), &[]));
    assert!(!apply(head(1, 2), &[waits]), "its time has not come");
    assert!(apply(Head { versions: burned.clone(), ..head(2, 2) }, &[]));
    assert!(!apply(Head { versions: burned, ..head(2, 2) }, &[]));
    assert_eq!(followed.log().next_due(), Some(T as u32 + 1));
    assert!(!followed.due(T) && followed.due(T + 1) && !followed.due(T + 1));
    assert!(!followed.is_stale(T + 60) && followed.is_stale(T + 61) && FeedState::new(None).is_stale(0));
}

#[test]
fn a_state_signed_by_a_clock_that_was_ahead_is_stale_until_the_next_message() {
    let (year, mut state) = (365 * 86_400, FeedState::new(None));
    let apply = |state: &mut FeedState, head: Head, now: u64| {
        let bytes = Message::write(&head, &[], &signing_key()).unwrap();
        state.apply(&read(&bytes).unwrap(), now)
    };
    let ahead = Head { this_update: T + year, next_update: T + year + 60, ..head(0, 12) };
    apply(&mut state, ahead, T + year).unwrap();
    assert_eq!([T, T + year - 301].map(|now| state.is_stale(now)), [true; 2]);
    assert_eq!([T + year - 300, T + year + 60].map(|now| state.is_stale(now)), [false; 2]);
    apply(&mut state, head(12, 12), T).unwrap();
    assert_eq!([T - 301, T - 300, T + 60, T + 61].map(|now| state.is_stale(now)), [true, false, false, true]);
}

#[test]
fn public_keys_have_one_spelling_and_weak_ones_are_refused() {
    let key = signing_key().verifying_key();
    let text = key.to_string();
    assert_eq!(text, "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=", "as on the page");
    assert_eq!(text.parse(), Ok(key));
    assert_eq!(format!("{key:?}"), format!("VerifyingKey({text})"));
    let loose = text.replace("bg=", "bh=");
    let (cut, blank) = (text.trim_end_matches('='), format!("{text}\n"));
    for bad in ["", cut, &blank, &loose, "AA==", &text.repeat(2)] {
        assert!(bad.parse::<VerifyingKey>().is_err(), "{bad:?}");
    }
    // Points of small order, little-endian: 1 and -1 modulo 2^255 - 19. Under them signatures fit that nobody made.
    let (mut neutral, mut order_two) = ([0; 32], [0xff; 32]);
    (neutral[0], order_two[0], order_two[31]) = (1, 0xec, 0x7f);
    for weak in [neutral, order_two] {
        assert!(BASE64.encode(weak).parse::<VerifyingKey>().is_err(), "{weak:?}");
    }
}

#[test]
fn a_signing_key_shows_nothing_of_itself() {
    let key = SigningKey::from_seed(&Zeroizing::new([0x41; 32]));
    assert_eq!(format!("{key:?}"), "SigningKey(…)");
}
