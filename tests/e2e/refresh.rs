//! How a running server follows its keyring and configuration, and what it does when it cannot.

use serde_json::json;

use crate::support::{
    deployment::{APP, Deployment, with_checksum},
    server::Server,
};

fn serial(server: &Server) -> u64 {
    server.metric("bulla_keyring_serial")
}

#[test]
fn a_changed_file_is_followed_without_anyone_announcing_it() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let before = serial(&server);
    deployment.keyring(&["stage", "--source", &deployment.new_master(2)]);
    server.until("the staged version", |server| serial(server) == before + 1);
    deployment.configure("default_realms = [\"live\"]", "default_realms = [\"test\"]");
    let key = deployment.issue_text("test", &[]);
    server.until("the new default realm", |server| {
        server.data.post("/v1/verify", &json!({"api_key": key})).json()["active"] == true
    });
}

#[test]
fn a_reload_that_fails_keeps_the_last_good_one_and_says_so() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let key = deployment.issue_text("live", &[]);
    let good = std::fs::read(deployment.file("keyring.toml")).expect("the keyring");
    std::fs::write(deployment.file("keyring.toml"), "nonsense").expect("written");
    server.signal("HUP");
    server.until("the failure", |server| server.metric("bulla_keyring_refresh_failing") == 1);
    let ready = server.data.get("/readyz");
    assert_eq!((ready.status, &ready.json()["degraded"][0]["what"]), (200, &json!("keyring")));
    assert_eq!(server.data.post("/v1/verify", &json!({"api_key": key})).json()["active"], true);
    assert_eq!(server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP})).status, 201);
    std::fs::write(deployment.file("keyring.toml"), good).expect("written");
    server.until("the recovery", |server| server.metric("bulla_keyring_refresh_failing") == 0);
    assert_eq!(server.data.get("/readyz").json()["degraded"], json!([]));
    assert!(server.stop().contains("keyring and configuration stay as they were"));
}

#[test]
fn a_source_that_goes_away_while_running_changes_nothing() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let key = deployment.issue_text("live", &[]);
    std::fs::rename(deployment.file("master-1.key"), deployment.file("gone")).expect("gone");
    server.signal("HUP");
    server.until("the failure", |server| server.metric("bulla_keyring_refresh_failing") == 1);
    assert_eq!(server.data.post("/v1/verify", &json!({"api_key": key})).json()["active"], true);
    let issued = server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP})).json();
    assert_eq!(server.data.post("/v1/verify", &json!({"api_key": issued["api_key"]})).json()["active"], true);
    std::fs::rename(deployment.file("gone"), deployment.file("master-1.key")).expect("back");
    server.until("the recovery", |server| server.metric("bulla_keyring_refresh_failing") == 0);
}

#[test]
fn keys_of_an_unknown_version_cause_one_look_per_interval_however_many_arrive() {
    let deployment = Deployment::new();
    deployment.configure("refresh_interval = \"60s\"", "refresh_interval = \"1h\"");
    let server = Server::start(&deployment);
    let key = deployment.issue_text("live", &[]);
    // Version 1 is the digits `000004…` or so; another first digit group names a version nobody has.
    let unknown: Vec<String> =
        (0..1_000).map(|at| with_checksum(&format!("live_0000z{:05}{}", at, &key[15..key.len() - 6]))).collect();
    let looks = "bulla_keyring_unknown_version_refreshes_total";
    assert_eq!(server.metric(looks), 0);
    for _ in 0..10 {
        server.data.post("/v1/verify/batch", &json!({"api_keys": unknown}));
    }
    assert_eq!(server.metric("bulla_verify_rejected_total{reason=\"version_unknown\"}"), 10_000);
    assert_eq!(server.metric(looks), 1);
    server.until("the look", |server| server.metric("bulla_keyring_refreshes_total{outcome=\"ok\"}") == 1);
}

#[test]
fn a_missing_source_ends_the_start_or_is_waited_for() {
    let deployment = Deployment::new();
    let script = deployment.file("hmac.sh");
    std::fs::write(&script, "#!/bin/sh\necho the token is gone >&2\nexit 1\n").expect("written");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).expect("its mode");
    // A program that answers as the file does, until it does not.
    let program = format!("exec:{}", script.display());
    deployment.configure("trusted_sources = [\"file:\"]", &format!("trusted_sources = [\"file:\", \"{program}\"]"));
    let works = "#!/bin/sh\n(base64 -d; printf '\\001') | openssl dgst -sha256 -mac HMAC -macopt hexkey:$(base64 -d < \"$(dirname \"$0\")/master-2.key\" | od -An -v -tx1 | tr -d ' \\n') -binary | base64\n";
    let broken = std::fs::read(&script).expect("the script");
    deployment.new_master(2);
    std::fs::write(&script, works).expect("written");
    deployment.keyring(&["stage", "--source", &program]);
    deployment.keyring(&["rewrap", "2", "--add", "file:master-2.key"]);
    deployment.keyring(&["rewrap", "2", "--remove", "file:master-2.key"]);
    std::fs::write(&script, &broken).expect("written");
    let ended = deployment.run(&["serve"]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains(&program) && ended.err.contains("the token is gone"), "{}", ended.err);

    let mut waiting = crate::support::command::bulla(deployment.path())
        .args(["serve", "--wait-for-source", "--data-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
        .env("BULLA_METRICS__LISTEN", "")
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("started");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(waiting.stderr.take().expect("its log")));
    let mut until = |word: &str| lines.by_ref().map_while(Result::ok).any(|line| line.contains(word));
    assert!(until("waiting for a key source"));
    std::fs::write(&script, works).expect("written");
    assert!(until("serving"));
    waiting.kill().expect("ended");
    waiting.wait().expect("reaped");
}
