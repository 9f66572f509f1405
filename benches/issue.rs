//! `cargo bench -p bulla-server --bench issue`: keys issued a second with ledger and audit, on SQLite, as more of them
//! are issued in one request. The store is in a temporary folder (`TMPDIR`), and waits for the disk of that.
//!
//! Each round issues batches of every size once, in turn, and the ratio to single keys is taken within the round. The
//! lines that begin with `grow` are what `benches/plot.py growth` draws.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../keys/benches/support/rounds.rs"]
#[allow(dead_code, reason = "it has no contenders of its own")]
mod rounds;

use std::time::Instant;

use bulla_server::testing::issuing::Issuing;
use rounds::median_with_interval;
use uuid::Uuid;

const ROUNDS: usize = 31;
/// Keys of a request, and how many requests of them a round has.
const SIZES: [(usize, usize); 4] = [(1, 20), (10, 10), (100, 3), (1_000, 1)];

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let issuing = Issuing::new(folder.path(), "sqlite:bulla.db", false).expect("a deployment");
    let mut times = SIZES.map(|_| Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        for ((size, requests), times) in SIZES.into_iter().zip(&mut times) {
            let apps: Vec<Uuid> = (0..size).map(|_| Uuid::new_v4()).collect();
            let begun = Instant::now();
            for _ in 0..requests {
                issuing.issue_all(&apps).expect("issued");
            }
            times.push(begun.elapsed().as_nanos() as f64 / (size * requests) as f64);
        }
    }
    println!("{:>16} {:>10} {:>10} {:>26}", "keys at once", "µs a key", "keys/s", "times as many (95 %)");
    for ((size, _), own) in SIZES.into_iter().zip(&times) {
        let mut ratios: Vec<f64> = own.iter().zip(&times[0]).map(|(own, single)| single / own).collect();
        let (low, middle, high) = median_with_interval(&mut ratios);
        let time = median_with_interval(&mut own.clone()).1;
        let ratio = format!("{middle:.1} ({low:.1} … {high:.1})");
        println!("{size:>16} {:>10.1} {:>10.0} {ratio:>26}", time / 1e3, 1e9 / time);
        println!("grow\tbatch\t{size}\t{time:.1}\t{:.5}\t0", 1.0 / middle);
    }
}
