//! A follower's source over files in a folder: what it hands on in which order, and what it does where files are
//! missing or old.

use std::{fs, time::Duration};

use tempfile::TempDir;
use zeroize::Zeroizing;

use super::{BaseName, BodyName, FileName, HeadObject, PublishedSource, SnapshotName, write_base};
use crate::{
    api_key::ApiKeyId,
    feed::{
        Answer, FeedState, FollowError, Format, Head, LogId, Message, MessageSource, Question, SigningKey, Snapshot,
        SnapshotHead,
    },
    key_version::KeyVersion,
    keyring::VersionState,
    keyring_id::KeyringId,
    revocation::{Change, RevocationEvent, RevocationLog},
};

const T: u64 = 1_800_000_000;

fn key() -> SigningKey {
    SigningKey::from_seed(&Zeroizing::new([7; 32]))
}

fn keyring_id() -> KeyringId {
    KeyringId::from_bytes([1; 16])
}

fn id() -> ApiKeyId {
    "acme_live_00000XzbyFf5rOyRXQyt8V".parse().expect("an id")
}

/// A message that was the newest one at `at`, with these changes at these places.
fn message(log: u8, after: u64, seq: u64, at: u64, changes: &[(u64, Change)]) -> Vec<u8> {
    let head = Head {
        format: Format::V1,
        keyring_id: keyring_id(),
        log_id: LogId::from_bytes([log; 16]),
        realm: None,
        after,
        seq,
        head: seq,
        this_update: at,
        next_update: at + 60,
        keyring_serial: 3,
        versions: vec![(KeyVersion::FIRST, VersionState::Active)],
        live: None,
    };
    let events: Vec<_> = changes.iter().map(|(seq, change)| RevocationEvent::at_once(*seq, *change)).collect();
    Message::write(&head, &events, &key()).expect("a message")
}

struct Published {
    folder: TempDir,
    source: PublishedSource,
    state: FeedState,
}

impl Published {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("files")).expect("made");
        let address = format!("file:{}/head", folder.path().display());
        let source = PublishedSource::new(&address, keyring_id(), key().verifying_key()).expect("an address");
        Published { folder, source: source.interval(Duration::from_millis(1)), state: FeedState::new(None) }
    }

    fn file(&self, after: u64, seq: u64, bytes: &[u8]) -> FileName {
        let name = FileName::of(after, seq, bytes);
        fs::write(self.folder.path().join(format!("files/{name}")), bytes).expect("written");
        name
    }

    fn base(&self, files: &[FileName]) -> BaseName {
        let bytes = write_base(files);
        let name = BaseName::of(files.last().expect("a file").seq, &bytes);
        fs::write(self.folder.path().join(format!("files/{name}")), bytes).expect("written");
        name
    }

    fn head(&self, base: Option<BaseName>, files: &[FileName], newest: Vec<u8>) {
        let head = HeadObject { base, base_since: None, snapshot: None, files: files.to_vec(), newest };
        fs::write(self.folder.path().join("head"), head.write()).expect("written");
    }

    fn lose(&self, name: &FileName) {
        fs::remove_file(self.folder.path().join(format!("files/{name}"))).expect("it was there");
    }

    /// Asks once and applies what comes. Returns whether it was the newest message.
    fn ask(&mut self, now: u64) -> Result<bool, FollowError> {
        let question = Question { after: self.state.seq(), log_id: self.state.log_id(), wait: 0 };
        let answer = self.source.ask(&question)?;
        answer.apply(&mut self.state, (keyring_id(), &key().verifying_key()), now)?;
        Ok(matches!(answer, Answer::Next(_)))
    }

    /// Asks until the newest message is applied; how many files that took.
    fn catch_up(&mut self, now: u64) -> usize {
        (0..).find(|_| self.ask(now).expect("it goes on")).expect("an end")
    }

    fn suspended(&self) -> bool {
        self.state.revocations().contains(&id(), uuid::Uuid::nil(), 0)
    }
}

fn suspend() -> Change {
    Change::Suspend { id: id(), expires_at: None }
}

#[test]
fn a_follower_reads_each_file_once_and_then_the_newest_message() {
    let mut published = Published::new();
    let first = published.file(0, 5, &message(1, 0, 5, T - 9_000, &[(4, suspend())]));
    let second = published.file(5, 9, &message(1, 5, 9, T - 100, &[(9, Change::Resume { id: id() })]));
    let base = published.base(&[first, second]);
    published.head(Some(base), &[], message(1, 9, 9, T, &[]));
    assert_eq!(published.catch_up(T), 2);
    assert!(!published.suspended() && !published.state.is_stale(T + 60));
    published.lose(&first);
    published.lose(&second);
    assert_eq!(published.catch_up(T + 5), 0, "nothing is read twice");

    let third = published.file(9, 10, &message(1, 9, 10, T + 8, &[(10, suspend())]));
    published.head(Some(base), &[third], message(1, 10, 10, T + 8, &[]));
    assert_eq!(published.catch_up(T + 8), 1);
    assert!(published.suspended());
}

#[test]
fn a_follower_that_begins_loads_the_snapshot_and_goes_on_behind_it() {
    let mut published = Published::new();
    let first = published.file(0, 5, &message(1, 0, 5, T - 9_000, &[(4, suspend())]));
    let second = published.file(5, 9, &message(1, 5, 9, T - 100, &[(9, suspend())]));
    let third = published.file(9, 10, &message(1, 9, 10, T - 50, &[]));
    let mut log = RevocationLog::default();
    log.advance(&[RevocationEvent::at_once(9, suspend())], 9, 9, T).expect("in order");
    let head = SnapshotHead {
        keyring_id: keyring_id(),
        log_id: LogId::from_bytes([1; 16]),
        realm: None,
        this_update: T - 100,
        keyring_serial: 3,
        versions: vec![(KeyVersion::FIRST, VersionState::Active)],
    };
    let (manifest, body) = Snapshot::write(&head, &log, &key()).expect("written down");
    let by = (keyring_id(), key().verifying_key());
    let name = BodyName::of(&Snapshot::read(&manifest, by.0, &by.1).expect("a manifest"));
    let files = published.folder.path().join("files");
    let snapshot = SnapshotName::of(9, &manifest);
    let publish = |published: &Published, files: &[FileName], snapshot| {
        let newest = message(1, 10, 10, T, &[]);
        let head = HeadObject { base: None, base_since: None, snapshot, files: files.to_vec(), newest };
        fs::write(published.folder.path().join("head"), head.write()).expect("written");
    };
    publish(&published, &[first, second, third], Some(snapshot));
    let question = Question { after: 0, log_id: None, wait: 0 };
    let answer = published.source.ask(&question).expect("the first file");
    let (_, newest) = answer.apply(&mut published.state, (by.0, &by.1), T).expect("it fits");
    assert!(answer.leaves_much(newest.head(), published.state.seq()), "there is more than this file");
    // What is not whole is not loaded, and the log is read on.
    for (wrong, bytes) in [(snapshot.to_string(), &manifest), (name.to_string(), &body)] {
        fs::write(files.join(snapshot.to_string()), &manifest).expect("written");
        fs::write(files.join(name.to_string()), &body).expect("written");
        fs::write(files.join(&wrong), &bytes[..bytes.len() - 1]).expect("written");
        assert!(published.source.snapshot((by.0, &by.1)).is_err(), "{wrong}");
        fs::write(files.join(&wrong), bytes).expect("written");
    }
    let loaded = published.source.snapshot((by.0, &by.1)).expect("it is whole");
    published.state.load(loaded, T).expect("it fits");
    assert_eq!((published.state.seq(), published.suspended()), (9, true));
    published.lose(&second);
    assert_eq!(published.catch_up(T), 1, "the file behind the snapshot alone");
    let last = Answer::Part { part: Vec::new(), newest: Vec::new() };
    assert!(!last.leaves_much(newest.head(), 10), "nothing is left");

    publish(&published, &[first, second, third], None);
    let again = Published { state: FeedState::new(None), ..published };
    again.source.ask(&question).expect("the first file");
    assert!(matches!(again.source.snapshot((by.0, &by.1)), Err(FollowError::Status(404))));
}

#[test]
fn a_follower_between_two_places_skips_what_it_knows() {
    let mut published = Published::new();
    published.head(None, &[], message(1, 0, 0, T, &[]));
    published.catch_up(T);
    // It was told by a node, which is at another place than any file.
    let told = message(1, 0, 4, T + 1, &[(4, suspend())]);
    Answer::Next(told).apply(&mut published.state, (keyring_id(), &key().verifying_key()), T + 1).expect("it fits");
    let merged = published.file(0, 9, &message(1, 0, 9, T + 5, &[(4, suspend()), (9, Change::Resume { id: id() })]));
    published.head(None, &[merged], message(1, 9, 9, T + 5, &[]));
    assert_eq!(published.catch_up(T + 5), 1);
    assert_eq!((published.state.seq(), published.suspended()), (9, false));
}

#[test]
fn a_missing_or_broken_file_falls_back_to_the_list_from_the_beginning() {
    let mut published = Published::new();
    let bytes = message(1, 0, 9, T, &[(9, suspend())]);
    let (lost, whole) = (published.file(0, 8, b"lost"), published.file(0, 9, &bytes));
    let base = published.base(&[whole]);
    published.head(Some(base), &[lost, FileName::of(8, 9, b"never written")], message(1, 9, 9, T, &[]));
    published.lose(&lost);
    assert_eq!(published.catch_up(T), 1);
    assert!(published.suspended());

    let mut published = Published::new();
    let cut_off = FileName::of(0, 9, &bytes);
    fs::write(published.folder.path().join(format!("files/{cut_off}")), &bytes[..200]).expect("written");
    published.head(None, &[cut_off], message(1, 9, 9, T, &[]));
    let error = published.ask(T).expect_err("half a file");
    assert!(error.to_string().contains("cut off or altered"), "{error}");
    assert_eq!((published.state.seq(), error.code()), (0, "published"));
    published.file(0, 9, &bytes);
    assert_eq!(published.catch_up(T), 1, "once it is whole");
}

#[test]
fn an_older_head_object_takes_nothing_back() {
    let mut published = Published::new();
    let first = published.file(0, 5, &message(1, 0, 5, T, &[(5, suspend())]));
    published.head(None, &[first], message(1, 5, 5, T + 1, &[]));
    published.catch_up(T + 1);
    published.head(None, &[], message(1, 0, 0, T - 10, &[]));
    let error = published.ask(T + 2).expect_err("it is at an earlier place");
    assert!(error.to_string().contains("a cache has an older one"), "{error}");
    assert_eq!((published.state.seq(), published.suspended()), (5, true));
    // At rest it is not even an error: the newer one is known.
    published.head(None, &[first], message(1, 5, 5, T + 3, &[]));
    assert!(published.ask(T + 3).expect("the newest"));
    published.head(None, &[], message(1, 0, 0, T - 10, &[]));
    let question = Question { after: 5, log_id: published.state.log_id(), wait: 1 };
    assert!(matches!(published.source.ask(&question), Ok(Answer::Next(_))));
}

#[test]
fn a_new_log_is_read_from_its_beginning_and_old_parts_of_it_are_no_replay() {
    let mut published = Published::new();
    let first = published.file(0, 5, &message(1, 0, 5, T, &[(5, suspend())]));
    published.head(None, &[first], message(1, 5, 5, T, &[]));
    published.catch_up(T);
    let other = published.file(0, 2, &message(2, 0, 2, T - 5_000, &[(1, Change::Resume { id: id() })]));
    let another = published.file(2, 3, &message(2, 2, 3, T - 4_000, &[(3, suspend())]));
    published.head(None, &[other, another], message(2, 3, 3, T + 1, &[]));
    let error = published.ask(T + 1).expect_err("another log");
    assert_eq!(error.code(), "other_log");
    published.state.restart();
    assert!(!published.ask(T + 1).expect("the first part") && published.suspended(), "on the way nothing is resumed");
    assert_eq!(published.catch_up(T + 1), 1);
    assert!(published.suspended() && !published.state.is_stale(T + 1));
}

#[test]
fn what_is_wrong_with_a_head_object_is_said() {
    let mut published = Published::new();
    let says = |published: &mut Published, what: &str| {
        let error = published.ask(T).expect_err("nothing good");
        assert!(error.to_string().contains(what), "{error}");
    };
    says(&mut published, "`head` cannot be used");
    fs::write(published.folder.path().join("head"), "<html>404</html>\n").expect("written");
    says(&mut published, "not the head object");
    published.head(None, &[], message(1, 0, 0, T + 301, &[]));
    says(&mut published, "set that clock, or the server's");
    published.head(None, &[], message(1, 9, 9, T, &[]));
    says(&mut published, "names no file that goes on from 0");
    let mut forged = message(1, 0, 0, T, &[]);
    forged[40] ^= 1;
    published.head(None, &[], forged);
    says(&mut published, "signature is wrong");
    for address in
        ["file:/srv/feed", "https://cdn.example/feed", "https://cdn.example/feed/head?x=1", "http://cdn.example/head"]
    {
        assert!(PublishedSource::new(address, keyring_id(), key().verifying_key()).is_err(), "{address}");
    }
}
