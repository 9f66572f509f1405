//! A stream whose key had its secret half changed or ended, where the key cannot be checked.

use std::io::{Read, Write};

use bulla::forged::with_checksum;
use serde_json::{Value, json};

use super::{Deployment, Server, act};
use crate::support::http::{Events, Http};

/// A key that reads the feed: its text and its id.
fn follower(deployment: &Deployment) -> (String, String) {
    let key = deployment.issue("bulla", &["--scope", "feed"]);
    let text = |name: &str| key[name].as_str().expect(name).to_owned();
    (text("api_key"), text("api_key_id"))
}

fn reroll_secret(server: &Server, id: &str, grace: &str) {
    let answer = server.admin.post(&format!("/v1/api-keys/{id}/reroll-secret"), &json!({"grace": grace}));
    assert_eq!(answer.status, 201, "{}", answer.body);
}

/// Uses up the attempts at the key, of which there is one in a minute.
fn use_up_attempts(data: &Http, key: &str) {
    let secret = &key[key.len() - 50..key.len() - 6];
    let other = if secret.starts_with('1') { '0' } else { '1' };
    let wrong = with_checksum(&format!("{}{other}{}", &key[..key.len() - 50], &secret[1..]));
    let ask = || data.bearer(&wrong).get("/v1/revocations");
    assert_eq!(ask().status, 401);
    let refused = ask();
    assert_eq!((refused.status, refused.problem().as_str()), (503, "could-not-tell"));
}

/// A server, the id of a key, and the stream that it opened, at which no attempt is left.
fn streaming_without_attempts(deployment: &Deployment) -> (Server, String, Events) {
    let server = Server::start_with(deployment, &[("BULLA_SECRET__WRONG_PER_MINUTE", "1")]);
    let (key, id) = follower(deployment);
    let mut stream = server.data.bearer(&key).stream("/v1/revocations");
    stream.message();
    use_up_attempts(&server.data, &key);
    (server, id, stream)
}

#[test]
fn a_stream_ends_with_its_secret_half_where_no_attempt_is_left() {
    let deployment = Deployment::new();
    let (server, id, stream) = streaming_without_attempts(&deployment);
    reroll_secret(&server, &id, "0s");
    // Were it to go on it would be silent for ten seconds, and then have a comment.
    let rest = stream.rest();
    assert!(!rest.contains("\n:\n") && !rest.starts_with(':'), "{rest}");
}

#[test]
fn a_stream_goes_on_in_the_grace_of_its_secret_half_where_no_attempt_is_left() {
    let deployment = Deployment::new();
    let (server, id, mut stream) = streaming_without_attempts(&deployment);
    reroll_secret(&server, &id, "1h");
    // Each change has the key checked again.
    for _ in 0..3 {
        act(&server, &deployment.issue("live", &[]), "revoke");
        let message = stream.message();
        let head: Value = serde_json::from_str(message.lines().next().expect("a head")).expect("JSON");
        assert!(head["seq"].as_u64().is_some_and(|seq| seq > 0), "{message}");
    }
}

#[test]
fn a_stream_ends_with_its_secret_half_where_the_pepper_is_missing() {
    let deployment = Deployment::new();
    let (key, id) = follower(&deployment);
    let uri = deployment.new_master(7);
    let server = Server::start(&deployment);
    let mut stream = server.data.bearer(&key).stream("/v1/revocations");
    stream.message();
    reroll_secret(&server, &id, "5s");
    deployment.configure("active = 1\n[pepper.sources]\n", &format!("active = 2\n[pepper.sources]\n2 = \"{uri}\"\n"));
    deployment.configure("1 = \"file:pepper-1.key\"\n", "");
    server.signal("HUP");
    server.until("the reload", |server| server.log().contains("keyring and configuration loaded"));
    // The end of the grace comes before the stream would have been silent for ten seconds.
    let rest = stream.rest();
    assert!(!rest.contains("\n:\n") && !rest.starts_with(':'), "{rest}");
}

#[test]
fn a_report_whose_key_ends_before_its_body_is_here_is_refused() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    for (path, body) in [
        ("/v1/followers", json!({"followers": []})),
        ("/v1/followers/uses", json!({"uses": []})),
        ("/v1/secret-halves", json!({"api_key": "x"})),
    ] {
        let (key, id) = follower(&deployment);
        let (mut connection, body) = (server.data.connect(), body.to_string());
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {key}\r\n\
             expect: 100-continue\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        connection.write_all(head.as_bytes()).expect("asked");
        // It is read for, so the caller was accepted.
        let mut go_on = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
        connection.read_exact(&mut go_on).expect("an answer");
        assert!(go_on.starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&go_on));
        server.admin.request("DELETE", &format!("/v1/api-keys/{id}"), &[], "");
        connection.write_all(body.as_bytes()).expect("sent");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 401 "), "{path}: {answer}");
    }
}
