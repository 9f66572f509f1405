//! `cargo bench -p bulla-server --bench last_used`: what noting the use of an accepted key costs beside verifying it,
//! while a collector counts on another core, and what a million noted ids take.
//!
//! Costs are paired: each round verifies without, with and again without a note, and the difference is taken within the
//! round and given in parts of the raw cipher's time in that round.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../keys/benches/support/ids.rs"]
mod ids;
#[path = "../keys/benches/support/keyring.rs"]
mod keyring;
#[path = "../keys/benches/support/raw.rs"]
mod raw;
#[path = "../keys/benches/support/rounds.rs"]
mod rounds;

use std::{
    cell::Cell,
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use bulla::{
    ApiKeyId, Expectations, IssueRequest, Issuer, Verifier,
    claims::Claims,
    keyring::{Keyring, Suite},
    revocation::Change,
};
use bulla_server::testing::benchmark::LastUsed;
use ids::revocations;
use keyring::{NOW, realm};
use rounds::{Contender, median_with_interval, times_of};

/// Distinct keys, far more than a round verifies.
const KEYS: usize = 1 << 16;
/// Distinct ids between two flushes, as the configuration has it.
const IDS: usize = 1_000_000;
/// The keys of a service that sees the same ones all the time.
const HOT: usize = 512;
/// How often the collector counts.
const COLLECT: Duration = Duration::from_millis(50);
const ROUNDS: usize = 12_001;
const STEPS: u32 = 100;

fn main() {
    memory();
    let keyring = keyring::load(Suite::Aes256Gcm);
    let (verifier, texts) = (Verifier::new(&keyring), issue(&keyring));
    println!("\n{:>8} {:>13} {:>11} {:>34}", "ids", "raw open, ns", "verify, ns", "a note, in parts of raw (95 %)");
    for keys in [HOT, KEYS] {
        cost(&verifier, &texts[..keys]);
    }
    println!("at most 0.1");
}

/// A million ids, noted and counted as fast as it goes, and what the process is larger by then.
fn memory() {
    let used = LastUsed::new(IDS);
    let before = resident();
    for (at, id) in some_ids(IDS).enumerate() {
        used.note(id, NOW);
        if at % 10_000 == 0 {
            used.collect();
        }
    }
    used.collect();
    let counted = resident() - before;
    let batch = used.take();
    assert_eq!((batch.keys(), used.dropped()), (IDS, 0));
    let taken = resident() - before;
    println!("a million ids: {:.1} MB counted, {:.1} MB as a batch with the store", mega(counted), mega(taken));
}

fn some_ids(count: usize) -> impl Iterator<Item = ApiKeyId> {
    let id = |change| match change {
        Change::Revoke { id, .. } => Some(id),
        _ => None,
    };
    revocations(0).filter_map(id).take(count)
}

fn issue(keyring: &Keyring) -> Vec<String> {
    let issuer = Issuer::new(keyring);
    let request =
        IssueRequest { realm: realm(), app_id: keyring::APP, expires_at: Some(NOW + 86_400), claims: Claims::new() };
    (0..KEYS).map(|_| issuer.issue(&request, NOW).expect("an API key").expose().to_owned()).collect()
}

fn cost(verifier: &Verifier, texts: &[String]) {
    let (used, stop) = (LastUsed::new(IDS), AtomicBool::new(false));
    let mut times = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                used.collect();
                thread::sleep(COLLECT);
            }
        });
        let times = verifying(verifier, texts, &used);
        stop.store(true, Ordering::Relaxed);
        times
    });
    let uses = used.take();
    assert_eq!((uses.keys(), uses.uses(), used.dropped()), (texts.len(), ROUNDS as u64 * u64::from(STEPS), 0));

    let cost = |round: usize| (times[3][round] - (times[2][round] + times[4][round]) / 2.0) / times[0][round];
    let (low, middle, high) = median_with_interval(&mut (0..ROUNDS).map(cost).collect::<Vec<_>>());
    let raw = median_with_interval(&mut times[0]).1;
    let verify = median_with_interval(&mut times[2]).1;
    println!("{:>8} {raw:>13.0} {verify:>11.0} {middle:>16.3} ({low:.3} … {high:.3})", texts.len());
}

/// The nanoseconds of every round: raw, verify, verify, verify and note, verify.
fn verifying(verifier: &Verifier, texts: &[String], used: &LastUsed) -> Vec<Vec<f64>> {
    let realms = [realm()];
    let expected = Expectations::realms(&realms);
    // One cursor for all: each goes on where the last one stopped, so that none finds its texts in a cache because
    // another has just read them.
    let at = Cell::new(0);
    let contender = |name, used| {
        let (at, expected) = (&at, &expected);
        Contender::new(name, move || {
            at.set((at.get() + 1) % texts.len());
            verify(verifier, &texts[at.get()], expected, used)
        })
    };
    // Once behind the cipher, whose code pushes theirs out; then before and after the one with a note.
    let contenders = &mut [
        raw::open(),
        contender("verify, first", None),
        contender("verify, before", None),
        contender("verify and note", Some(used)),
        contender("verify, after", None),
    ];
    times_of(contenders, ROUNDS, STEPS)
}

/// One function for all, at one place in code and on the stack: where a compiler puts two of them makes more of a
/// difference than a note.
#[inline(never)]
fn verify(verifier: &Verifier, text: &str, expected: &Expectations<'_>, used: Option<&LastUsed>) -> bool {
    let Ok(verified) = verifier.verify(black_box(text), expected, NOW) else { return false };
    match used {
        Some(used) => used.note(verified.id(), NOW),
        None => _ = black_box(&verified),
    }
    true
}

fn mega(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

/// Bytes of memory that the process has.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("pages") * 4096
}
