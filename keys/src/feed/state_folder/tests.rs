use std::fs;

use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;
use crate::{
    api_key::ApiKeyId,
    feed::{Format, Head, LogId, SigningKey},
    key_version::KeyVersion,
    keyring::{EdgeKey, VersionState},
    revocation::{Change, RevocationEvent},
};

const T: u64 = 1_800_000_000;
/// Their bytes are several pieces.
const MANY: u32 = 20_000;

fn trusted() -> (KeyringId, SigningKey) {
    (KeyringId::from_bytes([1; 16]), SigningKey::from_seed(&Zeroizing::new([7; 32])))
}

fn id(number: u32) -> ApiKeyId {
    format!("acme_live_00000X{number:016}").parse().expect("an id")
}

fn expiry(number: u32) -> u32 {
    T as u32 + 90_000 + number
}

/// A follower that was told of many revoked keys.
fn follower() -> FeedState {
    let (keyring_id, key) = trusted();
    let revoke = |seq: u32| Change::Revoke { id: id(seq), expires_at: Some(expiry(seq)) };
    let mut state = FeedState::new(None);
    for after in (0..MANY).step_by(1_000) {
        let seq = after + 1_000;
        let events: Vec<_> =
            (after + 1..=seq).map(|seq| RevocationEvent::at_once(u64::from(seq), revoke(seq))).collect();
        let head = Head {
            format: Format::V1,
            keyring_id,
            log_id: LogId::from_bytes([2; 16]),
            realm: None,
            after: u64::from(after),
            seq: u64::from(seq),
            head: u64::from(MANY),
            this_update: T,
            next_update: T + 60,
            keyring_serial: 9,
            versions: vec![(KeyVersion::FIRST, VersionState::Active)],
            live: None,
        };
        let message = Message::write(&head, &events, &key).expect("written");
        let message = Message::read(&message, keyring_id, &key.verifying_key()).expect("read");
        state.apply(&message, T).expect("applied");
    }
    state
}

/// The beginning of a state's bytes, and its statements. The list has no order that a format could promise.
type Content = (Vec<u8>, Vec<[u8; 21]>);

fn content(bytes: &[u8], beginning: usize) -> Content {
    let (beginning, rest) = bytes.split_at(beginning);
    let (statements, end) = rest.as_chunks::<21>();
    assert_eq!(end, [7], "nothing more");
    let mut statements = statements.to_vec();
    statements.sort_unstable();
    (beginning.to_vec(), statements)
}

/// The bytes of the format's first version, put together in another way.
fn expected(state: &FeedState) -> Content {
    let numbers = [u64::from(MANY), T, state.fresh_until.expect("fresh"), 9, 1].map(u64::to_be_bytes).concat();
    let active = VersionState::ALL.iter().position(|one| *one == VersionState::Active).expect("it is one of them");
    let version = [&1_u32.to_be_bytes()[..], &[active as u8], &0_u64.to_be_bytes()].concat();
    let realm = [&[0, 9][..], b"acme_live"].concat();
    let records = (1..=MANY).map(|number| {
        let record = [&[1], id(number).bytes().as_slice(), &expiry(number).to_be_bytes()].concat();
        record.try_into().expect("21 bytes")
    });
    ([&[1, 0][..], &[2; 16], &numbers, &version, &realm].concat(), records.collect())
}

fn folder() -> (TempDir, EdgeMac) {
    (tempfile::tempdir().expect("a folder"), EdgeKey::generate().expect("a key").mac(trusted().0))
}

#[test]
fn a_state_of_many_ids_has_the_bytes_that_it_always_had_and_is_written_in_pieces() {
    struct Pieces(Vec<usize>, Vec<u8>);
    impl Write for Pieces {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.len());
            self.1.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let state = follower();
    let mut pieces = Pieces(Vec::new(), Vec::new());
    assert!(state.save_to(&mut pieces).expect("written"));
    let Pieces(lengths, bytes) = pieces;
    assert!(lengths.len() > 4 && lengths.iter().all(|length| *length < 2 * PIECE), "{lengths:?}");
    assert_eq!(state.save().as_ref(), Some(&bytes));

    let (beginning, mut statements) = expected(&state);
    statements.sort_unstable();
    assert!(content(&bytes, beginning.len()) == (beginning, statements));
}

#[test]
fn the_file_is_the_state_under_its_mac_and_is_read_again() {
    let (state, (at, mac)) = (follower(), folder());
    let (keyring_id, key) = trusted();
    let folder = StateFolder::open(at.path(), mac.clone()).expect("opened");
    let (_journal, size) = folder.put(&state).expect("put");
    let bytes = fs::read(at.path().join("state")).expect("a file");
    assert_eq!(size, bytes.len() as u64);
    let generation = &bytes[STATE.len()..][..16];
    // As it was made when all of it was in memory.
    let mut whole = [STATE, generation, &state.save().expect("saved")].concat();
    whole.extend(mac.tag(&whole));
    assert!(bytes == whole);

    let load = || folder.load(None, (keyring_id, &key.verifying_key()), T);
    let KeptState { state: loaded, trouble } = load();
    assert_eq!(trouble, None);
    let [loaded, saved] = [loaded.expect("a state"), state].map(|state| {
        let beginning = expected(&state).0.len();
        content(&state.save().expect("saved"), beginning)
    });
    assert!(loaded == saved);
    for at_byte in [0, STATE.len(), STATE.len() + 16, 100_000, bytes.len() - TAG - 1, bytes.len() - 1] {
        let mut changed = bytes.clone();
        changed[at_byte] ^= 1;
        fs::write(at.path().join("state"), &changed).expect("written");
        let KeptState { state, trouble } = load();
        assert!(state.is_none() && trouble.is_some_and(|told| told.contains("it was changed")), "{at_byte}");
    }
    for length in [0, 31, 32, 60, 100_000, bytes.len() - 1] {
        fs::write(at.path().join("state"), &bytes[..length]).expect("written");
        assert!(load().state.is_none(), "{length}");
    }
    // Right, and of another version.
    let mut other = [STATE, generation, &[2]].concat();
    other.extend(mac.tag(&other));
    fs::write(at.path().join("state"), &other).expect("written");
    assert!(load().trouble.is_some_and(|told| told.contains("another version")));
}

#[test]
fn before_the_end_of_the_log_the_file_stays() {
    let (at, mac) = folder();
    let folder = StateFolder::open(at.path(), mac).expect("opened");
    folder.put(&follower()).expect("put");
    let before = fs::read(at.path().join("state")).expect("a file");
    assert!(folder.put(&FeedState::new(None)).is_err());
    assert!(fs::read(at.path().join("state")).expect("a file") == before);
    assert!(!at.path().join("state.new").exists());
}
