//! What is shown once, and cannot be shown: nobody is left with a key that nobody has.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use crate::support::{
    command::bulla,
    deployment::{APP, Deployment},
    server::Server,
};

/// Runs `bulla` with a full disk behind standard output; its exit code and what it says.
fn into_full(deployment: &Deployment, arguments: &[&str]) -> (Option<i32>, String) {
    let full = File::options().write(true).open("/dev/full").expect("a full device");
    let mut command = bulla(deployment.path());
    let ran = command.args(arguments).env("BULLA_ADMIN_KEY_FILE", "admin.key").stdout(full).stdin(Stdio::null());
    let ran = ran.output().expect("it runs");
    (ran.status.code(), String::from_utf8(ran.stderr).expect("text"))
}

/// Runs `bulla` without standard output; its exit code and what it says.
fn into_closed(deployment: &Deployment, arguments: &str) -> (Option<i32>, String) {
    let line = format!("'{}' {arguments} >&-", env!("CARGO_BIN_EXE_bulla"));
    let mut shell = Command::new("sh");
    let ran = shell.args(["-c", &line]).current_dir(deployment.path()).env_remove("BULLA_CONFIG").output();
    let ran = ran.expect("it runs");
    (ran.status.code(), String::from_utf8_lossy(&ran.stderr).into_owned())
}

fn ids(deployment: &Deployment) -> Vec<(String, String)> {
    let listed = deployment.run(&["keys", "list", "--realm", "live", "--json"]).ok().json();
    let text = |key: &serde_json::Value, name: &str| key[name].as_str().expect("a text").to_owned();
    let keys = listed["api_keys"].as_array().expect("keys");
    keys.iter().map(|key| (text(key, "api_key_id"), text(key, "state"))).collect()
}

#[test]
fn a_key_that_cannot_be_shown_is_revoked_and_named() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    deployment.secret_file("admin.key", &deployment.admin_key);
    let url = format!("http://{}", server.admin.address);
    let issue = ["issue", "--realm", "live", "--app", APP];
    for more in [&[][..], &["--json"], &["--server", &url]] {
        let (code, told) = into_full(&deployment, &[&issue[..], more].concat());
        let (id, state) = ids(&deployment).pop().expect("it is on record");
        assert_eq!((code, state.as_str()), (Some(2), "revoked"), "{told}");
        assert!(told.contains(&id) && told.contains("it is revoked"), "{told}");
    }
    let old = deployment.issue("live", &["--secret"])["api_key_id"].as_str().expect("an id").to_owned();
    let (code, told) = into_full(&deployment, &["keys", "reroll-secret", &old]);
    assert!(code == Some(2) && told.contains(&old) && told.contains("draw another"), "{told}");
    let (code, told) = into_full(&deployment, &["keys", "reroll", &old]);
    let (id, state) = ids(&deployment).pop().expect("it is on record");
    assert_eq!((code, state.as_str()), (Some(2), "revoked"), "{told}");
    assert!(told.contains(&id), "{told}");
}

#[test]
fn the_first_admin_key_is_kept_if_it_cannot_be_shown() {
    let deployment = Deployment::new();
    let (code, told) = into_full(&deployment, &["init", "other"]);
    let kept = deployment.file("other/admin-api.key");
    assert!(code == Some(2) && told.contains("admin-api.key"), "{told}");
    assert_eq!(kept.metadata().expect("the file").permissions().mode() & 0o777, 0o600);
    let key = fs::read_to_string(kept).expect("its content");
    assert!(!told.contains(key.trim()), "it is in the file alone");
    let config = deployment.file("other/bulla.toml");
    let config = config.to_str().expect("a path");
    deployment.run_with(&["verify", "--realm", "bulla", "--config", config, "-"], &key).ok();
}

#[test]
fn nothing_is_made_for_a_closed_output() {
    let deployment = Deployment::new();
    for arguments in [
        format!("issue --realm live --app {APP}"),
        "init other".to_owned(),
        "keys reroll live_000004sYEXxF3mImJUeV2l".to_owned(),
    ] {
        let (code, told) = into_closed(&deployment, &arguments);
        assert!(code == Some(2) && told.contains("standard output is closed"), "{arguments}: {told}");
    }
    assert!(ids(&deployment).is_empty() && !deployment.file("other").exists());
}

#[test]
fn what_only_prints_fails_for_a_closed_output() {
    let deployment = Deployment::new();
    let id = deployment.issue("live", &[])["api_key_id"].as_str().expect("an id").to_owned();
    for arguments in
        ["keys list", "keys list --json", &format!("keys show {id}"), "audit --jsonl", "keyring show", "fleet"]
    {
        let (code, told) = into_closed(&deployment, arguments);
        assert!(code == Some(2) && told.contains("cannot be printed: redirect it"), "{arguments}: {told}");
    }
    // What does more than that is done.
    for arguments in ["doctor", &format!("revoke {id}")] {
        let (code, told) = into_closed(&deployment, arguments);
        assert_eq!(code, Some(0), "{arguments}: {told}");
    }
    assert_eq!(ids(&deployment)[0].1, "revoked");
}
