//! Keys that nobody imported, of an old system that is asked about each once.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};

use crate::support::{
    deployment::{APP, Deployment},
    imported::verify,
    server::Server,
};

const KEY: &str = "sk_live_4f9a1c20_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf";

/// A deployment whose realm `live` asks a program that knows KEY, and notes each question in a file.
fn with_program(answer: &Value, more: &str) -> Deployment {
    let deployment = Deployment::new();
    let (program, asked) = (deployment.file("check-old"), deployment.file("asked"));
    let script = format!(
        "#!/bin/sh\nkey=$(cat)\necho x >> {}\n[ \"$key\" = {KEY} ] && echo '{answer}' || echo '{{\"active\":false}}'\n",
        asked.display()
    );
    fs::write(&program, script).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
    let table = format!(
        "[realms.live]\nold_system = {{ exec = [{:?}], prefix = \"sk_\"{more} }}",
        program.display().to_string()
    );
    deployment.configure("[realms.live]", &table);
    deployment
}

fn questions(deployment: &Deployment) -> usize {
    fs::read_to_string(deployment.file("asked")).map_or(0, |text| text.lines().count())
}

#[test]
fn an_unknown_key_is_asked_about_once_and_is_bullas_own_from_then_on() {
    let answer = json!({"active": true, "app_id": APP, "scope": "a b", "exp": 4_102_444_800_u64, "username": "old"});
    let deployment = with_program(&answer, "");
    let server = Server::start(&deployment);
    let active = verify(&server, KEY);
    assert_eq!(
        (&active["active"], &active["app_id"], &active["scopes"]),
        (&json!(true), &json!(APP), &json!(["a", "b"]))
    );
    assert_eq!(active["expires_at"], "2100-01-01T00:00:00Z");
    for _ in 0..3 {
        assert_eq!(verify(&server, KEY), active);
    }
    assert_eq!(questions(&deployment), 1);
    let allowed = server.data.request("GET", "/v1/authorize/scope:b", &[("x-api-key", KEY)], "");
    assert_eq!(allowed.status, 200);
    let id = active["api_key_id"].as_str().expect("an id");
    let shown = deployment.run(&["keys", "show", id, "--json"]).ok().json();
    assert_eq!((&shown["name"], &shown["state"]), (&json!("old"), &json!("active")));
    assert!(deployment.run(&["audit", "--json"]).ok().out.contains("keys.import_asked"));
    // Revoked here it stays revoked, whatever the old system says.
    deployment.run(&["revoke", id]).ok();
    server.until("the revocation", |server| verify(server, KEY) == json!({"active": false}));
    assert_eq!(questions(&deployment), 1);
    drop(server);
    let server = Server::start(&deployment);
    assert_eq!((verify(&server, KEY), questions(&deployment)), (json!({"active": false}), 1));
    let stored = fs::read(deployment.file("bulla.db")).expect("the store");
    assert!(!stored.windows(KEY.len()).any(|bytes| bytes == KEY.as_bytes()));
}

#[test]
fn what_is_no_key_is_asked_about_once_and_only_in_its_shape_and_bounds() {
    let deployment = with_program(&json!({"active": true, "app_id": "42"}), ", per_second = 5");
    let server = Server::start(&deployment);
    for text in ["sk_0123456789abcdef", "sk_short", "pk_0123456789abcdef_0123", "other"] {
        for _ in 0..3 {
            assert_eq!(verify(&server, text), json!({"active": false}), "{text}");
        }
    }
    assert_eq!(questions(&deployment), 1, "one text of this shape, once");
    // A flood of unknown texts reaches the old system as often as the bound says; the rest could not be told.
    let could_not_tell = (0..200)
        .filter(|at| server.data.post("/v1/verify", &json!({"api_key": format!("sk_{at:020}")})).status == 503)
        .count();
    let asked = questions(&deployment);
    assert!(asked < 100 && could_not_tell > 100, "{asked} questions, {could_not_tell} could not be told");
    let metrics = server.metrics.get("/metrics").body;
    assert!(metrics.contains("bulla_old_system_total{reason=\"unknown\"}"), "{metrics}");
}

#[test]
fn an_old_system_that_cannot_be_asked_says_nothing_of_a_key() {
    let deployment = with_program(&json!({"active": true}), "");
    let server = Server::start(&deployment);
    // It does not say whose the key is.
    let status = || server.data.post("/v1/verify", &json!({"api_key": KEY})).status;
    assert_eq!((status(), status()), (503, 503));
    assert_eq!(server.data.request("GET", "/v1/authorize", &[("x-api-key", KEY)], "").status, 503);
    assert_eq!(verify(&server, "sk_0123456789abcdef"), json!({"active": false}));
}

#[test]
fn an_old_system_is_asked_by_introspection() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            let (mut length, mut authorized, mut line) = (0, false, String::new());
            while stream.read_line(&mut line).expect("a head") > 2 {
                let lower = line.to_ascii_lowercase();
                if let Some(number) = lower.strip_prefix("content-length:") {
                    length = number.trim().parse().expect("a length");
                }
                // client:secret
                authorized |= lower.starts_with("authorization:") && line.contains("Y2xpZW50OnNlY3JldA==");
                line.clear();
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).expect("a body");
            count.fetch_add(1, Ordering::Relaxed);
            let active = authorized && body == format!("token={KEY}").into_bytes();
            let answer = json!({"active": active, "client_id": "42", "scope": "read"}).to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}",
                answer.len()
            );
            write!(stream.get_mut(), "{head}\r\n\r\n{answer}").expect("answered");
        }
    });
    let deployment = Deployment::new();
    fs::write(deployment.file("old.cred"), "client:secret\n").expect("written");
    fs::set_permissions(deployment.file("old.cred"), fs::Permissions::from_mode(0o600)).expect("private");
    let table = format!(
        "[realms.live]\nold_system = {{ introspect = \"http://127.0.0.1:{port}/introspect\", credential = \"file:old.cred\", app = \"client_id\" }}"
    );
    deployment.configure("[realms.live]", &table);
    let server = Server::start(&deployment);
    let active = verify(&server, KEY);
    assert_eq!((&active["active"], &active["scopes"]), (&json!(true), &json!(["read"])));
    assert_eq!(verify(&server, KEY)["app_id"], active["app_id"]);
    assert_eq!(verify(&server, &format!("{KEY}x")), json!({"active": false}));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}
