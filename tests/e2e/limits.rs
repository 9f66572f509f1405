//! What a client may cost, and what a stopping server finishes.

use std::io::{Read, Write};

use serde_json::json;

use crate::support::{
    deployment::{APP, Deployment},
    http::Http,
    server::Server,
};

fn status(answer: &str) -> &str {
    answer.split_whitespace().nth(1).unwrap_or_default()
}

#[test]
fn bodies_heads_and_header_time_are_bounded() {
    let deployment = Deployment::new();
    let server = Server::start_with(&deployment, &[("BULLA_SERVER__HEAD_TIMEOUT", "4s")]);
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
    assert!(slow.is_empty() || status(&slow) == "408", "a head that does not arrive ends its connection: {slow:?}");
    assert_eq!(status(&server.data.raw(b"nonsense\r\n\r\n")), "400");
    assert_eq!(server.data.get("/healthz").status, 200);
}

#[test]
fn a_connection_that_says_too_little_for_too_long_is_closed() {
    let deployment = Deployment::new();
    let bounds = [
        ("BULLA_SERVER__HEAD_TIMEOUT", "2s"),
        ("BULLA_SERVER__BODY_TIMEOUT", "2s"),
        ("BULLA_SERVER__IDLE_TIMEOUT", "4s"),
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

const PATHS: [&str; 4] = ["/v1/authorize", "/v1/authorize/nope", "/v1/nothing", "/healthz"];

#[test]
fn a_body_that_is_not_read_is_drained_and_the_connection_goes_on() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let last = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    for path in PATHS {
        for length in [1, 60_000, 20_000_000] {
            let body = "x".repeat(length);
            let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
            let mut stream = server.data.connect();
            // The answer is there before the body is, as nobody waits for it.
            stream.write_all(head.as_bytes()).expect("the head");
            let mut first = [0; 9];
            stream.read_exact(&mut first).expect("an answer");
            for part in body.as_bytes().chunks(4096) {
                stream.write_all(part).expect("nobody resets the connection");
            }
            stream.write_all(last.as_bytes()).expect("the next request");
            let mut rest = String::new();
            stream.read_to_string(&mut rest).expect("the next answer");
            assert!(&first == b"HTTP/1.1 " && rest.matches("HTTP/1.1 ").count() == 1, "{path}, {length}: {rest}");
        }
    }
}

#[test]
fn a_body_that_cannot_be_drained_ends_the_connection_and_the_answer_says_so() {
    let deployment = Deployment::new();
    let server = Server::start_with(&deployment, &[("BULLA_SERVER__BODY_TIMEOUT", "2s")]);
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for path in PATHS {
        let ways = [
            ("transfer-encoding: chunked", 0),
            ("transfer-encoding: chunked", 100),
            ("content-length: 100000000", 1_000),
            ("expect: 100-continue\r\ncontent-length: 9", 0),
        ];
        for (body, chunks) in ways {
            let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\n{body}\r\n\r\n");
            let mut stream = server.data.connect();
            stream.write_all(head.as_bytes()).expect("the head");
            for _ in 0..chunks {
                // One that is never all there is read for a while after the end was said, and then no more.
                if stream.write_all(chunk.as_bytes()).is_err() {
                    break;
                }
            }
            if chunks == 100 {
                stream.write_all(b"0\r\n\r\n").expect("it is drained");
            }
            let mut answer = Vec::new();
            let _reset = stream.read_to_end(&mut answer);
            let answer = String::from_utf8_lossy(&answer);
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
fn a_request_that_is_refused_while_it_is_written_is_answered() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let head = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "x".repeat(4_000_000));
    for _ in 0..20 {
        assert_eq!(status(&server.data.raw(head.as_bytes())), "431");
    }
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
    let held = never_reading(&server.data, &request);
    assert_eq!(server.data.get("/healthz").status, 200, "their places are free again");
    drop(held);
}

/// Four connections whose client sends this request until neither side's buffers take any more.
fn never_reading(to: &Http, request: &str) -> Vec<std::net::TcpStream> {
    let send = |_| {
        let mut stream = to.connect();
        stream.set_write_timeout(Some(std::time::Duration::from_millis(200))).expect("a time-out");
        while stream.write_all(request.as_bytes()).is_ok() {}
        stream
    };
    (0..4).map(send).collect()
}

#[test]
fn clients_that_do_not_read_metrics_or_audit_stop_neither_them_nor_the_service() {
    let deployment = Deployment::new();
    let bounds = [("BULLA_SERVER__MAX_CONNECTIONS", "4"), ("BULLA_SERVER__IDLE_TIMEOUT", "5s")];
    let server = Server::start_with(&deployment, &bounds);
    // So that a page of the audit is long. To make them takes less than the time-out.
    let keys = vec![json!({"realm": "live", "app_id": APP}); 200];
    assert_eq!(server.admin.post("/v1/api-keys/batch", &json!({"api_keys": keys})).status, 201);
    let audit =
        format!("GET /v1/audit?limit=1000 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", server.admin.key());
    let held = [
        never_reading(&server.metrics, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"),
        never_reading(&server.admin, &audit),
    ];
    assert_eq!(server.metrics.get("/metrics").status, 200);
    assert_eq!(server.admin.get("/v1/audit").status, 200);
    let issued = server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP})).json();
    assert_eq!(server.data.post("/v1/verify", &json!({"api_key": issued["api_key"]})).json()["active"], true);
    drop(held);
    server.stop();
}

/// Bodies may take as long as a test does.
const UNHURRIED: (&str, &str) = ("BULLA_SERVER__BODY_TIMEOUT", "10m");

/// A connection on which a request is being answered until its body is there.
fn at_work(server: &Server) -> std::net::TcpStream {
    let mut stream = server.data.connect();
    let head = "POST /v1/verify HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{";
    stream.write_all(head.as_bytes()).expect("written");
    stream
}

#[test]
fn further_connections_wait_for_those_at_work() {
    let deployment = Deployment::new();
    let server = Server::start_with(&deployment, &[("BULLA_SERVER__MAX_CONNECTIONS", "2"), UNHURRIED]);
    let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let held = [at_work(&server), at_work(&server)];
    let mut waiting = server.data.connect();
    waiting.write_all(request).expect("written");
    waiting.set_read_timeout(Some(std::time::Duration::from_millis(1_500))).expect("a time-out");
    let mut first = [0; 1];
    assert!(waiting.read(&mut first).is_err(), "no place, no answer yet");
    for mut stream in held {
        stream.write_all(b"\"api_key\":\"x\"}").expect("the rest");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
    waiting.set_read_timeout(Some(std::time::Duration::from_secs(60))).expect("a time-out");
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).expect("an answer");
    assert_eq!(status(&answer), "200");
}

#[test]
fn connections_without_a_request_make_room_for_others() {
    let deployment = Deployment::new();
    let server = Server::start_with(&deployment, &[("BULLA_SERVER__MAX_CONNECTIONS", "3"), UNHURRIED]);
    let working = at_work(&server);
    let idle = || {
        let mut stream = server.data.connect();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").expect("written");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).expect("an answer");
        stream
    };
    let mut kept_alive = idle();
    let mut silent: Vec<_> = (0..40).map(|_| server.data.connect()).collect();
    // Each of the silent ones makes room after a second at most, and the one at work stays.
    assert_eq!(server.data.anonymous().get("/healthz").status, 200);
    for stream in &mut silent[..30] {
        let mut nothing = Vec::new();
        let _reset = stream.read_to_end(&mut nothing);
        assert!(nothing.is_empty());
    }
    assert!(server.metric("bulla_connections_evicted_total{listener=\"data\"}") >= 30);
    drop(silent);
    kept_alive.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap_or_default();
    let mut working = working;
    working.write_all(b"\"api_key\":\"x\"}").expect("the rest");
    let mut answer = [0; 12];
    working.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200", "a connection at work is never closed for others");
}

#[test]
fn connections_to_the_data_plane_cost_the_admin_plane_no_descriptor() {
    let deployment = Deployment::new();
    let server = Server::start_limited("-n 256", &deployment);
    server.until("the warning", |server| server.log().contains("the limit of open files allows fewer connections"));
    let held: Vec<_> = (0..300).map(|_| server.data.connect()).collect();
    let key = deployment.issue("live", &[]);
    let path = format!("/v1/api-keys/{}", key["api_key_id"].as_str().expect("an id"));
    for _ in 0..5 {
        assert_eq!(server.admin.request("DELETE", &path, &[], "").status, 200);
        assert_eq!(server.metrics.get("/metrics").status, 200);
        assert_eq!(server.data.anonymous().get("/healthz").status, 200);
    }
    assert!(!server.log().contains("cannot accept a connection"), "{}", server.log());
    drop(held);
}

#[test]
fn the_soft_limit_of_open_files_is_raised() {
    let deployment = Deployment::new();
    let server = Server::start_limited("-Sn 64", &deployment);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).expect("its limits");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("the limit");
    let soft: u64 = line.split_whitespace().nth(3).and_then(|limit| limit.parse().ok()).expect("a number");
    assert!(soft > 64, "{line}");
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
    // What is there of the body is charged once the head is read.
    server.until("the request", |server| server.metric("bulla_body_memory_bytes") > 0);
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
    assert!((10..150).contains(&lines("route do not parse")), "{}", lines("route do not parse"));
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
    server.until("what is missing", |server| server.log().contains("log lines were dropped"));
    fill();
    // SIGTERM ends it though there is no room for the last lines.
    let (code, _) = {
        server.signal("TERM");
        server.wait()
    };
    assert_eq!(code, Some(0));
}
