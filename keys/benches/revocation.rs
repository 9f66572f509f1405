//! `cargo bench -p bulla --bench revocation`: what taking keys back costs, in time and memory, from ten ids to ten
//! million.
//!
//! Costs of a lookup are paired: each round times every list once, in turn, and the difference to the empty list is
//! taken within the round and given in parts of the raw cipher's time in that round. Windows with and without a writer
//! alternate.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/ids.rs"]
mod ids;
#[path = "support/keyring.rs"]
mod keyring;
#[path = "support/raw.rs"]
mod raw;
#[path = "support/rounds.rs"]
mod rounds;

use std::{
    cell::Cell,
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use bulla::{
    Expectations, IssueRequest, Issuer, Verifier,
    claims::Claims,
    keyring::{Keyring, Suite},
    revocation::{Change, Revocations},
};
use ids::revocations;
use keyring::{NOW, realm};
use rounds::{Contender, median_with_interval, times};

/// Distinct keys, far more than one round verifies: no part of a list is in a cache because the last round asked for
/// it.
const KEYS: usize = 1 << 16;
/// The keys of a service that sees the same ones all the time.
const HOT: usize = 512;
const MILLION: usize = 1_000_000;
/// Revocations a second in the storm.
const RATE: u64 = 10_000;

fn main() {
    let keyring = keyring::load(Suite::Aes256Gcm);
    let texts = issue(&keyring);
    let empty = Verifier::new(&keyring);
    load();
    cost_and_memory(&empty, &texts);
    let million = Revocations::from_changes(revocations(0).take(MILLION));
    housekeeping(&million);
    one_more(&empty, &million, &texts);
    storm(&empty, &million, &texts);
}

fn issue(keyring: &Keyring) -> Vec<String> {
    let issuer = Issuer::new(keyring);
    let request =
        IssueRequest { realm: realm(), app_id: keyring::APP, expires_at: Some(NOW + 86_400), claims: Claims::new() };
    (0..KEYS).map(|_| issuer.issue(&request, NOW).expect("an API key").expose().to_owned()).collect()
}

/// Loading a million at start.
fn load() {
    let changes: Vec<Change> = revocations(0).take(MILLION).collect();
    let before = resident();
    let mut seconds = Vec::new();
    let mut held = 0;
    for _ in 0..7 {
        let changes = changes.iter().copied();
        let start = Instant::now();
        let loaded = black_box(Revocations::from_changes(changes));
        seconds.push(start.elapsed().as_secs_f64());
        assert_eq!(loaded.len(), MILLION);
        held = resident().saturating_sub(before);
    }
    let (low, middle, high) = median_with_interval(&mut seconds);
    println!("load a million: {middle:.2} s ({low:.2} … {high:.2}); at most 2 s");
    println!("the process is {:.1} MB larger with one loaded (heap that the load left free included)", mega(held));
}

/// The cost of an accepted key, and the memory, at every length of the list.
fn cost_and_memory(empty: &Verifier, texts: &[String]) {
    println!("\n{:>43} {:>40}", "", "cost over the empty list, in parts of raw open (95 %)");
    print!("{:>10} {:>11} {:>7} {:>12}", "ids", "bytes", "per id", "raw open, ns");
    println!("{:>26} {:>28}", format!("{HOT} keys in turn"), format!("{KEYS} keys in turn"));
    for ids in [0, 10, 100, 1_000, 10_000, 100_000, MILLION, 10 * MILLION] {
        let list = Arc::new(Revocations::from_changes(revocations(0).take(ids)));
        let bytes = list.memory();
        let full = empty.with_revocations(list);
        let (raw, hot) = cost(empty, &full, &texts[..HOT]);
        let (_, cold) = cost(empty, &full, texts);
        let show = |(low, middle, high): (f64, f64, f64)| format!("{middle:.3} ({low:.3} … {high:.3})");
        let per_id = bytes as f64 / ids.max(1) as f64;
        println!("{ids:>10} {bytes:>11} {per_id:>7.1} {raw:>12.0} {:>26} {:>28}", show(hot), show(cold));
    }
    println!("at a million: at most 0.15 and 48 bytes");
}

/// Raw open, in nanoseconds, and what the full list adds to the empty one's time in parts of it.
fn cost(empty: &Verifier, full: &Verifier, texts: &[String]) -> (f64, (f64, f64, f64)) {
    let realms = [realm()];
    let expected = Expectations::realms(&realms);
    // One cursor for all: each goes on where the last one stopped, so that none finds its texts in a cache because
    // another has just read them.
    let at = Cell::new(0);
    let verifies = |verifier: &Verifier| {
        at.set((at.get() + 1) % texts.len());
        verifier.verify(black_box(&texts[at.get()]), &expected, NOW).is_ok()
    };
    // The empty list before and after the full one, and once more behind the cipher, whose code pushes theirs out.
    let mut times = times(&mut [
        raw::open(),
        Contender::new("nothing revoked, first", || verifies(empty)),
        Contender::new("nothing revoked, before", || verifies(empty)),
        Contender::new("some revoked", || verifies(full)),
        Contender::new("nothing revoked, after", || verifies(empty)),
    ]);
    let rounds = 0..times[0].len();
    let cost = |at: usize| (times[3][at] - (times[2][at] + times[4][at]) / 2.0) / times[0][at];
    let mut costs: Vec<f64> = rounds.map(cost).collect();
    (median_with_interval(&mut times[0]).1, median_with_interval(&mut costs))
}

/// What the owner does beside: sweeping, and forgetting a version.
fn housekeeping(million: &Revocations) {
    let half = NOW + 45 * 86_400;
    let forget = [Change::ForgetVersion { version: 2 }];
    // As long as one chunk gets: the next id makes 64 of it.
    let (longest, next) = (Revocations::from_changes(revocations(0).take(24 * 1024)), revocations(1).next());
    let split = Vec::from_iter(next);
    let steps: [(&str, &dyn Fn() -> Revocations); 5] = [
        ("the longest that one more takes: a split", &|| longest.with(&split)),
        ("sweep, nothing expired", &|| million.sweep(NOW)),
        ("sweep, half expired", &|| million.sweep(half)),
        ("sweep one of the parts, half expired", &|| million.sweep_part(7, half)),
        ("forget another version", &|| million.with(&forget)),
    ];
    println!("\nthe owner's work with a million, off every reader's path");
    for (name, step) in steps {
        let mut times: Vec<f64> = (0..15).map(|_| micros(step)).collect();
        println!("{name:<42} {:>8.0} µs", median_with_interval(&mut times).1);
    }
}

/// Taking in one revocation more while readers verify on every other core: so many in turn that the whole filter is
/// made anew on the way, and doubled.
fn one_more(empty: &Verifier, million: &Revocations, texts: &[String]) {
    println!("\none more revocation into a million, made and swapped in, one by one, at most 1 ms");
    for readers in [0, 1, thread::available_parallelism().map_or(2, usize::from)] {
        let shared = ArcSwap::from_pointee(empty.with_revocations(Arc::new(million.clone())));
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..readers {
                scope.spawn(|| read(&shared, texts, &stop));
            }
            let mut state = million.clone();
            let mut times: Vec<f64> =
                revocations(1).take(200_000).map(|one| take_in(&mut state, one, &shared)).collect();
            stop.store(true, Ordering::Relaxed);
            println!("{readers} readers: {}", spread(&mut times));
        });
    }
}

/// Ten thousand a second, one by one, for ten seconds in ten windows, between them quiet ones of the same length.
fn storm(empty: &Verifier, million: &Revocations, texts: &[String]) {
    let shared = ArcSwap::from_pointee(empty.with_revocations(Arc::new(million.clone())));
    let (mut quiet, mut stormy, mut writing) = (Vec::new(), Vec::new(), Vec::new());
    let (mut state, mut arriving, mut ratios) = (million.clone(), revocations(2), Vec::new());
    for _ in 0..10 {
        let window = Duration::from_secs(1);
        let mut calm = latencies(&shared, texts, window);
        let stop = AtomicBool::new(false);
        let mut under = thread::scope(|scope| {
            scope.spawn(|| {
                let (start, mut sent) = (Instant::now(), 0);
                while !stop.load(Ordering::Relaxed) {
                    let due = (start.elapsed().as_micros() as u64 * RATE / 1_000_000).min(RATE);
                    for one in arriving.by_ref().take((due - sent) as usize) {
                        writing.push(take_in(&mut state, one, &shared));
                    }
                    sent = due;
                    thread::sleep(Duration::from_micros(100));
                }
            });
            let under = latencies(&shared, texts, window);
            stop.store(true, Ordering::Relaxed);
            under
        });
        ratios.push(median_with_interval(&mut under).1 / median_with_interval(&mut calm).1);
        quiet.extend(calm);
        stormy.extend(under);
    }
    println!("\n{} revocations in 10 s, one by one; the list then holds {}", writing.len(), state.len());
    println!("each to take in:          {}", spread(&mut writing));
    println!("verify, quiet windows:    {}", spread(&mut quiet));
    println!("verify, stormy windows:   {}", spread(&mut stormy));
    let (low, middle, high) = median_with_interval(&mut ratios);
    println!("stormy by quiet median:   {middle:.3} ({low:.3} … {high:.3}); at most 1.2");
}

/// Makes the state with `one` more and swaps it in; in microseconds.
fn take_in(state: &mut Revocations, one: Change, shared: &ArcSwap<Verifier>) -> f64 {
    micros(|| {
        *state = state.with(&[one]);
        shared.store(Arc::new(shared.load().with_revocations(Arc::new(state.clone()))));
    })
}

fn read(shared: &ArcSwap<Verifier>, texts: &[String], stop: &AtomicBool) {
    let realms = [realm()];
    let expected = Expectations::realms(&realms);
    while !stop.load(Ordering::Relaxed) {
        for text in texts {
            assert!(shared.load().verify(text, &expected, NOW).is_ok());
        }
    }
}

/// Microseconds of single verifications under full load for so long.
fn latencies(shared: &ArcSwap<Verifier>, texts: &[String], window: Duration) -> Vec<f64> {
    let realms = [realm()];
    let expected = Expectations::realms(&realms);
    let start = Instant::now();
    let mut times = Vec::new();
    for text in texts.iter().cycle() {
        times.push(micros(|| assert!(shared.load().verify(text, &expected, NOW).is_ok())));
        if start.elapsed() > window {
            break;
        }
    }
    times
}

fn micros<T>(work: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    let result = work();
    let time = start.elapsed();
    drop(black_box(result));
    time.as_nanos() as f64 / 1_000.0
}

fn spread(micros: &mut [f64]) -> String {
    micros.sort_by(f64::total_cmp);
    let at = |part: f64| micros[((micros.len() - 1) as f64 * part) as usize];
    let parts = [at(0.5), at(0.99), at(0.999), at(0.9999), at(1.0)];
    let [half, hundredth, thousandth, ten_thousandth, longest] = parts;
    format!(
        "median {half:.2} µs, 99 % {hundredth:.2}, 99.9 % {thousandth:.2}, 99.99 % {ten_thousandth:.0}, longest {longest:.0}"
    )
}

fn mega(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

/// Bytes of memory that the process has.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("pages") * 4096
}
