//! `cargo bench -p bulla-server --bench authorize`: forward authentication of the real service beside handlers that do
//! nothing, and nothing but give the same answer, on the same listener, asked by wrk over HTTP and by h2load over gRPC
//! (Debian: wrk, nghttp2-client).
//!
//! Each round loads every contender once for a second, the pairs in turns of order; printed are the medians over the rounds,
//! and the median of the ratios to the empty handler of the same round, with their 95 % confidence intervals.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, unreachable_pub)]

#[path = "support/empty.rs"]
mod empty;
#[path = "../keys/benches/support/rounds.rs"]
mod rounds;
#[path = "../tests/support/mod.rs"]
mod support;

use std::{path::Path, process::Command};

use bulla_server::testing::benchmark::Listener;
use prost::Message;
use rounds::median_with_interval;
use support::{deployment::Deployment, envoy::Question, server::Server};

const ROUNDS: usize = 21;

/// What a second of load showed.
struct Load {
    per_second: f64,
    /// In microseconds.
    p99: f64,
}

struct Contender {
    name: &'static str,
    /// The one it is held against.
    beside: usize,
    load: Box<dyn Fn() -> Load>,
    seen: Vec<Load>,
}

fn main() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let signing = signing();
    let signing_server = Server::start(&signing);
    let [empty, same] =
        [empty::nothing(), empty::the_same_answer()].map(|all| Listener::start(all).expect("a listener"));
    let folder = tempfile::tempdir().expect("a folder");
    let issue = |deployment: &Deployment| deployment.issue_text("live", &["--scope", "orders.read", "--ttl", "90d"]);
    let (key, signed_key) = (issue(&deployment), issue(&signing));
    let http = |address: &str, key: &str| {
        let (url, header) = (format!("http://{address}/v1/authorize"), format!("x-api-key: {key}"));
        Box::new(move || wrk(&url, &header)) as Box<dyn Fn() -> Load>
    };
    let grpc = |address: &str, key: &str, name: &str| {
        let url = format!("http://{address}/envoy.service.auth.v3.Authorization/Check");
        let (frame, log) = (folder.path().join(name), folder.path().join(format!("{name}.log")));
        std::fs::write(&frame, check_request(key)).expect("written");
        Box::new(move || h2load(&url, &frame, &log)) as Box<dyn Fn() -> Load>
    };
    let contender = |name, beside, load| Contender { name, beside, load, seen: Vec::new() };
    let mut contenders = [
        contender("HTTP: empty handler", 0, http(&empty.address, &key)),
        contender("HTTP: the same answer, unasked", 0, http(&same.address, &key)),
        contender("HTTP: /v1/authorize", 0, http(&server.data.address, &key)),
        contender("HTTP: the same, with an assertion", 0, http(&signing_server.data.address, &signed_key)),
        contender("gRPC: empty service", 4, grpc(&empty.address, &key, "empty")),
        contender("gRPC: the same answer, unasked", 4, grpc(&same.address, &key, "same")),
        contender("gRPC: Check", 4, grpc(&server.data.address, &key, "check")),
    ];
    for round in 0..ROUNDS {
        let mut order: Vec<usize> = (0..contenders.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for at in order {
            let load = (contenders[at].load)();
            contenders[at].seen.push(load);
        }
    }
    println!("{:<36} {:>12} {:>24} {:>9} {:>24}", "", "requests/s", "ratio to empty (95 %)", "p99 µs", "ratio (95 %)");
    for contender in &contenders {
        let beside = &contenders[contender.beside];
        let shown = |value: fn(&Load) -> f64| {
            let mut own: Vec<f64> = contender.seen.iter().map(value).collect();
            let mut ratios: Vec<f64> = own.iter().zip(&beside.seen).map(|(own, other)| own / value(other)).collect();
            let (low, ratio, high) = median_with_interval(&mut ratios);
            (median_with_interval(&mut own).1, format!("{ratio:.3} ({low:.3} … {high:.3})"))
        };
        let ((rate, rates), (p99, p99s)) = (shown(|load| load.per_second), shown(|load| load.p99));
        println!("{:<36} {rate:>12.0} {rates:>24} {p99:>9.0} {p99s:>24}", contender.name);
    }
}

/// A deployment whose service signs.
fn signing() -> Deployment {
    let deployment = Deployment::new();
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

fn wrk(url: &str, header: &str) -> Load {
    let out = run(Command::new("wrk").args(["-t1", "-c16", "-d1s", "--latency", "-H", header, url]));
    assert!(!out.contains("Non-2xx"), "{out}");
    let after = |what: &str| {
        let line =
            out.lines().find_map(|line| line.trim().strip_prefix(what)).unwrap_or_else(|| panic!("{what}: {out}"));
        line.trim().to_owned()
    };
    let p99 = after("99%");
    let (number, unit) = p99.split_at(p99.find(|c: char| c.is_alphabetic()).expect("a unit"));
    let unit = match unit {
        "us" => 1.0,
        "ms" => 1e3,
        _ => 1e6,
    };
    Load {
        per_second: after("Requests/sec:").parse().expect("a number"),
        p99: number.parse::<f64>().expect("a number") * unit,
    }
}

fn h2load(url: &str, frame: &Path, log: &Path) -> Load {
    let _none_yet = std::fs::remove_file(log);
    let headers = ["-H", "content-type: application/grpc", "-H", "te: trailers"];
    let out = run(Command::new("h2load")
        .args(["-t1", "-c4", "-m4", "-D1"])
        .args(headers)
        .arg("-d")
        .arg(frame)
        .arg(url)
        .arg(format!("--log-file={}", log.display())));
    assert!(out.contains(" 0 failed, 0 errored, 0 timeout"), "{out}");
    let rate =
        out.lines().find_map(|line| line.strip_prefix("finished in ")?.split(", ").nth(1)?.strip_suffix(" req/s"));
    let log = std::fs::read_to_string(log).expect("a log");
    let mut times: Vec<f64> = log.lines().filter_map(|line| line.rsplit('\t').next()?.parse().ok()).collect();
    times.sort_by(f64::total_cmp);
    Load {
        per_second: rate.unwrap_or_else(|| panic!("{out}")).parse().expect("a number"),
        p99: times[times.len() * 99 / 100],
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
