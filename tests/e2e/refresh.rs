//! How a running server follows its keyring and configuration, and what it does when it cannot.

use bulla::forged::with_checksum;
use serde_json::json;

use crate::support::{
    deployment::{APP, Deployment},
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
    server.until("that it shows", |server| {
        let ready = server.data.get("/readyz");
        ready.status == 200 && ready.json()["degraded"][0]["what"] == "keyring"
    });
    assert_eq!(server.data.post("/v1/verify", &json!({"api_key": key})).json()["active"], true);
    assert_eq!(server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP})).status, 201);
    std::fs::write(deployment.file("keyring.toml"), good).expect("written");
    server.until("the recovery", |server| server.metric("bulla_keyring_refresh_failing") == 0);
    server.until("that it shows", |server| server.data.get("/readyz").json()["degraded"] == json!([]));
    assert!(server.stop().contains("reload failed in part, retrying"));
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
    let deployment = with_a_source_that_is_gone();
    let script = deployment.file("hmac.sh");
    std::fs::write(&script, "#!/bin/sh\necho the token is gone >&2\nexit 1\n").expect("written");
    let ended = deployment.run(&["serve"]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("hmac.sh") && ended.err.contains("the token is gone"), "{}", ended.err);

    let mut waiting = crate::support::command::bulla(deployment.path())
        .args(["serve", "--wait-for-source", "--data-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
        .env("BULLA_METRICS__LISTEN", "")
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("started");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(waiting.stderr.take().expect("its log")));
    let mut until = |word: &str| lines.by_ref().map_while(Result::ok).any(|line| line.contains(word));
    assert!(until("waiting for a key source"));
    let sent = std::process::Command::new("kill").args(["-HUP", &waiting.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
    std::fs::write(&script, WORKS).expect("written");
    assert!(until("serving"), "a SIGHUP meanwhile ended nothing");
    waiting.kill().expect("ended");
    waiting.wait().expect("reaped");
}

/// A deployment whose version 2 is staged on a program that then goes away.
fn with_a_source_that_is_gone() -> Deployment {
    let deployment = Deployment::new();
    let script = deployment.file("hmac.sh");
    let program = format!("exec:{}", script.display());
    deployment.configure("trusted_sources = [\"file:\"]", &format!("trusted_sources = [\"file:\", \"{program}\"]"));
    deployment.configure("refresh_interval = \"60s\"", "refresh_interval = \"1s\"");
    deployment.new_master(2);
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(&script, WORKS).expect("written");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).expect("its mode");
    deployment.keyring(&["stage", "--source", &program]);
    deployment
}

/// HMAC-SHA256 under the key in `master-2.key`, as the source `exec:` wants it.
const WORKS: &str = "#!/bin/sh\n(base64 -d; printf '\\001') | openssl dgst -sha256 -mac HMAC -macopt hexkey:$(base64 -d < \"$(dirname \"$0\")/master-2.key\" | od -An -v -tx1 | tr -d ' \\n') -binary | base64\n";

#[test]
fn a_compromise_takes_effect_while_another_version_s_source_is_away() {
    let deployment = with_a_source_that_is_gone();
    let server = Server::start(&deployment);
    let old = deployment.issue_text("live", &[]);
    deployment.keyring(&["stage", "--source", &deployment.new_master(3)]);
    deployment.keyring(&["activate", "3"]);
    let good = deployment.issue_text("live", &[]);
    let active = |key: &str| server.data.post("/v1/verify", &json!({"api_key": key})).json()["active"] == true;
    server.until("the new version", |_| active(&good));
    std::fs::remove_file(deployment.file("hmac.sh")).expect("gone");
    let compromised = server.admin.post("/v1/keyring/versions/1/compromise", &json!({}));
    assert_eq!(compromised.status, 200, "{}", compromised.body);
    assert!(!active(&old) && active(&good), "at once, and nothing else is touched");
    server.signal("HUP");
    server.until("the trouble told", |server| server.metric("bulla_keyring_refresh_failing") == 1);
    assert!(!active(&old) && active(&good));
    std::fs::write(deployment.file("hmac.sh"), WORKS).expect("written");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(deployment.file("hmac.sh"), std::fs::Permissions::from_mode(0o700)).expect("its mode");
    server.until("the recovery", |server| server.metric("bulla_keyring_refresh_failing") == 0);
}

#[test]
fn a_rotation_that_fails_holds_no_compromise_up() {
    let deployment = Deployment::new();
    deployment.configure("refresh_interval = \"60s\"", "refresh_interval = \"1s\"");
    deployment.keyring(&["stage", "--source", &deployment.new_master(2)]);
    let old = deployment.issue_text("live", &[]);
    deployment.keyring(&["activate", "2"]);
    deployment.configure(
        "automatic = false\nevery = \"90d\"\nsources = []",
        "automatic = true\nevery = \"1s\"\nsources = [\"file:never.key\"]",
    );
    let server = Server::start(&deployment);
    server.until("the trouble told", |server| server.metric("bulla_keyring_refresh_failing") == 1);
    server.until("why", |server| {
        let ready = server.data.get("/readyz").json();
        ready["degraded"][0]["detail"].as_str().is_some_and(|why| why.contains("automatic rotation"))
    });
    deployment.keyring(&["compromise", "1"]);
    server.within("the compromise", |server| {
        server.data.post("/v1/verify", &json!({"api_key": old})).json()["active"] == false
    });
}

#[test]
fn a_compromise_is_in_force_whatever_the_configuration_looks_like() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let active = |key: &str| server.data.post("/v1/verify", &json!({"api_key": key})).json()["active"] == true;
    let text = std::fs::read_to_string(deployment.file("bulla.toml")).expect("the configuration");
    // What another process on the same keyring goes by.
    std::fs::write(deployment.file("good.toml"), &text).expect("written");
    for (version, (from, to, told)) in [
        ("[keyring]\n", "garbage = [\n[keyring]\n", "bulla.toml"),
        ("\"file:keyring.toml\"", "\"file:gone.toml\"", "gone.toml"),
        ("\"file:keyring-mac.key\"", "\"file:gone.key\"", "gone.key"),
    ]
    .into_iter()
    .enumerate()
    {
        let (version, next) = ((version + 1).to_string(), version as u32 + 2);
        let key = deployment.issue_text("live", &[]);
        server.until("the key", |_| active(&key));
        deployment.keyring(&["stage", "--source", &deployment.new_master(next)]);
        deployment.configure(from, to);
        let is_told = |server: &Server| {
            let ready = server.data.get("/readyz");
            let degraded = &ready.json()["degraded"][0];
            ready.status == 200
                && degraded["what"] == "keyring"
                && degraded["detail"].as_str().is_some_and(|detail| detail.contains(told))
        };
        server.until("that it is told", is_told);
        let next = next.to_string();
        let compromise = ["keyring", "compromise", &version, "--successor", &next, "--yes", "--config", "good.toml"];
        deployment.run(&compromise).ok();
        server.within("the compromise", |_| !active(&key));
        server.until("that it is told still", is_told);
        assert_eq!(server.metric("bulla_keyring_refresh_failing"), 1);
        std::fs::write(deployment.file("bulla.toml"), &text).expect("written");
        server.until("the recovery", |server| server.data.get("/readyz").json()["degraded"] == json!([]));
        assert!(!active(&key));
    }
}

#[test]
fn a_realm_that_a_changed_file_lacks_is_told() {
    let deployment = Deployment::new();
    deployment.configure("[realms.test]\n", "[realms.test]\n\n[realms.gone]\n");
    let server = Server::start(&deployment);
    deployment.configure("[realms.gone]\n", "");
    server.signal("HUP");
    server.until("the warning", |server| {
        let log = server.log();
        log.lines().any(|line| line.contains("WARN") && line.contains("realms.gone") && line.contains("cut off"))
    });
}
