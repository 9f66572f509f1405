use std::{cell::RefCell, fs, os::unix::fs::symlink};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;
use crate::{
    api_key::ApiKeyId,
    feed::{FeedPlace, Format, Head, LogId, Message, SigningKey},
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

/// A message that revokes the keys behind `after` up to `seq`, of a log that ends at `end`.
fn message(after: u32, seq: u32, end: u32) -> Vec<u8> {
    let (keyring_id, key) = trusted();
    let revoke = |seq: u32| Change::Revoke { id: id(seq), expires_at: Some(expiry(seq)) };
    let events: Vec<_> = (after + 1..=seq).map(|seq| RevocationEvent::at_once(u64::from(seq), revoke(seq))).collect();
    let head = Head {
        format: Format::V1,
        keyring_id,
        log_id: LogId::from_bytes([2; 16]),
        realm: None,
        after: u64::from(after),
        seq: u64::from(seq),
        head: u64::from(end),
        this_update: T,
        next_update: T + 60,
        keyring_serial: 9,
        versions: vec![(KeyVersion::FIRST, VersionState::Active)],
        live: None,
    };
    Message::write(&head, &events, &key).expect("written")
}

fn apply(state: &mut FeedState, message: &[u8]) {
    let (keyring_id, key) = trusted();
    let message = Message::read(message, keyring_id, &key.verifying_key()).expect("read");
    state.apply(&message, T).expect("applied");
}

/// A follower that was told of many revoked keys.
fn follower() -> FeedState {
    let mut state = FeedState::new(None);
    for after in (0..MANY).step_by(1_000) {
        apply(&mut state, &message(after, after + 1_000, MANY));
    }
    state
}

/// One at the end of a log of so many.
fn follower_at(seq: u32) -> FeedState {
    let mut state = FeedState::new(None);
    apply(&mut state, &message(0, seq, seq));
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

/// A state of one revoked key, and a journal of three more, each written by itself.
fn written() -> (TempDir, StateFolder, Journal) {
    let (at, mac) = folder();
    let folder = StateFolder::open(at.path(), mac).expect("opened");
    let (mut journal, _) = folder.put(&follower_at(1)).expect("put");
    for after in 1..4 {
        append(&folder, &mut journal, after);
    }
    (at, folder, journal)
}

fn append(folder: &StateFolder, journal: &mut Journal, after: u32) {
    let next = message(after, after + 1, after + 1);
    folder.append(journal, std::iter::once(next.as_slice())).expect("appended");
}

/// How far the state in the folder goes, or why it is not used.
fn place(folder: &StateFolder) -> Result<u64, String> {
    let (keyring_id, key) = trusted();
    match folder.load(None, (keyring_id, &key.verifying_key()), T) {
        KeptState { state: Some(state), trouble: None } => Ok(state.seq()),
        KeptState { state: None, trouble: Some(trouble) } => Err(trouble),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_journal_that_lost_what_was_confirmed_is_a_changed_state() {
    let (at, folder, _journal) = written();
    assert_eq!(place(&folder), Ok(4));
    let path = at.path().join("journal");
    let whole = fs::read(&path).expect("the journal");
    let is_told = || place(&folder).is_err_and(|told| told.contains("its journal was changed or lost its end"));
    for at_byte in (0..whole.len()).step_by(13) {
        let mut changed = whole.clone();
        changed[at_byte] ^= 1;
        fs::write(&path, changed).expect("written");
        assert!(is_told(), "changed at {at_byte}");
        fs::write(&path, &whole[..at_byte]).expect("written");
        assert!(is_told(), "cut at {at_byte}");
    }
    fs::write(&path, &whole[..whole.len() - 3]).expect("written");
    assert!(is_told(), "cut by three bytes");
    fs::remove_file(&path).expect("removed");
    assert!(is_told(), "removed");
    mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
    assert!(place(&folder).is_err_and(|told| told.contains("not a regular file")), "nobody waits for its writer");
    fs::remove_file(&path).expect("removed");
    symlink("/dev/zero", &path).expect("a link");
    assert!(place(&folder).is_err_and(|told| told.contains("not a regular file")));
    fs::remove_file(&path).expect("removed");
    fs::write(&path, &whole).expect("written");
    assert_eq!(place(&folder), Ok(4));
}

#[test]
fn what_a_crash_left_behind_the_confirmed_messages_is_harmless() {
    let (at, folder, mut journal) = written();
    let [journal_at, anchor_at] = ["journal", "anchor"].map(|name| at.path().join(name));
    let [confirmed, anchor] = [&journal_at, &anchor_at].map(|path| fs::read(path).expect("a file"));
    append(&folder, &mut journal, 4);
    let longer = fs::read(&journal_at).expect("the journal");
    // The crash came before the anchor was written.
    fs::write(&anchor_at, &anchor).expect("written");
    for length in (confirmed.len()..longer.len()).step_by(7) {
        fs::write(&journal_at, &longer[..length]).expect("written");
        assert_eq!(place(&folder), Ok(4), "torn at {length}");
    }
    fs::write(&journal_at, &longer).expect("written");
    assert_eq!(place(&folder), Ok(5), "nothing is torn off");
    // As some file systems leave a file whose length was on disk before its content.
    fs::write(&journal_at, [&confirmed[..], &[0; 100]].concat()).expect("written");
    assert_eq!(place(&folder), Ok(4));
}

#[test]
fn a_state_without_its_anchor_is_not_used() {
    let (at, folder, _journal) = written();
    let path = at.path().join("anchor");
    let whole = fs::read(&path).expect("the anchor");
    for at_byte in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at_byte] ^= 1;
        fs::write(&path, changed).expect("written");
        assert!(place(&folder).is_err_and(|told| told.contains("its anchor was changed")), "{at_byte}");
    }
    fs::remove_file(&path).expect("removed");
    assert!(place(&folder).is_err_and(|told| told.contains("anchor:")));
    fs::write(&path, &whole).expect("written");
    fs::remove_file(at.path().join("state")).expect("removed");
    assert!(place(&folder).is_err_and(|told| told.contains("is gone")));
}

#[test]
fn a_crash_while_a_state_is_replaced_leaves_the_old_one_or_the_new_one() {
    const FILES: [&str; 3] = ["anchor", "state", "journal"];
    let (at, folder, _journal) = written();
    let read = || FILES.map(|name| fs::read(at.path().join(name)).expect("a file"));
    let write = |[anchor, state, journal]: [&Vec<u8>; 3]| {
        for (name, bytes) in FILES.into_iter().zip([anchor, state, journal]) {
            fs::write(at.path().join(name), bytes).expect("written");
        }
        place(&folder)
    };
    let before = read();
    folder.put(&follower_at(7)).expect("put");
    let after = read();
    let [old, new] = [&before[0], &after[0]].map(|anchor| Anchor::read(anchor, &folder.mac).expect("an anchor"));
    assert_eq!((old.messages, new), (3, Anchor::settled(new.generation, 0)));
    // What `put` announces.
    let both = Anchor { next: new.generation, ..old }.to_bytes(&folder.mac);
    assert_eq!(write([&both, &before[1], &before[2]]), Ok(4));
    assert_eq!(write([&both, &after[1], &before[2]]), Ok(7));
    // The next try begins here.
    let third = [9; 16];
    folder.announce(third).expect("announced");
    assert_eq!(place(&folder), Ok(7));
    let announced = Anchor::read(&read()[0], &folder.mac);
    assert_eq!(announced, Some(Anchor { next: third, ..Anchor::settled(new.generation, 0) }));
    assert_eq!(write([&both, &after[1], &after[2]]), Ok(7));
    assert_eq!(write([&after[0], &after[1], &after[2]]), Ok(7));
    assert_eq!(write([&after[0], &after[1], &before[2]]), Ok(7), "it has lost nothing");

    // No crash leaves these: one file was put back.
    for files in
        [[&after[0], &before[1], &before[2]], [&before[0], &after[1], &after[2]], [&both, &before[1], &after[2]]]
    {
        assert!(write(files).is_err());
    }
}

#[test]
fn a_message_that_the_state_has_already_is_passed_over() {
    let (at, mac) = folder();
    let folder = StateFolder::open(at.path(), mac).expect("opened");
    let (mut journal, _) = folder.put(&follower_at(4)).expect("put");
    // It waited while the state was written.
    append(&folder, &mut journal, 3);
    append(&folder, &mut journal, 4);
    assert_eq!(place(&folder), Ok(5));
}

/// As the folder was before there was an anchor.
#[test]
fn a_state_of_the_first_version_is_read() {
    let (at, mac) = folder();
    let folder = StateFolder::open(at.path(), mac.clone()).expect("opened");
    let (mut journal, _) = folder.put(&follower_at(1)).expect("put");
    append(&folder, &mut journal, 1);
    let mut state = [STATE_1, &journal.generation, &follower_at(1).save().expect("saved")].concat();
    state.extend(mac.tag(&state));
    fs::write(at.path().join("state"), state).expect("written");
    for _with_and_without_anchor in 0..2 {
        assert_eq!(place(&folder), Ok(2));
        let _gone_already = fs::remove_file(at.path().join("anchor"));
    }
    let path = at.path().join("journal");
    let mut bytes = fs::read(&path).expect("the journal");
    fs::write(&path, &bytes[..bytes.len() - 7]).expect("written");
    assert_eq!(place(&folder), Ok(1), "torn by a crash, as far as anybody knows");
    bytes[100] ^= 1;
    fs::write(&path, &bytes).expect("written");
    assert!(place(&folder).is_err(), "changed");
    folder.put(&follower_at(3)).expect("put");
    assert_eq!(place(&folder), Ok(3));
}

#[test]
fn a_writer_tells_only_of_what_there_was_to_write() {
    let (at, mac) = folder();
    let folder = StateFolder::open(at.path(), mac).expect("opened");
    let (writer, told) = (StateWriter::default(), RefCell::new(Vec::new()));
    let run = |state: &FeedState| {
        writer.whole();
        writer.stop();
        writer.run(&folder, |written| told.borrow_mut().push(written), || Some(state.clone()));
        told.take()
    };
    assert_eq!(run(&FeedState::new(None)), [], "what was said of the disk before still holds");
    assert_eq!(run(&follower_at(2)), [Ok(())]);
    assert_eq!((writer.place().seq, place(&folder)), (2, Ok(2)));
}

#[test]
fn what_is_put_in_place_of_an_open_folder_is_noticed_and_written_anew() {
    struct StopAtEnd<'w>(&'w StateWriter);
    impl Drop for StopAtEnd<'_> {
        fn drop(&mut self) {
            self.0.stop();
        }
    }
    let (at, mac) = folder();
    let [path, aside, older] = ["state", "aside", "older"].map(|name| at.path().join(name));
    let copy = |from: &Path, to: &Path| {
        fs::create_dir_all(to).expect("a folder");
        for name in ["anchor", "journal", "state"] {
            fs::copy(from.join(name), to.join(name)).expect("copied");
        }
    };
    let folder = StateFolder::open(&path, mac.clone()).expect("opened");
    let name = folder.name().expect("a name");
    let (writer, known) = (StateWriter::default(), Mutex::new(follower_at(2)));
    let told = Mutex::new(Vec::<Result<(), String>>::new());
    let until = |what: &str, done: &dyn Fn() -> bool| {
        for _ in 0..6_000 {
            if done() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("{what} did not happen: {told:?}");
    };
    let last = || told.lock().expect("told").last().cloned().unwrap_or(Ok(()));
    let is_at = |seq: u64| writer.place().seq == seq && last().is_ok();
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&writer);
        scope.spawn(|| {
            let note = |written| told.lock().expect("told").push(written);
            writer.run(&folder, note, || Some(known.lock().expect("known").clone()));
        });
        writer.whole();
        until("the first state", &|| is_at(2));
        copy(&path, &older);
        *known.lock().expect("known") = follower_at(5);
        writer.whole();
        until("the next state", &|| is_at(5));

        // Moved away, and nothing in its place: it is not made.
        fs::rename(&path, &aside).expect("moved");
        until("the loss", &|| last().is_err_and(|told| told.contains("was removed")));
        assert_eq!(writer.place(), FeedPlace::default(), "no place is on disk");
        writer.add(&message(5, 6, 6).into(), follower_at(6).place());
        *known.lock().expect("known") = follower_at(6);
        assert!(!path.exists());
        fs::rename(&older, &path).expect("a restored copy");
        until("the state in the copy", &|| is_at(6));
        assert_eq!(place(&folder), Ok(6));
        assert_eq!(StateFolder::to_read(&path, mac.clone()).name().expect("a name"), name);
        assert!(matches!(StateFolder::open(&path, mac.clone()), Err(StateFolderError::Locked(_))));

        // Another process has what is in its place.
        let other = StateFolder::open(&aside, mac.clone()).expect("nobody has it any more");
        fs::rename(&path, &older).expect("moved");
        fs::rename(&aside, &path).expect("exchanged");
        until("the stranger", &|| last().is_err_and(|told| told.contains("another process has the state")));
        assert_eq!((place(&folder), writer.place()), (Ok(5), FeedPlace::default()), "it is left alone");
        drop(other);
        until("the state there", &|| is_at(6));

        // Older files in the same folder, as a copy over it leaves them.
        *known.lock().expect("known") = follower_at(7);
        copy(&path, &older);
        writer.whole();
        until("the last state", &|| is_at(7));
        copy(&older, &path);
        until("the other files", &|| {
            let told = told.lock().expect("told");
            told.iter().flat_map(|told| told.as_ref().err()).any(|told| told.contains("not those that were written"))
        });
        until("the state over them", &|| is_at(7) && place(&folder) == Ok(7));
    });
}
