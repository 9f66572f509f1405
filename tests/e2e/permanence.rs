//! Revoked is for good: whatever stands in the store, whatever the clock shows, and whichever way a row was lost.

use serde_json::{Value, json};

use crate::support::{
    clock::off_by,
    command::{bulla, finish},
    deployment::{APP, Deployment},
    server::Server,
};

fn id_of(key: &str) -> String {
    key.parse::<bulla::ApiKey>().expect("an API key").id().to_string()
}

fn active(server: &Server, key: &str) -> bool {
    server.data.post("/v1/verify", &json!({"api_key": key})).json()["active"].as_bool().expect("a verdict")
}

fn shown(server: &Server, key: &str) -> Value {
    server.admin.get(&format!("/v1/api-keys/{}", id_of(key))).json()["state"].clone()
}

fn revoke(server: &Server, key: &str) -> Value {
    server.admin.request("DELETE", &format!("/v1/api-keys/{}", id_of(key)), &[], "").json()["changed"].clone()
}

fn number(deployment: &Deployment, query: &str) -> i64 {
    deployment.store().number(query)
}

fn degraded(server: &Server, what: &str) -> Option<String> {
    let ready = server.data.get("/readyz").json();
    let found = ready["degraded"].as_array().expect("a list").iter().find(|one| one["what"] == what).cloned();
    found.map(|one| one["detail"].as_str().expect("a text").to_owned())
}

/// Starts with a clock that is off.
fn start_off_by(deployment: &Deployment, offset: &str) -> Server {
    let environment = off_by(offset);
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Server::start_with(deployment, &environment)
}

#[test]
fn a_damaged_row_stops_nobody_and_what_it_names_is_rejected() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let keys: Vec<String> = (0..6).map(|_| deployment.issue_text("live", &[])).collect();
    let [late, never, suspended, unknown, good, other] = <[String; 6]>::try_from(keys).expect("six");
    let row = |kind: &str, id: &str, expires_at: &str, effective_at: &str| {
        deployment.store().insert_revocation(
            "kind, api_key_id, version, expires_at, effective_at, recorded_at, recorded_by",
            &format!("'{kind}', '{id}', 1, {expires_at}, {effective_at}, 1, 'somebody'"),
        );
    };
    assert_eq!(degraded(&server, "revocation rows"), None);
    // What a grace period of a hundred years left behind in the versions before this one, and worse.
    row("revoke", &id_of(&late), "NULL", "4949350958");
    row("revoke", &id_of(&never), "-1", "1");
    row("suspend", &id_of(&suspended), "99999999999", "1");
    row("unheard-of", &id_of(&unknown), "NULL", "1");
    row("revoke", "no id", "NULL", "1");
    deployment.store().insert_revocation(
        "kind, app_id, realm, issued_before, effective_at, recorded_at, recorded_by",
        "'revoke_app', '00000000-0000-4000-8000-000000000001', 'live', 99999999999, 1, 1, 'somebody'",
    );
    let all = |server: &Server| [&late, &never, &suspended, &unknown].iter().any(|key| active(server, key));
    server.within("what the rows name", |server| !all(server));
    // It may have read the log between two of the rows.
    let damaged = |server: &Server| server.metric("bulla_store_rows_damaged{table=\"revocations\"}");
    server.until("all six", |server| damaged(server) == 6);
    let told = degraded(&server, "revocation rows").expect("it is told");
    assert!(told.contains(": 6. row ") && told.contains("effective_at"), "{told}");
    // The others go on: what is revoked now is revoked at once.
    assert!(active(&server, &good));
    assert_eq!((revoke(&server, &other), active(&server, &other)), (json!(true), false));
    assert_eq!([shown(&server, &late), shown(&server, &unknown)], [json!("revoked"), json!("revoked")]);
    for key in [&late, &unknown] {
        let resumed = server.admin.post(&format!("/v1/api-keys/{}/resume", id_of(key)), &json!({}));
        assert_eq!((resumed.status, active(&server, key)), (409, false));
    }
    // An app that the damaged rule names is not dead for ever: a rule reaches no further than its record.
    let issued =
        server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": "00000000-0000-4000-8000-000000000001"}));
    assert!(active(&server, issued.json()["api_key"].as_str().expect("a key")));
    assert_eq!([&late, &good].map(|key| deployment.run(&["verify", key]).code), [1, 0]);
    let doctor = deployment.run(&["doctor"]);
    assert!(doctor.code == 1 && doctor.out.contains("cannot be read"), "{}", doctor.out);
    server.stop();
    let server = Server::start(&deployment);
    assert!(!all(&server) && active(&server, &good), "after a restart, too");
    // Revoking again sets a row right, for good; and the others can be deleted.
    for key in [&late, &never, &unknown] {
        assert_eq!(revoke(&server, key), true);
        assert_eq!((revoke(&server, key), active(&server, key)), (json!(false), false));
    }
    let damaged = "api_key_id = 'no id' OR issued_before > 4294967295 OR expires_at > 4294967295";
    deployment.store().run(&format!("DELETE FROM revocations WHERE {damaged}"));
    server.until("the end of it", |server| degraded(server, "revocation rows").is_none());
    deployment.run(&["doctor"]).ok();
    assert!(!active(&server, &late));
}

#[test]
fn a_row_that_the_log_lost_comes_back_and_revoking_again_says_so() {
    let deployment = Deployment::new();
    let [one, two, waits] = [(); 3].map(|()| deployment.issue_text("live", &["--ttl", "30d"]));
    let suspended = deployment.issue_text("live", &[]);
    for key in [&one, &two] {
        deployment.run(&["revoke", &id_of(key), "--reason", "leaked"]).ok();
    }
    deployment.run(&["keys", "suspend", &id_of(&suspended)]).ok();
    deployment.run(&["keys", "reroll", &id_of(&waits), "--grace", "1h"]).ok();
    let lose = || deployment.store().change("DELETE FROM revocations");
    assert_eq!(lose(), 4);
    assert_eq!(deployment.run(&["verify", &one]).code, 0, "it is let in, and so nothing may call it revoked");
    let again = deployment.run(&["revoke", &id_of(&one), "--json"]).ok().json();
    assert_eq!((&again["changed"], deployment.run(&["verify", &one]).code), (&json!(true), 1));
    assert_eq!(deployment.run(&["revoke", &id_of(&one), "--json"]).ok().json()["changed"], false);
    lose();
    let resumed = deployment.run(&["keys", "resume", &id_of(&suspended), "--json"]).ok().json();
    assert_eq!((&resumed["changed"], &resumed["state"]), (&json!(true), &json!("active")));
    let unknown = deployment.run(&["keys", "resume", "live_000008TjPJsKU3Hu4SJ9qc"]);
    assert!(unknown.ok().err.contains("look for a typing error"), "{}", unknown.err);
    let known = deployment.run(&["keys", "suspend", &id_of(&suspended)]);
    assert!(!known.ok().err.contains("typing error"), "{}", known.err);
    lose();
    // A start brings back what the ledger has and the log has not.
    let server = Server::start(&deployment);
    assert!(![&one, &two, &suspended].iter().any(|key| active(&server, key)) && active(&server, &waits));
    assert_eq!(number(&deployment, "SELECT count(*) FROM revocations"), 4);
    assert_eq!(number(&deployment, "SELECT count(*) FROM audit WHERE action = 'api_key.restore_revocation'"), 4);
    let ledger = server.admin.get(&format!("/v1/api-keys/{}", id_of(&two))).json();
    assert_eq!((&ledger["state"], &ledger["revoke_reason"]), (&json!("revoked"), &json!("leaked")));
    assert_eq!(revoke(&server, &two), false);
    // And so does a service that is running.
    lose();
    server.until("the rows again", |_| number(&deployment, "SELECT count(*) FROM revocations") == 4);
    assert!(![&one, &two, &suspended].iter().any(|key| active(&server, key)));
}

#[test]
fn a_clock_that_is_ahead_at_a_start_gives_no_revoked_key_back() {
    let deployment = Deployment::new();
    let [revoked, suspended, rerolled] = [(); 3].map(|()| deployment.issue_text("live", &["--ttl", "30d"]));
    let secret = deployment.issue_text("live", &["--ttl", "30d", "--secret"]);
    deployment.run(&["revoke", &id_of(&revoked)]).ok();
    deployment.run(&["keys", "suspend", &id_of(&suspended)]).ok();
    deployment.run(&["keys", "reroll", &id_of(&rerolled), "--grace", "20d"]).ok();
    deployment.run(&["keys", "reroll-secret", &id_of(&secret), "--grace", "20d"]).ok();
    let swept = || deployment.store().sweep_clock();
    let before = swept();
    let server = start_off_by(&deployment, "+365d");
    server.until("a sweep of the store", |_| swept() > before);
    assert!(swept() < before + 86_400, "the year that the clock shows is not believed");
    server.stop();
    let server = Server::start(&deployment);
    assert!(!active(&server, &revoked) && !active(&server, &suspended));
    assert_eq!([shown(&server, &revoked), shown(&server, &suspended)], ["revoked", "suspended"]);
    assert_eq!((revoke(&server, &revoked), revoke(&server, &suspended)), (json!(false), json!(true)));
    assert!(!active(&server, &revoked) && !active(&server, &suspended));
    assert!(active(&server, &rerolled) && active(&server, &secret), "what is in its grace still is");
}

#[test]
fn a_clock_that_is_set_back_undoes_no_revocation() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let [revoked, rerolled] = [(); 2].map(|()| deployment.issue_text("live", &[]));
    let secret = deployment.issue_text("live", &["--secret"]);
    revoke(&server, &revoked);
    server.admin.post(&format!("/v1/api-keys/{}/reroll-secret", id_of(&secret)), &json!({"grace": "1s"}));
    server.admin.post(&format!("/v1/api-keys/{}/reroll", id_of(&rerolled)), &json!({"grace": "1s"}));
    server.within("the end of the grace", |server| !active(server, &rerolled));
    // Within seconds that is written down, so that no clock changes it any more.
    let query = "SELECT count(*) FROM revocations WHERE in_effect = 1";
    server.until("the note of that", |_| number(&deployment, query) == 1);
    let query = "SELECT count(*) FROM secret_hashes WHERE retires_at IS NOT NULL";
    server.until("the end of the secret half", |_| number(&deployment, query) == 0);
    server.stop();
    // By two minutes: by more the keys would count as issued in the future.
    let server = start_off_by(&deployment, "-2m");
    assert!(!active(&server, &secret), "an ended secret half, too");
    for key in [&revoked, &rerolled] {
        assert_eq!((active(&server, key), shown(&server, key)), (false, json!("revoked")));
        for action in ["suspend", "resume"] {
            let refused = server.admin.post(&format!("/v1/api-keys/{}/{action}", id_of(key)), &json!({}));
            assert_eq!((refused.status, refused.problem().as_str()), (409, "api-key-state"), "{action}");
        }
        assert_eq!((revoke(&server, key), active(&server, key)), (json!(false), false));
        let mut command = bulla(deployment.path());
        let verified = finish(command.envs(off_by("-2m")).args(["verify", key, "--json"]), "");
        assert_eq!((verified.code, &verified.json()["reason"]), (1, &json!("revoked")));
    }
}

#[test]
fn a_key_that_a_rule_revoked_is_neither_suspended_nor_resumed() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let key = deployment.issue_text("live", &[]);
    server.admin.post(&format!("/v1/api-keys/{}/suspend", id_of(&key)), &json!({}));
    assert_eq!(server.admin.post("/v1/revocations", &json!({"app_id": APP, "realm": "live"})).status, 200);
    let audited = number(&deployment, "SELECT count(*) FROM audit");
    for action in ["suspend", "resume", "reroll"] {
        let refused = server.admin.post(&format!("/v1/api-keys/{}/{action}", id_of(&key)), &json!({}));
        assert_eq!((refused.status, refused.problem().as_str()), (409, "api-key-state"), "{action}");
    }
    assert_eq!(number(&deployment, "SELECT count(*) FROM audit"), audited, "nothing was done");
    assert_eq!((active(&server, &key), shown(&server, &key)), (false, json!("revoked")));
}
