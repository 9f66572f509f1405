//! What a client may cost, and what a stopping server finishes.

use std::io::{Read, Write};

use serde_json::json;

use crate::support::{deployment::Deployment, server::Server};

fn status(answer: &str) -> &str {
    answer.split_whitespace().nth(1).unwrap_or_default()
}

#[test]
fn bodies_heads_and_header_time_are_bounded() {
    let deployment = Deployment::new();
    let server = Server::start_with(&deployment, &[("BULLA_SERVER__HEAD_TIMEOUT", "200ms")]);
    let large = server.data.post("/v1/verify", &json!({"api_key": "x".repeat(64 << 10)}));
    assert_eq!((large.status, large.problem().as_str()), (413, "too-large"));
    let chunk = format!("{:x}\r\n{}\r\n", 40_000, "x".repeat(40_000));
    let unannounced = format!(
        "POST /v1/verify HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n"
    );
    assert_eq!(status(&server.data.raw(unannounced.as_bytes())), "413", "without Content-Length too");
    let head = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "x".repeat(40_000));
    assert_eq!(status(&server.data.raw(head.as_bytes())), "431");
    let slow = server.data.raw(b"GET /healthz HTTP/1.1\r\nhost: x\r\n");
    assert!(slow.is_empty() || status(&slow) == "408", "a head that does not arrive is given up: {slow:?}");
    assert_eq!(status(&server.data.raw(b"nonsense\r\n\r\n")), "400");
    assert_eq!(server.data.get("/healthz").status, 200);
}

#[test]
fn a_connection_that_says_too_little_for_too_long_is_closed() {
    let deployment = Deployment::new();
    let bounds = [
        ("BULLA_SERVER__HEAD_TIMEOUT", "200ms"),
        ("BULLA_SERVER__BODY_TIMEOUT", "200ms"),
        ("BULLA_SERVER__IDLE_TIMEOUT", "400ms"),
    ];
    let server = Server::start_with(&deployment, &bounds);
    for said in ["", "G", "PRI * HTTP/2.0\r\n"] {
        assert_eq!(server.data.raw(said.as_bytes()), "", "{said:?} is closed without a word");
    }
    let kept_alive = server.data.raw(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(status(&kept_alive), "200", "answered, and closed after a silence: {kept_alive:?}");
    let head = "POST /v1/verify HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    let slow_body = server.data.raw(head.as_bytes());
    assert!(status(&slow_body) == "408" && slow_body.contains("urn:bulla:problem:timed-out"), "{slow_body}");
}

#[test]
fn a_body_that_is_not_read_ends_the_connection_and_the_answer_says_so() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    for path in ["/v1/authorize", "/v1/authorize/nope", "/v1/nothing", "/healthz"] {
        for body in ["content-length: 60000", "transfer-encoding: chunked", "expect: 100-continue\r\ncontent-length: 9"]
        {
            let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\n{body}\r\n\r\n");
            let answer = server.data.raw(head.as_bytes());
            assert!(
                answer.starts_with("HTTP/1.1 ") && answer.contains("connection: close"),
                "{path}, {body}: {answer}"
            );
        }
    }
    let read = server.data.raw(
        b"POST /v1/verify HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{\"api_key\":\"x\"}\
          POST /v1/authorize HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n\
          GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    );
    assert_eq!(read.matches("HTTP/1.1 ").count(), 3, "one that is read, or none, ends nothing: {read}");
}

#[test]
fn clients_that_do_not_read_their_answers_are_closed() {
    let deployment = Deployment::new();
    let bounds = [("BULLA_SERVER__MAX_CONNECTIONS", "4"), ("BULLA_SERVER__IDLE_TIMEOUT", "500ms")];
    let server = Server::start_with(&deployment, &bounds);
    let body = json!({"api_keys": vec!["x"; 1_000]}).to_string();
    let request = format!(
        "POST /v1/verify/batch HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let held: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = server.data.connect();
            stream.set_write_timeout(Some(std::time::Duration::from_millis(200))).expect("a time-out");
            // Until neither side's buffers take any more.
            while stream.write_all(request.as_bytes()).is_ok() {}
            stream
        })
        .collect();
    assert_eq!(server.data.get("/healthz").status, 200, "their places are free again");
    drop(held);
}

#[test]
fn further_connections_wait_for_a_place() {
    let deployment = Deployment::new();
    let server = Server::start_with(&deployment, &[("BULLA_SERVER__MAX_CONNECTIONS", "2")]);
    let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let (held, also_held) = (server.data.connect(), server.data.connect());
    let mut waiting = server.data.connect();
    waiting.write_all(request).expect("written");
    waiting.set_read_timeout(Some(std::time::Duration::from_millis(300))).expect("a time-out");
    let mut first = [0; 1];
    assert!(waiting.read(&mut first).is_err(), "no place, no answer yet");
    drop((held, also_held));
    waiting.set_read_timeout(Some(std::time::Duration::from_secs(60))).expect("a time-out");
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).expect("an answer");
    assert_eq!(status(&answer), "200");
}

#[test]
fn a_stopping_server_finishes_what_is_in_flight() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let key = deployment.issue_text("live", &[]);
    let body = json!({"api_key": key}).to_string();
    let (early, late) = body.split_at(10);
    let mut stream = server.data.connect();
    let head = format!(
        "POST /v1/verify HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{early}",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("written");
    // The server has read the head once it serves a later connection's whole exchange and this one's bytes are in.
    assert_eq!(server.data.get("/healthz").status, 200);
    server.signal("TERM");
    while !server.log().contains("stopping") {
        std::thread::yield_now();
    }
    stream.write_all(late.as_bytes()).expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(status(&answer) == "200" && answer.contains("\"active\":true"), "{answer}");
    let (code, log) = server.wait();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("\"stopped\""), "{log}");
}

#[test]
fn a_server_that_cannot_start_says_why_and_ends_with_2() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let taken = deployment.run(&["serve", "--data-listen", &server.data.address]);
    assert_eq!(taken.code, 2);
    assert!(taken.err.contains("cannot listen") && taken.err.contains(&server.data.address), "{}", taken.err);
    std::fs::remove_file(deployment.file("master-1.key")).expect("removed");
    let keyless = deployment.run(&["serve"]);
    assert_eq!(keyless.code, 2);
    assert!(keyless.err.contains("file:master-1.key"), "{}", keyless.err);
}

#[test]
fn a_flood_of_wrong_keys_and_routes_fills_no_log() {
    let deployment = Deployment::new();
    let server = Server::start_with(&deployment, &[("BULLA_LOG__LEVEL", "debug")]);
    const FLOOD: usize = 2_000;
    let keys = vec!["live_nonsense"; 1_000];
    for _ in 0..FLOOD / 1_000 {
        server.data.post("/v1/verify/batch", &json!({"api_keys": keys}));
    }
    for _ in 0..200 {
        assert_eq!(server.data.get("/v1/authorize/nonsense/").status, 500);
    }
    assert_eq!(server.metric("bulla_verify_rejected_total{reason=\"malformed\"}"), FLOOD as u64, "all are counted");
    let log = server.stop();
    let lines = |text: &str| log.matches(text).count();
    assert!((10..FLOOD / 10).contains(&lines("\"not accepted\"")), "{}", lines("\"not accepted\""));
    assert!((10..150).contains(&lines("what does not parse")), "{}", lines("what does not parse"));
}

#[test]
fn a_log_that_nobody_reads_stops_nothing_and_what_is_missing_is_told() {
    let deployment = Deployment::new();
    let server = Server::start_with(&deployment, &[("BULLA_LOG__LEVEL", "debug")]);
    let app = deployment.issue("live", &[])["app_id"].clone();
    // Each of these has a line, and the pipe has room for some twenty.
    let fill = || {
        server.stall_log(true);
        for _ in 0..6 {
            let new = json!({"realm": "live", "app_id": app});
            let issued = server.admin.post("/v1/api-keys/batch", &json!({"api_keys": vec![new; 1_000]}));
            assert_eq!(issued.status, 201, "{}", issued.body);
        }
    };
    fill();
    assert_eq!(server.data.get("/healthz").status, 200);
    server.until("lines without room", |server| server.metric("bulla_log_lines_dropped_total") > 0);
    server.stall_log(false);
    server.until("what is missing", |server| server.log().contains("lines of the log were dropped"));
    fill();
    // SIGTERM ends it though there is no room for the last lines.
    let (code, _) = {
        server.signal("TERM");
        server.wait()
    };
    assert_eq!(code, Some(0));
}
