//! `cargo bench -p bulla --features follow --bench snapshot [-- COUNT…]`: what a snapshot of the feed costs, from a
//! thousand ids to ten million. Each is loaded by a process of its own, whose memory is what that took.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "support/ids.rs"]
mod ids;
#[path = "support/keyring.rs"]
#[allow(dead_code, reason = "the ids need a name and a time of it alone")]
mod keyring;

use std::{env, fs, io::Read, process::Command, time::Instant};

use bulla::{
    feed::{FeedState, Format, Head, LogId, Message, SigningKey, Snapshot, SnapshotHead, SnapshotLoad},
    keyring::KeyringId,
    revocation::{RevocationEvent, RevocationLog},
};
use ids::revocations;
use keyring::NOW;

/// The variable by which the loading process is told where the snapshot is.
const FILES: &str = "BULLA_BENCH_SNAPSHOT";

fn main() {
    if let Ok(folder) = env::var(FILES) {
        return load(&folder);
    }
    let counts: Vec<usize> = env::args().skip(1).filter_map(|count| count.parse().ok()).collect();
    let counts = if counts.is_empty() { vec![1_000, 1_000_000, 10_000_000] } else { counts };
    for count in counts {
        let (log, began) = (log(count), Instant::now());
        let (manifest, body) = Snapshot::write(&head(), &log, &key()).expect("a snapshot");
        let written = began.elapsed();
        drop(log);
        let bytes = body.len() as f64 / count as f64;
        println!(
            "{count} ids: body {bytes:.2} bytes an id, manifest {} bytes, written in {written:.2?}",
            manifest.len()
        );
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("manifest"), manifest).expect("written");
        fs::write(folder.path().join("body"), body).expect("written");
        let status = Command::new(env::current_exe().expect("a path")).env(FILES, folder.path()).status();
        assert!(status.expect("started").success());
    }
}

/// Loads it as it would come over a line, and shows what that took.
fn load(folder: &str) {
    let manifest = fs::read(format!("{folder}/manifest")).expect("read");
    let mut body = fs::File::open(format!("{folder}/body")).expect("opened");
    let (before, began) = (memory("VmRSS"), Instant::now());
    let snapshot = Snapshot::read(&manifest, keyring_id(), &key().verifying_key()).expect("a manifest");
    let mut load = SnapshotLoad::new(snapshot);
    let mut chunk = Vec::new();
    while let Some(range) = load.next_range() {
        chunk.resize(range.len(), 0);
        body.read_exact(&mut chunk).expect("read");
        load.chunk(&chunk).expect("taken");
    }
    let (read, mut state) = (began.elapsed(), FeedState::new(None));
    state.load(load.finish().expect("whole"), NOW).expect("loaded");
    let loaded = began.elapsed();
    let live = state.live(NOW - NOW % 86_400, &[]);
    let head = head();
    let head = Head {
        format: Format::V2,
        keyring_id: head.keyring_id,
        log_id: head.log_id,
        realm: None,
        after: state.seq(),
        seq: state.seq(),
        head: state.seq(),
        this_update: NOW,
        next_update: NOW + 60,
        keyring_serial: 3,
        versions: Vec::new(),
        live: Some(live),
    };
    let message = Message::write(&head, &[], &key()).expect("a message");
    let message = Message::read(&message, keyring_id(), &key().verifying_key()).expect("a message");
    assert!(state.apply(&message, NOW).expect("applied").complete);
    println!(
        "  loaded in {loaded:.2?} ({read:.2?} of it reading), memory {:.1} MB more, {:.1} MB at the peak; the list {:.1} MB, {} ids",
        memory("VmRSS") - before,
        memory("VmHWM") - before,
        state.revocations().memory() as f64 / 1e6,
        live.count,
    );
}

fn log(count: usize) -> RevocationLog {
    let mut log = RevocationLog::default();
    let events = revocations(0).take(count).zip(1..).map(|(change, seq)| RevocationEvent::at_once(seq, change));
    let events: Vec<_> = events.collect();
    for part in events.chunks(1 << 20) {
        let through = part.last().expect("some").seq;
        log.advance(part, through, count as u64, NOW).expect("in order");
    }
    log
}

fn head() -> SnapshotHead {
    SnapshotHead {
        keyring_id: keyring_id(),
        log_id: LogId::from_bytes([2; 16]),
        realm: None,
        this_update: NOW,
        keyring_serial: 3,
        versions: Vec::new(),
    }
}

fn keyring_id() -> KeyringId {
    KeyringId::from_bytes([1; 16])
}

fn key() -> SigningKey {
    SigningKey::from_seed(&zeroize::Zeroizing::new([7; 32]))
}

/// A line of this process's status, in megabytes.
fn memory(name: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with(name)).expect(name);
    line.split_whitespace().nth(1).expect("a number").parse::<f64>().expect("a number") * 1024.0 / 1e6
}
