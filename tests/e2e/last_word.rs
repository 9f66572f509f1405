//! Commands that cannot be undone say what they end, and ask; typing errors are reported.

use std::{path::Path, process::Command};

use serde_json::json;

use crate::support::{
    command::{Ran, bulla, finish},
    deployment::{APP, Deployment},
    reference::python,
    server::Server,
};

/// Runs `bulla` on a terminal of its own, where `typed` answers each prompt.
fn on_terminal(deployment: &Deployment, typed: &str, arguments: &[&str]) -> Ran {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/terminal.py");
    let mut command = Command::new(python());
    command.args([script.as_os_str(), "--echo".as_ref(), typed.as_ref(), env!("CARGO_BIN_EXE_bulla").as_ref()]);
    finish(command.args(arguments).current_dir(deployment.path()).env_remove("BULLA_CONFIG"), "")
}

fn state(deployment: &Deployment) -> String {
    deployment.keyring(&["show"])["versions"][0]["state"].as_str().expect("a state").to_owned()
}

#[test]
fn compromise_and_destroy_say_how_many_keys_die_and_want_a_word() {
    let deployment = Deployment::new();
    for more in [&[][..], &["--ttl", "1s"], &[]] {
        deployment.issue("live", more);
    }
    let ended = deployment.issue("test", &[])["api_key_id"].as_str().expect("an id").to_owned();
    deployment.run(&["revoke", &ended]).ok();
    deployment.store().run("UPDATE api_keys SET expires_at = 1 WHERE expires_at IS NOT NULL");

    let told = "3 active API keys, including 1 administrator's key";
    for arguments in [&["keyring", "compromise", "1"][..], &["keyring", "destroy", "1"]] {
        let refused = deployment.run(arguments);
        assert_eq!(refused.code, 64, "{}", refused.out);
        for part in ["nothing was done", told, "--yes"] {
            assert!(refused.err.contains(part), "{part}: {}", refused.err);
        }
        let word = arguments[1..].join(" ");
        for wrong in ["y", "yes", "compromise", "compromise 2", ""] {
            let refused = on_terminal(&deployment, wrong, arguments);
            assert_eq!(refused.code, 2, "{wrong}: {}", refused.out);
            assert!(refused.out.contains(told) && refused.out.contains(&format!("Type `{word}`")), "{}", refused.out);
        }
        assert_eq!(state(&deployment), "active", "{arguments:?}");
    }
    assert_eq!(on_terminal(&deployment, "compromise 1", &["keyring", "compromise", "1"]).code, 0);
    assert_eq!(state(&deployment), "compromised");
    assert_eq!(on_terminal(&deployment, "destroy 1", &["keyring", "destroy", "1"]).code, 0);
    assert_eq!(state(&deployment), "destroyed");
}

#[test]
fn what_ends_many_keys_says_how_many_and_wants_a_word() {
    let deployment = Deployment::new();
    for realm in ["live", "live", "test"] {
        deployment.issue(realm, &[]);
    }
    deployment.issue("test", &["--ttl", "30d"]);
    let past = "2020-01-01T00:00:00Z";
    let late = "2099-01-01T00:00:00Z";
    for (arguments, told, word) in [
        (vec!["revoke", "--app", APP], "4 active API keys of the app", "revoke"),
        (vec!["revoke", "--app", APP, "--realm", "live"], "2 active API keys of the app", "revoke live"),
        (vec!["revoke", "--app", APP, "--issued-before", past], "0 active API keys of the app", "revoke"),
        (vec!["revoke", "--realm", "test", "--issued-before", "2026-01-01T00:00:00Z"], "0 active", "revoke test"),
        (vec!["keyring", "limit", "1", "--verify-until", past], "5 active API keys, including 1", "limit 1"),
        (vec!["keyring", "limit", "1", "--verify-until", late], "4 active API keys, including 1", "limit 1"),
        (vec!["keyring", "limit", "1", "--seal-until", past], "no API key can be issued until", "limit 1"),
    ] {
        let refused = deployment.run(&arguments);
        assert_eq!(refused.code, 64, "{arguments:?}: {}", refused.out);
        for part in ["nothing was done", told, "--yes"] {
            assert!(refused.err.contains(part), "{arguments:?} {part}: {}", refused.err);
        }
        let wrong = on_terminal(&deployment, "yes", &arguments);
        assert!(wrong.code == 2 && wrong.out.contains(&format!("Type `{word}`")), "{arguments:?}: {}", wrong.out);
    }
    let states = || deployment.run(&["keys", "list", "--json"]).ok().out.matches("\"state\":\"active\"").count();
    assert_eq!((states(), state(&deployment).as_str()), (5, "active"), "nothing was done");
    let typed = on_terminal(&deployment, "revoke live", &["revoke", "--app", APP, "--realm", "live"]);
    assert_eq!((typed.code, states()), (0, 3), "{}", typed.out);
    // What ends no key is not asked about.
    deployment.run(&["keyring", "limit", "1", "--seal-until", late]).ok();
    deployment.run(&["keyring", "limit", "1"]).ok();
    deployment.run(&["keys", "migrate", "--realm", "live", "--retire"]).ok();
}

#[test]
fn a_server_tells_the_same() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    deployment.issue("live", &[]);
    deployment.secret_file("admin.key", &deployment.admin_key);
    let url = format!("http://{}", server.admin.address);
    let ask = |more: &[&str]| {
        let arguments = [&["keyring", "compromise", "1", "--server", &url], more].concat();
        finish(bulla(deployment.path()).args(arguments).env("BULLA_ADMIN_KEY_FILE", "admin.key"), "")
    };
    let refused = ask(&[]);
    assert!(
        refused.code == 64 && refused.err.contains("2 active API keys, including 1 administrator's"),
        "{}",
        refused.err
    );
    assert_eq!(state(&deployment), "active");
    let counted = server.admin.get("/v1/keyring?count=active").json();
    assert_eq!(counted["versions"][0]["active_api_keys"], json!({"all": 2, "administrators": 1}));
    assert!(server.admin.get("/v1/keyring").json()["versions"][0]["active_api_keys"].is_null());
    assert_eq!(server.admin.get("/v1/keyring?count=all").status, 400);
    let revoke = |more: &[&str]| {
        let arguments = [&["revoke", "--app", APP, "--realm", "live", "--server", &url], more].concat();
        finish(bulla(deployment.path()).args(arguments).env("BULLA_ADMIN_KEY_FILE", "admin.key"), "")
    };
    let refused = revoke(&[]);
    assert!(refused.code == 64 && refused.err.contains("revokes 1 active API key of the app"), "{}", refused.err);
    let counted = |body| server.admin.post("/v1/revocations", &body);
    let all = counted(json!({"app_id": APP, "dry_run": true})).json();
    assert_eq!(all, json!({"all": 1, "administrators": 0}), "nothing was revoked");
    assert_eq!(counted(json!({"ids": ["live_000008TjPJsKU3Hu4SJ9qc"], "dry_run": true})).status, 400);
    revoke(&["--yes"]).ok();
    assert_eq!(counted(json!({"app_id": APP, "dry_run": true})).json()["all"], 0);
    ask(&["--yes"]).ok();
    assert_eq!(state(&deployment), "compromised");
}

#[test]
fn a_mistyped_realm_or_id_is_told() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let (key, other) = (deployment.issue_text("live", &[]), "9f2b8c1e-9a7d-4d52-8a55-0123456789ab");
    let id = key[..27].to_owned();
    let time = "2026-01-01T00:00:00Z";
    for arguments in [
        vec!["revoke", "--app", APP, "--realm", "liv"],
        vec!["revoke", "--realm", "liv", "--issued-before", time],
        vec!["keys", "list", "--realm", "liv"],
        vec!["keys", "migrate", "--realm", "liv"],
        vec!["verify", "--realm", "liv", "-"],
    ] {
        let refused = deployment.run_with(&arguments, &key);
        assert_eq!(refused.code, 2, "{arguments:?}: {}", refused.out);
        assert!(refused.err.contains("[realms.liv]") && refused.err.contains("`live`"), "{}", refused.err);
    }
    for (path, body) in [
        ("/v1/revocations", json!({"app_id": APP, "realm": "liv"})),
        ("/v1/revocations", json!({"realm": "liv", "issued_before": time})),
    ] {
        let refused = server.admin.post(path, &body);
        assert_eq!((refused.status, refused.problem().as_str()), (400, "bad-request"), "{}", refused.body);
        assert!(refused.body.contains("force"), "{}", refused.body);
    }
    assert_eq!(server.admin.get("/v1/api-keys?realm=liv").status, 400);
    for path in ["/v1/verify", "/v1/verify/batch"] {
        let body = json!({"api_key": key, "api_keys": [key], "realms": ["live", "liv"]});
        let mut body = body;
        body.as_object_mut().expect("a map").remove(if path.ends_with("batch") { "api_key" } else { "api_keys" });
        assert_eq!(server.data.post(path, &body).status, 400, "{path}");
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let reader = server.data.bearer(&deployment.admin_key);
    assert_eq!(reader.request("POST", "/v1/introspect", &form, &format!("token={key}&realm=liv")).status, 400);
    deployment.run_with(&["verify", "-"], &key).ok();

    // An id that is not on record is revoked, and the command says so.
    let nobody = "live_000008TjPJsKU3Hu4SJ9qc";
    let told = deployment.run(&["revoke", nobody]);
    assert!(
        told.ok().out.contains("on record   no\n") && told.err.contains("typing error"),
        "{} {}",
        told.out,
        told.err
    );
    let revoked = server.admin.request("DELETE", &format!("/v1/api-keys/{nobody}"), &[], "").json();
    assert_eq!((&revoked["on_record"], &revoked["changed"]), (&json!(false), &json!(false)));
    let many = server.admin.post("/v1/revocations", &json!({"ids": [nobody, "live_000004sYEXxF3mImJUeV2l"]})).json();
    assert_eq!(many["not_on_record"], 2);
    let suspended = deployment.run(&["keys", "suspend", "live_000006wc7ZQH5AmEx38IJP"]);
    assert!(suspended.ok().out.contains("on record   no\n"), "{}", suspended.out);
    for (app, count) in [(other, 0), (APP, 1)] {
        let ruled = deployment.run(&["revoke", "--yes", "--app", app, "--json"]);
        assert_eq!(ruled.ok().json()["keys_on_record"], count);
    }
    let forced = deployment.run(&["revoke", "--yes", "--app", APP, "--realm", "liv", "--force", "--json"]);
    assert_eq!(forced.ok().json()["keys_on_record"], 0);
    let forced = server.admin.post("/v1/revocations", &json!({"realm": "liv", "issued_before": time, "force": true}));
    assert_eq!((forced.status, &forced.json()["keys_on_record"]), (200, &json!(0)));
    let known = server.admin.request("DELETE", &format!("/v1/api-keys/{id}"), &[], "").json();
    assert_eq!(known["on_record"], true);
}

#[test]
fn a_rule_that_lies_ahead_lets_nothing_be_issued_that_nobody_accepts() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    deployment.run(&["revoke", "--yes", "--app", APP]).ok();
    let now = || std::time::UNIX_EPOCH.elapsed().expect("a time").as_secs();
    let rule = |seconds: u64| {
        let ahead = now() + seconds;
        let set = format!("UPDATE revocations SET issued_before = {ahead} WHERE kind = 'revoke_app'");
        deployment.store().run(&set);
    };
    // As far as clocks may differ a key is dated ahead, and accepted.
    rule(200);
    let key = deployment.issue_text("live", &[]);
    deployment.run_with(&["verify", "-"], &key).ok();
    rule(3600);
    let before = server.admin.get("/v1/api-keys").body;
    let refused = deployment.run(&["issue", "--realm", "live", "--app", APP]);
    assert_eq!(refused.code, 2, "{}", refused.out);
    for part in ["a rule revokes what is issued before", "it is ", "Set the clock"] {
        assert!(refused.err.contains(part), "{part}: {}", refused.err);
    }
    let over_http = server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP}));
    assert_eq!((over_http.status, over_http.problem().as_str()), (503, "unavailable"), "{}", over_http.body);
    assert_eq!(server.admin.get("/v1/api-keys").body, before, "nothing is on record");
    let told = deployment.run(&["doctor"]);
    assert!(told.code == 1 && told.out.contains(&format!("app {APP}")), "{}", told.out);
    // The way out.
    server.stop();
    let ahead = format!("DELETE FROM revocations WHERE issued_before > {}", now() + 300);
    assert_eq!(deployment.store().change(&ahead), 1);
    let key = deployment.issue_text("live", &[]);
    deployment.run_with(&["verify", "-"], &key).ok();
    deployment.run(&["doctor"]).ok();
}
