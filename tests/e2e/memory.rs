//! What bodies and answers of clients take of the service's memory: all of them share one budget.

use std::io::{Read, Write};

use serde_json::json;

use crate::support::{deployment::Deployment, server::Server};

fn status(answer: &str) -> &str {
    answer.split_whitespace().nth(1).unwrap_or_default()
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short one").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[test]
fn all_bodies_share_one_budget_and_the_slowest_makes_room() {
    const MIB: usize = 1 << 20;
    let deployment = Deployment::new();
    let server = Server::start_with(
        &deployment,
        &[("BULLA_SERVER__BODY_MEMORY_MIB", "4"), ("BULLA_SERVER__BODY_TIMEOUT", "10m")],
    );
    let key = deployment.issue_text("live", &[]);
    let body = |length: usize| {
        let body = json!({"api_keys": [key]}).to_string();
        format!("{}{}", " ".repeat(length - body.len()), body)
    };
    let head = format!(
        "POST /v1/verify/batch HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {MIB}\r\n\r\n"
    );
    let whole = body(MIB);
    let ask = || status(&server.data.raw(format!("{head}{whole}").as_bytes())).to_owned();
    assert_eq!(ask(), "200");
    let slow: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = server.data.connect();
            stream.write_all(format!("{head}{}", &whole[..MIB - 4096]).as_bytes()).expect("all but the end");
            stream
        })
        .collect();
    let (all_there, taken) = (4 * (MIB as u64 - 4096), |server: &Server| server.metric("bulla_body_memory_bytes"));
    server.until("all four", |server| taken(server) >= all_there);
    // As soon as all four are on their way for a second the oldest of them is ended, and never before.
    server.until("a refusal", |server| server.metric("bulla_bodies_refused_total") > 0 || ask() == "503");
    server.until("room", |_| ask() == "200");
    let mut answers: Vec<String> = Vec::new();
    for mut stream in slow {
        let _ended_already = stream.write_all(&whole.as_bytes()[MIB - 4096..]);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answers.push(status(&answer).to_owned());
    }
    answers.sort();
    assert_eq!((answers[0].as_str(), answers[3].as_str()), ("200", "408"), "one makes room, the others go on");
    assert!(server.metric("bulla_bodies_refused_total") > 0);
}

#[test]
fn unfinished_bodies_take_no_more_than_their_budget() {
    let deployment = Deployment::new();
    let server = Server::start_with(&deployment, &[("BULLA_SERVER__BODY_MEMORY_MIB", "8")]);
    let part = " ".repeat((1 << 20) - 1);
    let head = "POST /v1/verify/batch HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1048576\r\n\r\n";
    let open = |count: usize| -> Vec<std::net::TcpStream> {
        let opened = (0..count).map(|_| {
            let mut stream = server.data.connect();
            let _refused = stream.write_all(format!("{head}{part}").as_bytes());
            stream
        });
        opened.collect()
    };
    drop(open(8));
    let before = server.memory();
    let held = open(150);
    assert_eq!(server.data.get("/healthz").status, 200);
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 60 << 10, "150 MiB were sent, of which 8 may be kept: {grown} KiB more");
    drop(held);
}

/// HTTP/2 by hand: `streams` POST requests whose heads are long, though short on the wire, and whose bodies never come.
fn packed_heads(streams: u32) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    for stream in 0..streams {
        // POST, http, and a path (literal, not indexed, name of the static table's entry 4): RFC 7541.
        let mut head = vec![0x83, 0x86, 0x04, 10];
        head.extend(b"/v1/verify");
        // content-type: application/json, by the name's entry 31.
        head.extend([0x0f, 0x10, 16]);
        head.extend(b"application/json");
        if stream == 0 {
            // x: y, which is entry 62 from then on.
            head.extend([0x40, 1, b'x', 1, b'y']);
        }
        head.extend(vec![0xbe; 900]);
        bytes.extend(frame(1, 4, stream * 2 + 1, &head));
    }
    bytes
}

/// HTTP/2 by hand: batches whose answers nobody is ready to read.
fn unread_batches(streams: u32) -> Vec<u8> {
    let body = json!({"api_keys": vec![""; 1_000]}).to_string();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE is 1.
    bytes.extend(frame(4, 0, 0, &[0, 4, 0, 0, 0, 1]));
    for stream in 0..streams {
        let mut head = vec![0x83, 0x86, 0x04, 16];
        head.extend(b"/v1/verify/batch");
        head.extend([0x0f, 0x10, 16]);
        head.extend(b"application/json");
        bytes.extend(frame(1, 4, stream * 2 + 1, &head));
        bytes.extend(frame(0, 1, stream * 2 + 1, body.as_bytes()));
    }
    bytes
}

#[test]
fn answers_that_nobody_reads_share_the_budget() {
    let deployment = Deployment::new();
    let server = Server::start_with(&deployment, &[("BULLA_SERVER__BODY_MEMORY_MIB", "4")]);
    let open = |count: usize| -> Vec<std::net::TcpStream> {
        let opened = (0..count).map(|_| {
            let mut stream = server.data.connect();
            // Twenty fit into the window of a connection that does not hear what the server says.
            let _closed_for_another = stream.write_all(&unread_batches(20));
            stream
        });
        opened.collect()
    };
    let first = open(150);
    server.until("no room", |server| server.metric("bulla_bodies_refused_total") >= 100);
    let before = server.memory();
    let held = open(300);
    server.until("no room", |server| server.metric("bulla_bodies_refused_total") >= 500);
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 50 << 10, "300 times 340 KB of answers: {grown} KiB more");
    assert_eq!(server.data.get("/healthz").status, 200);
    drop((first, held));
}

#[test]
fn heads_that_wait_for_their_bodies_share_the_budget() {
    let deployment = Deployment::new();
    let server = Server::start_with(&deployment, &[("BULLA_SERVER__BODY_MEMORY_MIB", "4")]);
    let open = || {
        let mut stream = server.data.connect();
        stream.write_all(&packed_heads(100)).expect("written");
        stream
    };
    let first = open();
    // Each head takes some 90 KB, and a hundred of them more than there is.
    server.until("no room", |server| server.metric("bulla_bodies_refused_total") >= 50);
    let before = server.memory();
    // All at once: what a burst of heads takes before it is charged is bounded, too.
    let held: Vec<_> = (0..30).map(|_| open()).collect();
    server.until("no room", |server| server.metric("bulla_bodies_refused_total") >= 50 + 29 * 100);
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 60 << 10, "3,000 heads of 90 KB: {grown} KiB more");
    drop((first, held));
}
