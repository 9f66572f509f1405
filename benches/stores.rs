//! `cargo bench -p bulla-server --profile dist --bench stores`: verifying on a node with PostgreSQL behind it, beside a
//! node with SQLite. Both nodes have the same core, and the load has the other one (Debian: wrk).
//!
//! Each round loads both for a second, in turns of order, and the ratio is taken in each round; printed are the medians
//! with their 95 % confidence intervals. Then what each takes of its core while nobody asks. `BULLA_BENCH_ROUNDS` has
//! another number of rounds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, unreachable_pub)]

#[path = "support/loads.rs"]
mod loads;
#[path = "../keys/benches/support/rounds.rs"]
mod rounds;
#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Duration;

use loads::{Load, Request, start, ticks};
use rounds::median_with_interval;
use support::{deployment::Deployment, postgres::Postgres, server::Server};

const ROUNDS: usize = 101;
/// How long both are left alone.
const IDLE: Duration = Duration::from_secs(60);
const NAMES: [&str; 2] = ["SQLite", "PostgreSQL"];

fn main() {
    let rounds = std::env::var("BULLA_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let postgres = Postgres::start(&[]);
    let deployments = [Deployment::on_file(), Deployment::on_store(&postgres.url(&postgres.new_database()))];
    let nodes = deployments.each_ref().map(|deployment| {
        let key = deployment.issue_text("live", &["--scope", "orders.read", "--ttl", "90d"]);
        let server = start(deployment);
        let url = format!("http://{}/v1/authorize", server.data.address);
        (server, Request::get(url, format!("x-api-key: {key}")))
    });
    let mut loads: Vec<[Load; 2]> = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let load = |at: usize| nodes[at].1.wrk(nodes[at].0.id());
        loads.push(if round % 2 == 0 {
            let first = load(0);
            [first, load(1)]
        } else {
            let second = load(1);
            [load(0), second]
        });
    }
    println!("/v1/authorize, {rounds} rounds");
    println!("{:<12} {:>10} {:>24} {:>7} {:>24}", "", "requests/s", "ratio (95 %)", "CPU µs", "ratio (95 %)");
    for (at, name) in NAMES.iter().enumerate() {
        let shown = |value: fn(&Load) -> f64| {
            let (_, own, _) =
                median_with_interval(&mut loads.iter().map(|round| value(&round[at])).collect::<Vec<_>>());
            let mut ratios: Vec<f64> = loads.iter().map(|round| value(&round[at]) / value(&round[0])).collect();
            let (low, ratio, high) = median_with_interval(&mut ratios);
            (own, format!("{ratio:.3} ({low:.3} … {high:.3})"))
        };
        let ((rate, rates), (cpu, cpus)) = (shown(|load| load.per_second), shown(|load| load.cpu));
        println!("{name:<12} {rate:>10.0} {rates:>24} {cpu:>7.2} {cpus:>24}");
    }
    let used = || nodes.each_ref().map(|(server, _): &(Server, Request)| ticks(server.id()));
    let before = used();
    std::thread::sleep(IDLE);
    let idle: Vec<f64> = used().iter().zip(before).map(|(after, before)| (after - before) / 1e3).collect();
    println!("of its core in {} s in which nobody asks: {:.0} ms and {:.0} ms", IDLE.as_secs(), idle[0], idle[1]);
}
