//! The poison drill: followers of both formats are fed the largest, emptiest and strangest legal messages and
//! snapshots, and thousands of illegal ones. Nobody panics, nobody forgets, and what is refused changes nothing.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bulla::{
    ApiKeyId, Realm,
    feed::{FeedError, FeedState, Format, Head, LogId, Message, SigningKey, Snapshot, SnapshotHead, SnapshotLoad},
    keyring::{KeyVersion, KeyringId, VersionState},
    revocation::{Change, RevocationEvent, RevocationLog},
};
use ed25519_dalek::Signer;
use uuid::Uuid;
use zeroize::Zeroizing;

const T: u64 = 1_800_000_000;
const SEED: [u8; 32] = [0x51; 32];
const KEYRING: [u8; 16] = [0x17; 16];
/// Illegal messages and snapshots for each format.
const ILLEGAL: usize = 5_000;

fn key() -> SigningKey {
    SigningKey::from_seed(&Zeroizing::new(SEED))
}

fn keyring() -> KeyringId {
    KeyringId::from_bytes(KEYRING)
}

fn id(number: u64) -> ApiKeyId {
    format!("acme_live_00000X{number:016}").parse().expect("an id")
}

fn head(format: Format, after: u64, seq: u64) -> Head {
    Head {
        format,
        keyring_id: keyring(),
        log_id: LogId::from_bytes([2; 16]),
        realm: None,
        after,
        seq,
        head: seq,
        this_update: T,
        next_update: T + 60,
        keyring_serial: 3,
        versions: vec![(KeyVersion::FIRST, VersionState::Active)],
        live: None,
    }
}

/// Signed by the server's key, whatever it is.
fn sign(signed: &[u8]) -> Vec<u8> {
    let labelled = [b"bulla/v1 feed\0".as_slice(), &KEYRING, signed].concat();
    let signature = ed25519_dalek::SigningKey::from_bytes(&SEED).sign(&labelled).to_bytes();
    [signed, format!("{{\"signature\":\"{}\"}}\n", BASE64.encode(signature)).as_bytes()].concat()
}

/// The same without its last line.
fn signed_part(message: &[u8]) -> &[u8] {
    let end = message[..message.len() - 1].iter().rposition(|byte| *byte == b'\n').expect("two lines");
    &message[..=end]
}

/// Numbers as good as random, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }

    /// Something else in a few places: a bit, a byte that JSON is made of, a piece taken out, doubled or put elsewhere.
    fn spoil(&mut self, bytes: &[u8]) -> Vec<u8> {
        const SYNTAX: &[u8] = b"{}[]\",:\\0-9eE.+ntf \n\t\0\xff\xc0";
        let mut spoiled = bytes.to_vec();
        for _ in 0..=self.roll(3) {
            if spoiled.is_empty() {
                break;
            }
            let (from, to) = (self.roll(spoiled.len()), self.roll(spoiled.len()));
            let piece = spoiled[from.min(to)..from.max(to).min(from.min(to) + 40)].to_vec();
            match self.roll(6) {
                0 => spoiled[from] ^= 1 << self.roll(8),
                1 => spoiled[from] = SYNTAX[self.roll(SYNTAX.len())],
                2 => spoiled.truncate(from),
                3 => drop(spoiled.drain(from.min(to)..from.min(to) + piece.len())),
                4 => drop(spoiled.splice(to..to, piece)),
                _ => spoiled.insert(from, SYNTAX[self.roll(SYNTAX.len())]),
            }
        }
        spoiled
    }
}

/// A follower that knows things which it must never forget.
fn follower(format: Format) -> FeedState {
    let mut state = FeedState::new(None);
    let events = [
        RevocationEvent::at_once(1, Change::Revoke { id: id(1), expires_at: None }),
        RevocationEvent {
            effective_at: Some(4_000_000_000),
            ..RevocationEvent::at_once(2, Change::Revoke { id: id(2), expires_at: None })
        },
        RevocationEvent::at_once(3, Change::Suspend { id: id(3), expires_at: None }),
        RevocationEvent::at_once(4, Change::RevokeApp { app_id: Uuid::max(), realm: None, issued_before: 5 }),
    ];
    let bytes = Message::write(&head(format, 0, 4), &events, &key()).expect("a message");
    let message = Message::read(&bytes, keyring(), &key().verifying_key()).expect("a message");
    assert!(state.apply(&message, T).expect("applied").complete);
    state
}

fn take(state: &mut FeedState, bytes: &[u8]) -> Result<(), FeedError> {
    let message = Message::read(bytes, keyring(), &key().verifying_key())?;
    state.apply(&message, T).map(drop)
}

fn load(state: &mut FeedState, manifest: &[u8], body: &[u8]) -> Result<(), FeedError> {
    let mut load = SnapshotLoad::new(Snapshot::read(manifest, keyring(), &key().verifying_key())?);
    while let Some(range) = load.next_range() {
        load.chunk(body.get(range).unwrap_or_default())?;
    }
    state.load(load.finish()?, T)
}

/// Everything that the state tells.
fn told(state: &FeedState) -> String {
    let scheduled: Vec<_> = state.log().scheduled().collect();
    format!("{state:?} {} {scheduled:?} {:?}", state.revocations().len(), state.live(T - T % 86_400, &[]))
}

fn remembers(state: &FeedState) {
    let revocations = state.revocations();
    assert!([1, 3].iter().all(|number| revocations.contains(&id(*number), Uuid::nil(), u32::MAX)));
    assert!(revocations.contains(&id(99), Uuid::max(), 4) && !revocations.contains(&id(99), Uuid::max(), 5));
    assert!(state.log().scheduled().any(|(waiting, _)| waiting == id(2)));
}

#[test]
fn thousands_of_illegal_messages_change_nothing() {
    for format in Format::ALL {
        let (mut dice, mut state, before) = (Dice(7), follower(format), told(&follower(format)));
        let events: Vec<_> = (5..40)
            .map(|seq| RevocationEvent::at_once(seq, Change::Revoke { id: id(seq), expires_at: Some(T as u32) }))
            .collect();
        let legal = Message::write(&head(format, 4, 40), &events, &key()).expect("a message");
        let mut refused = std::collections::BTreeMap::<&str, usize>::new();
        while refused.values().sum::<usize>() < ILLEGAL {
            // Half of them are spoiled after they were signed, and half before.
            let bytes = match dice.roll(2) {
                0 => dice.spoil(&legal),
                _ => sign(&dice.spoil(signed_part(&legal))),
            };
            match take(&mut state, &bytes) {
                Err(error) => {
                    *refused.entry(error.code()).or_default() += 1;
                    assert_eq!(told(&state), before, "{error}");
                }
                // What it is now is legal, too.
                Ok(()) => {
                    remembers(&state);
                    state = follower(format);
                }
            }
        }
        assert!(refused.len() >= 12, "{refused:?}");
    }
}

#[test]
fn thousands_of_illegal_snapshots_change_nothing() {
    let mut log = RevocationLog::default();
    let change = |seq| Change::Revoke { id: id(seq), expires_at: Some(T as u32) };
    let events: Vec<_> = (1..300).map(|seq| RevocationEvent::at_once(seq, change(seq))).collect();
    log.advance(&events, 300, 300, T).expect("in order");
    let written = SnapshotHead {
        keyring_id: keyring(),
        log_id: LogId::from_bytes([2; 16]),
        realm: None,
        this_update: T,
        keyring_serial: 3,
        versions: Vec::new(),
    };
    let (manifest, body) = Snapshot::write(&written, &log, &key()).expect("a snapshot");
    let text = String::from_utf8(signed_part(&manifest).to_vec()).expect("a text");
    let hash = text.split("\"sha256\":\"").nth(1).expect("a hash")[..64].to_owned();
    let (mut dice, mut state, before) = (Dice(9), follower(Format::V2), told(&follower(Format::V2)));
    let mut refused = std::collections::BTreeMap::<&str, usize>::new();
    while refused.values().sum::<usize>() < ILLEGAL / 4 {
        let (manifest, body) = match dice.roll(4) {
            0 => (dice.spoil(&manifest), body.clone()),
            1 => (sign(&dice.spoil(text.as_bytes())), body.clone()),
            2 => (manifest.clone(), dice.spoil(&body)),
            // A body that the server made so.
            _ => {
                let spoiled = dice.spoil(&body);
                let length = |body: &[u8]| format!("\"bytes\":{}", body.len());
                let text = text.replace(&length(&body), &length(&spoiled)).replace(&hash, &sha256(&spoiled));
                (sign(text.as_bytes()), spoiled)
            }
        };
        match load(&mut state, &manifest, &body) {
            Err(error) => {
                *refused.entry(error.code()).or_default() += 1;
                assert_eq!(told(&state), before, "{error}");
            }
            Ok(()) => {
                assert!(state.revocations().contains(&id(1), Uuid::nil(), u32::MAX));
                state = follower(Format::V2);
            }
        }
    }
    assert!(["chunk", "signature", "unsigned"].iter().all(|code| refused.contains_key(code)), "{refused:?}");
    assert!(refused.len() >= 9, "{refused:?}");
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_largest_emptiest_and_strangest_legal_messages_are_taken() {
    for format in Format::ALL {
        let mut state = follower(format);
        // The emptiest: no events, no versions, no time that it counts.
        let empty = Head { versions: Vec::new(), next_update: T, ..head(format, 4, 4) };
        take(&mut state, &Message::write(&empty, &[], &key()).expect("a message")).expect("taken");
        remembers(&state);

        // The largest: as many events as there may be, and blanks up to the last byte.
        let realm: Realm = "abcdefghijklmnopqrstuvwx".parse().expect("the longest realm");
        let change = |seq: u64| match seq % 3 {
            0 => Change::RevokeApp { app_id: Uuid::from_u128(seq.into()), realm: Some(realm), issued_before: u32::MAX },
            1 => Change::Suspend { id: id(seq), expires_at: Some(u32::MAX) },
            _ => Change::Revoke { id: format!("{realm}_00000X{seq:016}").parse().expect("an id"), expires_at: Some(1) },
        };
        let events: Vec<_> = (5..10_005).map(|seq| RevocationEvent::at_once(seq, change(seq))).collect();
        let every_version = (1..=4_000).filter_map(KeyVersion::new).map(|version| (version, VersionState::Active));
        let full = Head { versions: every_version.collect(), ..head(format, 4, 10_004) };
        let bytes = Message::write(&full, &events, &key()).expect("a message");
        let signed = signed_part(&bytes);
        let padding = vec![b' '; Message::MAX_BYTES - bytes.len()];
        let padded = sign(&[&signed[..1], &padding, &signed[1..]].concat());
        assert_eq!(padded.len(), Message::MAX_BYTES);
        take(&mut state, &padded).expect("taken");
        remembers(&state);
        assert!(state.revocations().len() >= 10_000);

        // The strangest: the largest numbers, and every character escaped that may be.
        let last = (1 << 53) - 1;
        let far = Head { head: last, seq: last, next_update: last, keyring_serial: last, ..head(format, 10_004, 0) };
        let event = RevocationEvent { effective_at: Some(u32::MAX), ..RevocationEvent::at_once(last, change(2)) };
        let bytes = Message::write(&far, &[event], &key()).expect("a message");
        let text = String::from_utf8(signed_part(&bytes).to_vec()).expect("a text");
        let escaped: String = text
            .chars()
            .map(|character| match character.is_ascii_lowercase() {
                true => format!("\\u{:04x}", character as u32),
                false => character.to_string(),
            })
            .collect();
        take(&mut state, &sign(escaped.as_bytes())).expect("taken");
        remembers(&state);
        assert_eq!(state.seq(), last);
    }
}
