//! Requests of every kind that needs no key, many of each: the memory of the service stays what it was, and so does the
//! disk.

use std::{
    io::{Read, Write},
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use bulla::forged::with_checksum;
use serde_json::json;

use super::old_system::{questions, with_program};
use crate::support::{
    deployment::{APP, Deployment},
    edge::Edge,
    envoy::{Envoy, Question},
    http::Http,
    imported::{KEY, import, row, sha256, verify},
    server::Server,
};

/// Requests of each kind; `BULLA_TEST_FLOOD` sends more.
fn requests(by_default: usize) -> usize {
    std::env::var("BULLA_TEST_FLOOD").map_or(by_default, |count| count.parse().expect("a number"))
}

/// Requests that go into one connection.
const PIPELINED: usize = 100;

/// Differs from request to request, in all floods.
static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// One kind of request: where to, how many fit into one connection, and its bytes.
struct Kind<'a> {
    name: &'static str,
    to: &'a Http,
    pipelined: usize,
    bytes: fn(usize) -> Vec<u8>,
}

fn request(line: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    format!("{line} HTTP/1.1\r\nhost: x\r\n{headers}{length}\r\n{body}").into_bytes()
}

const JSON: &str = "content-type: application/json\r\n";
const FORM: &str = "content-type: application/x-www-form-urlencoded\r\n";

/// A key of a service, for forged ones to look like.
static GENUINE: OnceLock<String> = OnceLock::new();

/// A text with the shape of an API key, and a right checksum: only its seal is wrong.
fn forged(number: usize) -> String {
    let genuine = GENUINE.get().expect("a key");
    with_checksum(&format!("{}{number:0>16}{}", &genuine[..11], &genuine[27..genuine.len() - 6]))
}

/// HTTP/2 whose streams are reset as soon as they are opened.
fn rapid_resets(_: usize) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for stream in (1..400_u32).step_by(2) {
        bytes.extend([0, 0, 3, 1, 5].iter().copied().chain(stream.to_be_bytes()).chain([0x82, 0x86, 0x84]));
        bytes.extend([0, 0, 4, 3, 0].iter().copied().chain(stream.to_be_bytes()).chain([0, 0, 0, 8]));
    }
    bytes
}

/// Calls over gRPC: of health, and of methods that there are not.
fn grpc_calls(number: usize) -> Vec<u8> {
    let frame = |kind: u8, flags: u8, stream: u32, content: &[u8]| {
        let length = u32::try_from(content.len()).expect("a short one").to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes()[..], content].concat()
    };
    let text = |text: &str| [&[u8::try_from(text.len()).expect("a short one")], text.as_bytes()].concat();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for stream in (1..100_u32).step_by(2) {
        let unknown = format!("/shop.Orders/Call{number}");
        let path = text(if stream % 4 == 1 { "/grpc.health.v1.Health/Check" } else { &unknown });
        // POST over http, then the path, the authority and two headers as they are.
        let mut head = [&[0x83, 0x86, 0x04][..], &path[..], &[0x01], &text("x")[..]].concat();
        head.extend([&[0x0f, 0x10][..], &text("application/grpc")[..]].concat());
        head.extend([&[0x00][..], &text("te")[..], &text("trailers")[..]].concat());
        bytes.extend(frame(1, 4, stream, &head));
        bytes.extend(frame(0, 1, stream, &[0; 5]));
    }
    bytes
}

fn kinds(server: &Server) -> Vec<Kind<'_>> {
    let (data, admin, metrics) = (&server.data, &server.admin, &server.metrics);
    let kind = |name, to, bytes| Kind { name, to, pipelined: PIPELINED, bytes };
    let alone = |name, to, bytes| Kind { name, to, pipelined: 1, bytes };
    vec![
        kind("garbage to verify", data, |at| {
            request("POST /v1/verify", JSON, &format!(r#"{{"api_key":"garbage {at}"}}"#))
        }),
        kind("forged keys", data, |at| request("POST /v1/verify", JSON, &format!(r#"{{"api_key":"{}"}}"#, forged(at)))),
        kind("batches with many realms", data, |at| {
            let realms = (0..100).map(|number| format!("\"r{at}{number}\"")).collect::<Vec<_>>().join(",");
            request("POST /v1/verify/batch", JSON, &format!(r#"{{"api_keys":["x"],"realms":[{realms}]}}"#))
        }),
        kind("keys at a gateway", data, |at| {
            request(&format!("GET /v1/authorize/-/{at}"), &format!("x-api-key: {}\r\n", forged(at)), "")
        }),
        kind("mistaken routes", data, |at| request(&format!("GET /v1/authorize/nonsense-{at}"), "", "")),
        kind("self-revocations", data, |at| {
            request("POST /v1/self-revoke", &format!("x-api-key: {}\r\n", forged(at)), "")
        }),
        kind("revocations of tokens", data, |at| {
            request("POST /v1/revoke", FORM, &format!("token={}&client_id=c{at}", forged(at)))
        }),
        kind("introspections", data, |at| request("POST /v1/introspect", FORM, &format!("token={}", forged(at)))),
        kind("questions of RabbitMQ", data, |at| {
            let body = format!("username=user{at}&password={}", forged(at));
            request("POST /v1/rabbitmq/-/user", FORM, &body)
        }),
        kind("questions for the feed", data, |at| {
            request(&format!("GET /v1/revocations?after={at}"), &format!("x-api-key: {}\r\n", forged(at)), "")
        }),
        kind("reports of followers", data, |at| {
            let body = format!(r#"{{"followers":[{{"name":"follower-{at}"}}]}}"#);
            request("POST /v1/followers", &format!("{JSON}x-api-key: {}\r\n", forged(at)), &body)
        }),
        kind("documents", data, |at| request(&format!("GET /.well-known/{at}"), "", "")),
        alone("calls over gRPC", data, grpc_calls),
        kind("paths and agents", data, |at| request(&format!("GET /{at}"), &format!("user-agent: agent {at}\r\n"), "")),
        kind("bodies that nobody reads", data, |at| request(&format!("POST /{at}"), "", &"x".repeat(1_000))),
        kind("calls of the admin plane", admin, |at| {
            request(&format!("GET /v1/api-keys/{at}"), &format!("x-api-key: {}\r\n", forged(at)), "")
        }),
        kind("methods", admin, |at| request(&format!("METHOD{at}{} /v1/keyring", "X".repeat(500)), "", "")),
        kind("paths of the metrics", metrics, |at| request(&format!("GET /{at}"), "", "")),
        alone("no HTTP", data, |at| format!("nonsense {at}\r\n\r\n").into_bytes()),
        alone("long heads", data, |at| request(&format!("GET /{at}"), &format!("x: {}\r\n", "x".repeat(40_000)), "")),
        alone("rapid resets", data, rapid_resets),
    ]
}

fn send(kind: &Kind<'_>, count: usize) {
    let connections = count.div_ceil(kind.pipelined);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < connections {
                    let mut bytes = Vec::new();
                    for _ in 0..kind.pipelined {
                        bytes.extend((kind.bytes)(NUMBER.fetch_add(1, Ordering::Relaxed)));
                    }
                    if kind.pipelined > 1 {
                        bytes.extend(request("GET /last", "connection: close\r\n", ""));
                    }
                    let mut stream = kind.to.connect();
                    let mut reader = stream.try_clone().expect("its other half");
                    let answers = std::thread::spawn(move || {
                        let mut answers = Vec::new();
                        let _reset = reader.read_to_end(&mut answers);
                        answers
                    });
                    let _refused_already = stream.write_all(&bytes);
                    if kind.pipelined == 1 {
                        let _closed_already = stream.shutdown(std::net::Shutdown::Write);
                    }
                    let answers = answers.join().expect("the answers");
                    if kind.pipelined > 1 {
                        let answered = answers.windows(9).filter(|window| window == b"HTTP/1.1 ").count();
                        assert_eq!(answered, kind.pipelined + 1, "{}", kind.name);
                    }
                }
            });
        }
    });
}

/// Routes of an Envoy with a mistake in them, each another one.
fn ask_envoy(envoy: &Envoy, count: usize) {
    for _ in 0..count {
        let name = format!("bulla{}{}", NUMBER.fetch_add(1, Ordering::Relaxed), "x".repeat(2_000));
        assert_eq!(envoy.ask(Question::default().extension(&name, "-")).denied(), (500, None));
    }
}

/// Sends a part of what `BULLA_TEST_FLOOD` says of each of these kinds.
fn flood(kinds: &[Kind<'_>], divided: usize) {
    for kind in kinds {
        // What takes a connection each is slower.
        send(kind, requests(10_000) / divided / if kind.pipelined == 1 { 10 } else { 1 });
    }
}

/// All that a service has written, and kept in this folder.
fn written(folder: &Path, server: &Server) -> u64 {
    let files = std::fs::read_dir(folder).expect("its folder").flatten();
    files.map(|file| file.metadata().map_or(0, |file| file.len())).sum::<u64>() + server.log().len() as u64
}

#[test]
fn requests_without_a_key_leave_memory_and_disk_as_they_were() {
    let deployment = Deployment::new();
    let server = Server::start_with(&deployment, &[("BULLA_LOG__LEVEL", "debug")]);
    let key = deployment.issue_text("live", &[]);
    GENUINE.get_or_init(|| key.clone());
    let (envoy, kinds) = (Envoy::new(&server.data), kinds(&server));
    let all = |divided: usize| {
        flood(&kinds, divided);
        ask_envoy(&envoy, requests(10_000) / divided / 10);
    };
    all(2);
    let (memory, disk) = (server.memory(), written(deployment.path(), &server));
    all(1);
    let limit = memory + memory / 10;
    server.until("the memory of before", |server| server.memory() <= limit);
    let grown = written(deployment.path(), &server).saturating_sub(disk);
    assert!(grown < 1_000_000, "{grown} bytes more on the disk: {}", server.log());
    let body = serde_json::json!({"api_key": key});
    assert_eq!(server.data.post("/v1/verify", &body).json()["app_id"], APP);
    assert!(!server.log().contains(&"x".repeat(100)), "nothing of a stranger's is written as it is");
    println!("{memory} KiB before, {} after; {grown} bytes more on the disk", server.memory());
}

#[test]
fn requests_without_a_key_leave_an_edge_as_it_was() {
    let deployment = Deployment::new();
    let node = Server::start(&deployment);
    let edge = Edge::new(&deployment, &[&format!("http://{}", node.data.address)], &["live"]);
    let server = edge.start_with(&[("BULLA_LOG__LEVEL", "debug")]);
    let key = deployment.issue_text("live", &[]);
    GENUINE.get_or_init(|| key.clone());
    let is_active = |server: &Server| server.data.post("/v1/verify", &json!({"api_key": key})).json()["active"] == true;
    server.until("the first message", |server| server.data.get("/readyz").status == 200 && is_active(server));
    // It has no admin plane.
    let mut kinds = kinds(&server);
    kinds.retain(|kind| !std::ptr::eq(kind.to, &server.admin));
    flood(&kinds, 4);
    let (memory, disk) = (server.memory(), written(edge.path(), &server));
    flood(&kinds, 2);
    // A tenth of so little is less than what an allocator keeps now and then.
    let limit = memory + (memory / 10).max(8 << 10);
    server.until("the memory of before", |server| server.memory() <= limit);
    let grown = written(edge.path(), &server).saturating_sub(disk);
    assert!(grown < 1_000_000, "{grown} bytes more on the disk: {}", server.log());
    assert!(is_active(&server));
    println!("an edge: {memory} KiB before, {} after; {grown} bytes more on the disk", server.memory());
}

/// A text of the shape of KEY, which nobody issued.
fn old_key(number: usize) -> String {
    format!("sk_live_{number:08x}_{number:024}")
}

#[test]
fn unknown_keys_of_an_old_shape_cost_no_slow_hash_and_few_questions() {
    const BCRYPT: &str = "$2b$04$RBcO/btzmiFBY.D59xIruu/sFQsoS5YV32jxNr37n5WiWfH8bLJni";
    const PER_SECOND: usize = 5;
    let deployment = with_program(&json!({"active": true, "app_id": APP}), &format!(", per_second = {PER_SECOND}"));
    let slow = ["--scheme", "bcrypt", "--prefix", "sk_live_", "--separator", "_"];
    import(&deployment, &[row(BCRYPT, json!({"public": "4f9a1c20"}))], &slow).ok();
    import(&deployment, &[row(&sha256("sk_live_other"), json!({}))], &["--scheme", "sha256", "--prefix", "sk_live_"])
        .ok();
    let server = Server::start(&deployment);
    let slow_hashes = || server.metric("bulla_imported_slow_checks_total");
    let kind = |name, bytes| Kind { name, to: &server.data, pipelined: PIPELINED, bytes };
    let kinds = [
        kind("old keys to verify", |at| {
            request("POST /v1/verify", JSON, &format!(r#"{{"api_key":"{}"}}"#, old_key(at)))
        }),
        kind("old keys at a gateway", |at| {
            request("GET /v1/authorize/-", &format!("x-api-key: {}\r\n", old_key(at)), "")
        }),
    ];
    let begun = Instant::now();
    let flood = |divided: usize| kinds.iter().for_each(|kind| send(kind, requests(5_000) / divided));
    flood(2);
    let memory = server.memory();
    flood(1);
    let limit = memory + memory / 10;
    server.until("the memory of before", |server| server.memory() <= limit);
    let (asked, seconds) = (questions(&deployment), begun.elapsed().as_secs_f64());
    assert!(asked > 0 && asked as f64 <= PER_SECOND as f64 * (1.0 + seconds), "{asked} questions in {seconds} s");
    // Every text was asked about, or was one too many.
    let page = server.metrics.get("/metrics").body;
    let outcomes = page.lines().filter(|line| line.starts_with("bulla_old_system_total{"));
    let counted = outcomes.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum::<usize>();
    let sent: usize = [2, 1].map(|divided| (requests(5_000) / divided).div_ceil(PIPELINED) * PIPELINED).iter().sum();
    assert_eq!(counted, sent * kinds.len(), "{page}");
    assert_eq!(slow_hashes(), 0);
    // A key on record is not in the way of any of this.
    assert_eq!((&verify(&server, KEY)["active"], slow_hashes()), (&json!(true), 1));
    assert!(!server.log().contains("sk_live_0"), "no text is written");
    println!("{asked} questions in {seconds:.1} s; {memory} KiB before, {} after", server.memory());
}
