//! `cargo bench -p bulla-server --profile dist --bench authorize`: the real service on one core, loaded from the other,
//! beside an empty handler of axum's and an empty service of tonic's as they come (Debian: wrk, nghttp2-client).
//!
//! Each round loads every contender once for a second, the pairs in turns of order; printed are the medians over the
//! rounds, and the median of the ratios to the empty one of the same round, with their 95 % confidence intervals. Then
//! the same at half the load that the empty handler bears, and what the service takes: to start, in memory when idle,
//! with 10,000 idle connections, and behind a million distinct bad keys. `BULLA_BENCH_ROUNDS` has fewer rounds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, unreachable_pub)]

#[path = "support/empty.rs"]
mod empty;
#[path = "support/loads.rs"]
mod loads;
#[path = "../keys/benches/support/rounds.rs"]
mod rounds;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "support/weight.rs"]
mod weight;

use std::path::Path;

use empty::Empty;
use loads::{Load, Request, grpc, start};
use prost::Message;
use rounds::median_with_interval;
use serde_json::json;
use support::{
    deployment::{Deployment, altered},
    envoy::Question,
};

const ROUNDS: usize = 21;
/// Keys in a batch.
const BATCH: usize = 1_000;
/// Realms in a batch that is refused for them. Their names are so short that the body is no longer than it may be.
const TOO_MANY_REALMS: usize = 200_000;

struct Contender<'a> {
    name: &'static str,
    /// The one it is held against.
    beside: usize,
    load: Box<dyn Fn() -> Load + 'a>,
    seen: Vec<Load>,
}

fn main() {
    if empty::serve_if_asked() {
        return;
    }
    let rounds = std::env::var("BULLA_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let (deployment, signing) = (Deployment::on_file(), signing());
    let (server, signing_server) = (start(&deployment), start(&signing));
    let (axum, tonic) = (Empty::start("axum"), Empty::start("tonic"));
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    let issue = |deployment: &Deployment| deployment.issue_text("live", &["--scope", "orders.read", "--ttl", "90d"]);
    let (key, signed_key) = (issue(&deployment), issue(&signing));
    let forged = altered(&key, 50, if key.as_bytes()[50] == b'a' { 'b' } else { 'a' });
    let authorize =
        |address: &str, key: &str| Request::get(format!("http://{address}/v1/authorize"), format!("x-api-key: {key}"));
    let verify = |address: &str, name: &str| {
        let body = json!({"api_key": key}).to_string();
        Request::post(format!("http://{address}/v1/verify"), body, file(name))
    };
    let batch = |body: serde_json::Value, name: &str| {
        Request::post(format!("http://{}/v1/verify/batch", server.data.address), body.to_string(), file(name))
    };
    let plain = json!({"api_keys": vec![&key; BATCH]});
    let many_realms = json!({"api_keys": vec![&key; BATCH], "realms": vec!["a"; TOO_MANY_REALMS]});
    let check = |address: &str, key: &str, name: &str, process: u32| {
        let url = format!("http://{address}/envoy.service.auth.v3.Authorization/Check");
        let frame = file(name);
        std::fs::write(&frame, check_request(key)).expect("written");
        let folder = folder.path();
        Box::new(move || grpc(&url, &frame, process, folder)) as Box<dyn Fn() -> Load + '_>
    };
    let http = |request: Request, process: u32| Box::new(move || request.wrk(process)) as Box<dyn Fn() -> Load + '_>;
    let contender = |name, beside, load| Contender { name, beside, load, seen: Vec::new() };
    let (data, signed, bare) = (&server.data.address, &signing_server.data.address, &axum.address);
    let mut contenders = [
        contender("HTTP: empty handler", 0, http(authorize(bare, &key), axum.id())),
        contender("HTTP: /v1/authorize", 0, http(authorize(data, &key), server.id())),
        contender("HTTP: the same, forged", 1, http(authorize(data, &forged), server.id())),
        contender("HTTP: the same, with an assertion", 1, http(authorize(signed, &signed_key), signing_server.id())),
        contender("HTTP: empty handler, POST", 4, http(verify(bare, "e.lua"), axum.id())),
        contender("HTTP: /v1/verify", 4, http(verify(data, "v.lua"), server.id())),
        contender("HTTP: /v1/verify/batch, 1,000 keys", 6, http(batch(plain, "b.lua"), server.id())),
        contender("HTTP: the same, with 200,000 realms", 6, http(batch(many_realms, "r.lua"), server.id())),
        contender("gRPC: empty service", 8, check(&tonic.address, &key, "empty", tonic.id())),
        contender("gRPC: Check", 8, check(data, &key, "check", server.id())),
        contender("gRPC: Check, forged", 9, check(data, &forged, "forged", server.id())),
    ];
    run(&mut contenders, rounds);
    println!("\nas many as there can be, {rounds} rounds");
    print(&contenders);
    println!("{} keys a second in batches", (median(&contenders[6], |load| load.per_second) * BATCH as f64).round());

    let rate = median(&contenders[0], |load| load.per_second) / 2.0;
    let half = |request: Request, process: u32| {
        let folder = folder.path();
        Box::new(move || request.at_rate(process, rate, folder)) as Box<dyn Fn() -> Load + '_>
    };
    let mut contenders = [
        contender("HTTP: empty handler", 0, half(authorize(bare, &key), axum.id())),
        contender("HTTP: /v1/authorize", 0, half(authorize(data, &key), server.id())),
        contender("HTTP: empty handler, POST", 2, half(verify(bare, "e2.lua"), axum.id())),
        contender("HTTP: /v1/verify", 2, half(verify(data, "v2.lua"), server.id())),
    ];
    run(&mut contenders, rounds.min(11));
    println!("\n{rate:.0} requests a second, half of what the empty handler bears");
    print(&contenders);
    drop((server, signing_server));
    weight::measure();
}

fn run(contenders: &mut [Contender<'_>], rounds: usize) {
    for round in 0..rounds {
        let mut order: Vec<usize> = (0..contenders.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for at in order {
            let load = (contenders[at].load)();
            contenders[at].seen.push(load);
        }
    }
}

fn median(contender: &Contender<'_>, value: fn(&Load) -> f64) -> f64 {
    median_with_interval(&mut contender.seen.iter().map(value).collect::<Vec<_>>()).1
}

fn print(contenders: &[Contender<'_>]) {
    println!(
        "{:<36} {:>10} {:>24} {:>8} {:>24} {:>7} {:>24}",
        "", "requests/s", "ratio (95 %)", "p99 µs", "ratio (95 %)", "CPU µs", "ratio (95 %)"
    );
    for contender in contenders {
        let shown = |value: fn(&Load) -> f64| {
            let beside = contenders[contender.beside].seen.iter().map(value);
            let mut ratios: Vec<f64> =
                contender.seen.iter().map(value).zip(beside).map(|(own, other)| own / other).collect();
            let (low, ratio, high) = median_with_interval(&mut ratios);
            (median(contender, value), format!("{ratio:.3} ({low:.3} … {high:.3})"))
        };
        let ((rate, rates), (p99, p99s)) = (shown(|load| load.per_second), shown(|load| load.p99));
        let (cpu, cpus) = shown(|load| load.cpu);
        println!("{:<36} {rate:>10.0} {rates:>24} {p99:>8.0} {p99s:>24} {cpu:>7.1} {cpus:>24}", contender.name);
    }
}

/// A deployment whose service signs.
fn signing() -> Deployment {
    let deployment = Deployment::on_file();
    let key = deployment.new_master(2);
    deployment.configure("signing_keys = []", &format!("signing_keys = [\"{key}\"]"));
    deployment.configure("issuer = \"\"", "issuer = \"https://bulla.example\"");
    deployment.configure("audience = \"\"", "audience = \"shop\"");
    deployment
}

/// A message of gRPC with what an Envoy asks about a browser's request.
fn check_request(key: &str) -> Vec<u8> {
    let headers = [
        (":authority", "shop.example"),
        (":method", "GET"),
        (":path", "/orders/7?page=2"),
        (":scheme", "https"),
        ("accept", "application/json, text/plain, */*"),
        ("accept-encoding", "gzip, deflate, br"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ("x-api-key", key),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-proto", "https"),
        ("x-request-id", "3f2b8c1e-9a7d-4d52-8a55-0123456789ab"),
    ];
    let question = Question::default().headers(&headers).path("/orders/7?page=2").route("realm:live,scope:orders.read");
    let message = question.seen_at("192.0.2.7").into_request().encode_to_vec();
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).expect("a short message").to_be_bytes());
    frame.extend(message);
    frame
}

/// The file of the command.
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_bulla"))
}
