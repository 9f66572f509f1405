//! A store that cannot be written: changes are refused with a reason, and verifying goes on.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{
    deployment::{APP, Deployment},
    mount::Mount,
    server::Server,
};

fn active(server: &Server, key: &str) -> bool {
    server.data.post("/v1/verify", &json!({"api_key": key})).json()["active"] == true
}

/// Every kind of change, each answered by a 503 that says `told`.
fn refused(server: &Server, id: &str, told: &str) {
    for (method, path, body) in [
        ("POST", "/v1/api-keys".to_owned(), json!({"realm": "live", "app_id": APP}).to_string()),
        ("DELETE", format!("/v1/api-keys/{id}"), String::new()),
        ("POST", format!("/v1/api-keys/{id}/suspend"), String::new()),
        ("POST", format!("/v1/api-keys/{id}/reroll"), String::new()),
    ] {
        let answer = server.admin.request(method, &path, &[("content-type", "application/json")], &body);
        assert_eq!((answer.status, answer.problem().as_str()), (503, "unavailable"), "{path}: {}", answer.body);
        assert!(answer.body.contains(told), "{path}: {}", answer.body);
    }
}

fn degraded(server: &Server, what: &str) -> bool {
    let ready = server.data.get("/readyz");
    let all: Value = ready.json()["degraded"].clone();
    ready.status == 200 && all.as_array().expect("a list").iter().any(|one| one["what"] == what)
}

#[test]
fn a_full_disk_refuses_changes_and_goes_on_verifying() {
    let mount = Mount::new("8m");
    let deployment = Deployment::on(&mount);
    let server = Server::start_with(&deployment, &[("BULLA_LAST_USED__FLUSH_INTERVAL", "100ms")]);
    let (key, gone) = (deployment.issue_text("live", &[]), deployment.issue_text("live", &[]));
    let id = &key[..27];
    assert_eq!(server.admin.request("DELETE", &format!("/v1/api-keys/{}", &gone[..27]), &[], "").status, 200);
    mount.fill();
    refused(&server, id, "the disk is full");
    let keyring = server.admin.post("/v1/keyring/versions/1/compromise", &json!({}));
    assert_eq!((keyring.status, keyring.problem().as_str()), (503, "unavailable"), "{}", keyring.body);
    assert!(active(&server, &key) && !active(&server, &gone));
    server.until("the trouble to show", |server| degraded(server, "last use"));
    mount.make_room();
    assert_eq!(server.admin.request("DELETE", &format!("/v1/api-keys/{id}"), &[], "").status, 200);
    assert!(!active(&server, &key));
    server.until("the end of the trouble", |server| !degraded(server, "last use"));
}

#[test]
fn a_read_only_store_refuses_changes_and_goes_on_verifying() {
    let mount = Mount::new("16m");
    let deployment = Deployment::on(&mount);
    let (key, gone) = (deployment.issue_text("live", &[]), deployment.issue_text("live", &[]));
    deployment.run(&["revoke", &gone[..27]]).ok();
    mount.remount("ro");
    let server = Server::start(&deployment);
    refused(&server, &key[..27], "read-only");
    let keyring = server.admin.post("/v1/keyring/versions/1/compromise", &json!({}));
    assert_eq!((keyring.status, keyring.problem().as_str()), (409, "read-only-keyring"));
    assert!(active(&server, &key) && !active(&server, &gone));
    let by_hand = deployment.run(&["revoke", &key[..27]]);
    assert!(by_hand.code == 2 && by_hand.err.contains("read-only"), "{}", by_hand.err);
    assert_eq!(deployment.run(&["verify", &key]).code, 0, "the command verifies, too");
    mount.remount("rw");
    deployment.run(&["keys", "suspend", &key[..27]]).ok();
    server.until("what another process wrote", |server| !active(server, &key));
    deployment.run(&["keys", "resume", &key[..27]]).ok();
    server.until("what another process wrote", |server| active(server, &key));
    assert_eq!(server.admin.request("DELETE", &format!("/v1/api-keys/{}", &key[..27]), &[], "").status, 200);
    assert!(!active(&server, &key));
}

/// Limits the size of files that a process may write.
fn limit(server: &Server, size: &str) {
    let id = server.id().to_string();
    let done = Command::new("prlimit").args(["--pid", &id, &format!("--fsize={size}:unlimited")]).status();
    assert!(done.expect("prlimit runs").success());
}

#[test]
fn a_limit_on_the_size_of_files_is_a_full_disk_and_not_the_end() {
    let deployment = Deployment::on_file();
    let server = Server::start(&deployment);
    let key = deployment.issue_text("live", &[]);
    let size = deployment.file("bulla.db-wal").metadata().expect("the log").len() + 100_000;
    limit(&server, &size.to_string());
    let batch: Vec<Value> = (0..300).map(|_| json!({"realm": "live", "app_id": APP})).collect();
    let batch = json!({"api_keys": batch});
    let refused = (0..20).map(|_| server.admin.post("/v1/api-keys/batch", &batch)).find(|answer| answer.status != 201);
    let refused = refused.expect("the limit is reached");
    assert_eq!((refused.status, refused.problem().as_str()), (503, "unavailable"), "{}", refused.body);
    assert!(refused.body.contains("ulimit -f"), "{}", refused.body);
    assert!(active(&server, &key));
    limit(&server, "unlimited");
    assert_eq!(server.admin.post("/v1/api-keys/batch", &batch).status, 201);
    server.stop();
    let command = Command::new("prlimit")
        .args(["--fsize=4096", env!("CARGO_BIN_EXE_bulla"), "issue", "--realm", "live", "--app", APP])
        .current_dir(deployment.path())
        .output()
        .expect("it runs");
    assert_eq!(command.status.code(), Some(2), "no signal ends it: {command:?}");
    assert!(String::from_utf8_lossy(&command.stderr).contains("ulimit -f"), "{command:?}");
}

#[test]
fn an_init_without_room_leaves_nothing_in_the_way_of_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let init = |limit: &[&str]| {
        let mut command = Command::new("prlimit");
        command.args(limit).args([env!("CARGO_BIN_EXE_bulla"), "init", "d"]).current_dir(folder.path());
        command.output().expect("it runs")
    };
    // The keys and the configuration fit, the store does not.
    let refused = init(&["--fsize=20000"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("a full or failing disk"), "{refused:?}");
    let left: Vec<_> = std::fs::read_dir(folder.path().join("d")).expect("the folder").collect();
    assert!(left.is_empty(), "{left:?}");
    let done = init(&[]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
}

#[test]
fn a_limit_on_the_time_of_the_processor_ends_a_service_in_order() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    server.signal("XCPU");
    let (code, log) = server.wait();
    assert!(code == Some(0) && log.contains("ulimit -t") && log.contains("stopped"), "{code:?} {log}");
}
