//! Taking keys back: one, several, for a while, by app and by realm, over HTTP and on the command line.

use serde_json::{Value, json};

use crate::support::{
    deployment::{APP, Deployment},
    server::Server,
};

const OTHER: &str = "00000000-0000-4000-8000-000000000001";

fn id_of(key: &str) -> String {
    key.parse::<bulla::ApiKey>().expect("an API key").id().to_string()
}

fn active(server: &Server, key: &str) -> bool {
    let answer = server.data.post("/v1/verify", &json!({"api_key": key, "realms": ["live", "test"]}));
    answer.json()["active"].as_bool().expect("a verdict")
}

fn state(server: &Server, key: &str) -> Value {
    server.admin.get(&format!("/v1/api-keys/{}", id_of(key))).json()["state"].clone()
}

#[test]
fn a_revoked_key_is_rejected_at_once_and_for_good() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let (key, other) = (deployment.issue_text("live", &["--ttl", "1d"]), deployment.issue_text("live", &[]));
    let revoke = |query: &str| server.admin.request("DELETE", &format!("/v1/api-keys/{}{query}", id_of(&key)), &[], "");
    let revoked = revoke("?reason=leaked%20on%20a%20forum");
    assert_eq!((revoked.status, &revoked.json()["changed"]), (200, &json!(true)));
    assert!(!active(&server, &key) && active(&server, &other));
    assert_eq!(server.metric("bulla_verify_rejected_total{reason=\"revoked\"}"), 1);
    assert_eq!(server.data.request("GET", "/v1/authorize", &[("x-api-key", &key)], "").status, 401);
    let again = revoke("?reason=again");
    assert_eq!((again.status, &again.json()["changed"]), (200, &json!(false)));
    let shown = server.admin.get(&format!("/v1/api-keys/{}", id_of(&key))).json();
    assert_eq!((&shown["state"], &shown["revoke_reason"]), (&json!("revoked"), &json!("leaked on a forum")));
    assert_eq!(shown["revoked_at"], revoked.json()["revoked_at"]);
    for action in ["suspend", "resume", "reroll"] {
        let refused = server.admin.post(&format!("/v1/api-keys/{}/{action}", id_of(&key)), &json!({}));
        assert_eq!((refused.status, refused.problem().as_str()), (409, "api-key-state"), "{action}");
    }
    server.stop();
    let server = Server::start(&deployment);
    assert!(!active(&server, &key) && active(&server, &other), "after a restart too");
}

#[test]
fn an_id_that_the_ledger_never_saw_is_revoked_too() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let key = deployment.issue_text("live", &[]);
    let gone = format!("DELETE FROM api_keys WHERE api_key_id = '{}'", id_of(&key));
    assert_eq!(deployment.store().change(&gone), 1);
    assert!(active(&server, &key));
    let revoked = server.admin.request("DELETE", &format!("/v1/api-keys/{}", id_of(&key)), &[], "");
    assert_eq!((revoked.status, active(&server, &key)), (200, false));
    let nonsense = server.admin.request("DELETE", "/v1/api-keys/live_nonsense", &[], "");
    assert_eq!((nonsense.status, nonsense.problem().as_str()), (400, "bad-request"));
}

#[test]
fn a_suspended_key_comes_back() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let key = deployment.issue_text("live", &[]);
    let call = |action: &str| server.admin.post(&format!("/v1/api-keys/{}/{action}", id_of(&key)), &json!({})).json();
    for _ in 0..2 {
        assert_eq!(call("suspend")["changed"], true);
        let again = json!({"api_key_id": id_of(&key), "state": "suspended", "changed": false, "on_record": true});
        assert_eq!(call("suspend"), again);
        assert_eq!((active(&server, &key), state(&server, &key)), (false, json!("suspended")));
        assert_eq!(call("resume")["changed"], true);
        assert_eq!(call("resume")["changed"], false);
        assert_eq!((active(&server, &key), state(&server, &key)), (true, json!("active")));
    }
}

#[test]
fn an_app_and_a_realm_lose_what_they_were_issued_before() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let issue = |realm: &str, app: &str| {
        let issued = server.admin.post("/v1/api-keys", &json!({"realm": realm, "app_id": app})).json();
        issued["api_key"].as_str().expect("a key").to_owned()
    };
    let (live, test, other) = (issue("live", APP), issue("test", APP), issue("live", OTHER));
    let all = |expected: [bool; 3]| {
        assert_eq!([&live, &test, &other].map(|key| active(&server, key)), expected);
    };
    let take = |body: Value| server.admin.post("/v1/revocations", &body);
    let long_ago = "2020-01-01T00:00:00Z";
    assert_eq!(take(json!({"app_id": APP, "issued_before": long_ago})).json()["changed"], true);
    all([true, true, true]);
    assert_eq!(take(json!({"app_id": APP, "realm": "test"})).status, 200);
    all([true, false, true]);
    assert_eq!(state(&server, &test), "revoked");
    let ruled = take(json!({"app_id": APP, "reason": "left"})).json();
    all([false, false, true]);
    assert_eq!(take(json!({"app_id": APP, "issued_before": long_ago})).json()["issued_before"], ruled["issued_before"]);
    // A key issued right after is good: its time of issue is the first that the rule lets pass. The next rule revokes
    // it, even within the same second.
    let at_once = issue("live", APP);
    assert!(active(&server, &at_once));
    let ruled = take(json!({"app_id": APP})).json();
    assert_eq!((&ruled["changed"], active(&server, &at_once)), (&json!(true), false));
    let (again, soon) = (issue("live", APP), &ruled["issued_before"]);
    assert!(active(&server, &again));
    assert_eq!(take(json!({"realm": "live", "issued_before": soon})).status, 200);
    assert!(active(&server, &again));
    all([false, false, false]);
    let ahead = take(json!({"realm": "live", "issued_before": "2100-01-01T00:00:00Z"}));
    assert_eq!((ahead.status, ahead.problem().as_str()), (400, "bad-request"));
    for body in [
        json!({}),
        json!({"realm": "live"}),
        json!({"ids": [id_of(&live)], "app_id": APP}),
        json!({"ids": ["x"]}),
        json!({"app_id": "x"}),
        json!({"app_id": APP, "issued_before": "soon"}),
        json!({"app_id": APP, "reason": "two\nlines"}),
    ] {
        assert_eq!(take(body.clone()).status, 400, "{body}");
    }
}

#[test]
fn many_ids_at_once_are_revoked_all_or_none() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let keys: Vec<String> = (0..3).map(|_| deployment.issue_text("live", &[])).collect();
    let mut ids: Vec<String> = keys.iter().map(|key| id_of(key)).collect();
    ids.push("nonsense".to_owned());
    assert_eq!(server.admin.post("/v1/revocations", &json!({"ids": ids})).status, 400);
    assert!(keys.iter().all(|key| active(&server, key)));
    ids.pop();
    ids.push(ids[0].clone());
    let revoked = server.admin.post("/v1/revocations", &json!({"ids": ids, "reason": "x"})).json();
    assert_eq!(revoked, json!({"revoked": 3, "already_revoked": 1, "not_on_record": 0}));
    assert!(!keys.iter().any(|key| active(&server, key)));
    let too_many = server.admin.post("/v1/revocations", &json!({"ids": vec![&ids[0]; 10_001]}));
    assert_eq!(too_many.status, 400);
}

#[test]
fn one_key_revoked_by_many_at_once_is_revoked_once() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let key = deployment.issue_text("live", &[]);
    let path = format!("/v1/api-keys/{}", id_of(&key));
    let changed: usize = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| server.admin.request("DELETE", &path, &[], "").json()["changed"] == true))
            .collect();
        callers.into_iter().map(|caller| usize::from(caller.join().expect("an answer"))).sum()
    });
    assert_eq!((changed, active(&server, &key)), (1, false));
}

#[test]
fn a_rerolled_key_is_like_the_old_one_which_ends_after_its_grace() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let body = json!({
        "realm": "live", "app_id": APP, "name": "shop", "expires_in": "90d", "scopes": ["a"], "audience": ["shop"],
        "cidr": ["10.0.0.0/8"], "meta": {"k": "v"},
    });
    let old = server.admin.post("/v1/api-keys", &body).json();
    let reroll = |id: &Value, body: Value| {
        server.admin.post(&format!("/v1/api-keys/{}/reroll", id.as_str().expect("an id")), &body)
    };
    let check = |key: &Value| {
        let body = json!({"api_key": key, "scopes": ["a"], "audience": "shop", "ip": "10.0.0.1"});
        server.data.post("/v1/verify", &body).json()["active"] == true
    };
    let first = reroll(&old["api_key_id"], json!({"grace": "1h"}));
    assert_eq!((first.status, first.header("cache-control")), (201, Some("no-store")));
    let first = first.json();
    assert_eq!(first["replaces"], old["api_key_id"]);
    for field in ["realm", "app_id", "scopes", "meta"] {
        assert_eq!(first[field], old[field], "{field}");
    }
    assert!(check(&old["api_key"]) && check(&first["api_key"]), "both are good within the grace");
    let without_audience = server.data.post("/v1/verify", &json!({"api_key": first["api_key"], "ip": "10.0.0.1"}));
    assert_eq!(without_audience.json()["active"], false, "restrictions come along");
    let twice = reroll(&old["api_key_id"], json!({}));
    assert_eq!((twice.status, twice.problem().as_str()), (409, "api-key-state"));
    let second = reroll(&first["api_key_id"], json!({"grace": "0s", "expires_in": "never"})).json();
    assert!(!check(&first["api_key"]) && check(&second["api_key"]));
    assert_eq!(second["expires_at"], Value::Null);
    let brief = reroll(&second["api_key_id"], json!({"grace": "1s"})).json();
    server.within("the end of the grace", |_| !check(&second["api_key"]));
    assert!(check(&brief["api_key"]));
    let shown = server.admin.get(&format!("/v1/api-keys/{}", second["api_key_id"].as_str().expect("an id"))).json();
    assert_eq!((&shown["state"], &shown["rerolled_from"]), (&json!("revoked"), &first["api_key_id"]));
    let unknown = reroll(&json!("live_0000000000000000000000"), json!({}));
    assert_eq!((unknown.status, unknown.problem().as_str()), (404, "unknown-api-key"));
}

#[test]
fn a_grace_period_goes_on_through_a_restart() {
    let deployment = Deployment::new();
    let key = deployment.issue_text("live", &[]);
    let rerolled = deployment.run(&["keys", "reroll", &id_of(&key), "--grace", "2s", "--json"]).ok().json();
    let server = Server::start(&deployment);
    server.within("the end of the grace", |server| !active(server, &key));
    assert!(active(&server, rerolled["api_key"].as_str().expect("a key")));
}

#[test]
fn a_key_can_end_itself() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let end = |key: &str| server.data.request("POST", "/v1/self-revoke", &[("x-api-key", key)], "");
    for more in [&[][..], &["--audience", "shop"], &["--cidr", "192.0.2.0/24"], &["--scope", "a"]] {
        let key = deployment.issue_text("live", more);
        assert_eq!(end(&key).json()["changed"], true, "{more:?}");
        assert_eq!(state(&server, &key), "revoked", "{more:?}");
        let again = end(&key);
        assert_eq!((again.status, &again.json()["changed"]), (200, &json!(false)));
    }
    let suspended = deployment.issue_text("test", &[]);
    server.admin.post(&format!("/v1/api-keys/{}/suspend", id_of(&suspended)), &json!({}));
    assert_eq!(end(&suspended).json()["changed"], true);
    assert_eq!(state(&server, &suspended), "revoked");
    let key = deployment.issue_text("live", &[]);
    let forged = crate::support::deployment::altered(&key, 59, if &key[59..60] == "0" { '1' } else { '0' });
    for wrong in [&forged[..], "nonsense", &id_of(&key)] {
        let refused = end(wrong);
        assert_eq!((refused.status, refused.problem().as_str()), (401, "unauthorized"), "{wrong}");
    }
    assert_eq!(server.data.post("/v1/self-revoke", &json!({})).status, 401);
    assert!(active(&server, &key));
    assert_eq!(end(&deployment.admin_key).status, 200, "an administrator's leaked key too");
    assert_eq!(server.admin.get("/v1/keyring").status, 401);
}

#[test]
fn a_request_that_may_name_another_key_ends_none() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let (own, leaked) = (deployment.issue_text("bulla", &["--scope", "read"]), deployment.issue_text("live", &[]));
    let client = server.data.bearer(&own);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let json = [("content-type", "application/json")];
    for (query, headers, body) in [
        ("", &form[..], format!("token={leaked}&token_type_hint=access_token")),
        ("", &form, "token=".to_owned()),
        ("", &[], format!("token={leaked}")),
        ("", &json, json!({"token": leaked}).to_string()),
        ("", &json, "null".to_owned()),
        (&format!("?token={leaked}"), &[], String::new()),
    ] {
        let refused = client.request("POST", &format!("/v1/self-revoke{query}"), headers, &body);
        assert_eq!((refused.status, refused.problem().as_str()), (400, "bad-request"), "{query} {body}");
        let detail = refused.json()["detail"].to_string();
        assert!(detail.contains("in the header") && !detail.contains(&leaked), "{detail}");
    }
    assert!(active(&server, &leaked));
    let too_large = client.request("POST", "/v1/self-revoke", &form, &"x".repeat(70_000));
    assert_eq!(too_large.status, 413);
    let login =
        format!("Basic {}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{own}:")));
    let of_a_page = [("authorization", login.as_str()), ("sec-fetch-site", "cross-site")];
    assert_eq!(server.data.request("POST", "/v1/self-revoke", &of_a_page, "").status, 401, "no browser was asked to");
    for (headers, body) in [(&form[..], ""), (&[], "\r\n"), (&json, "{}")] {
        assert_eq!(client.request("POST", "/v1/self-revoke", headers, body).status, 200, "{body:?}");
    }
    assert_eq!(server.data.request("POST", "/v1/self-revoke", &of_a_page[..1], "").json()["changed"], false);
}

#[test]
fn the_command_line_does_the_same_beside_a_server_and_through_it() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let key_file = deployment.secret_file("admin.key", &deployment.admin_key);
    let url = format!("http://{}", server.admin.address);
    let bulla = |arguments: &[&str], through: bool, input: &str| {
        let mut command = crate::support::command::bulla(deployment.path());
        command.args(arguments).arg("--json").env("BULLA_ADMIN_KEY_FILE", &key_file);
        if through {
            command.args(["--server", &url]);
        }
        crate::support::command::finish(&mut command, input).ok().json()
    };
    for through in [false, true] {
        let keys: Vec<String> = (0..5).map(|_| deployment.issue_text("live", &["--name", "one of five"])).collect();
        let ids: Vec<String> = keys.iter().map(|key| id_of(key)).collect();
        let gone = |key: &str| server.within("the revocation", |server| !active(server, key));
        assert_eq!(bulla(&["revoke", &ids[0], "--reason", "a & b"], through, "")["changed"], true);
        gone(&keys[0]);
        assert_eq!(bulla(&["keys", "show", &ids[0]], through, "")["revoke_reason"], "a & b");
        assert_eq!(bulla(&["revoke", "-"], through, &keys[1])["api_key_id"], json!(ids[1]));
        gone(&keys[1]);
        assert_eq!(bulla(&["keys", "suspend", &ids[2]], through, "")["state"], "suspended");
        gone(&keys[2]);
        assert_eq!(bulla(&["keys", "resume", &ids[2]], through, "")["state"], "active");
        server.within("the resumption", |server| active(server, &keys[2]));
        let rerolled = bulla(&["keys", "reroll", &ids[3], "--grace", "0s"], through, "");
        gone(&keys[3]);
        server.until("the new key", |server| active(server, rerolled["api_key"].as_str().expect("a key")));
        let listed = bulla(&["keys", "list", "--realm", "live"], through, "");
        let found =
            listed["api_keys"].as_array().expect("keys").iter().find(|key| key["api_key_id"] == ids[4].as_str());
        assert_eq!(found.expect("on record")["state"], "active");
        assert_eq!(bulla(&["revoke", "--yes", "--app", APP, "--realm", "live"], through, "")["changed"], true);
        gone(&keys[4]);
        let before = "2020-01-01T00:00:00Z";
        let ruled = bulla(&["revoke", "--yes", "--realm", "test", "--issued-before", before], through, "");
        assert_eq!(ruled["issued_before"], before);
    }
    for wrong in [&["revoke"][..], &["revoke", "x"], &["revoke", "--realm", "live"], &["keys", "suspend", "x"]] {
        assert_eq!(deployment.run(wrong).code, 64, "{wrong:?}");
    }
    assert!(deployment.run(&["keys", "list"]).ok().out.contains("revoked"), "people see the state too");
}

#[test]
fn scopes_say_who_may_revoke_what() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let caller = |scope: &str| server.admin.bearer(&deployment.issue_text("bulla", &["--scope", scope]));
    let revoke = |scope: &str, key: &str| {
        caller(scope).request("DELETE", &format!("/v1/api-keys/{}", id_of(key)), &[], "").status
    };
    let (live, test) = (deployment.issue_text("live", &[]), deployment.issue_text("test", &[]));
    for (scope, status) in [("read", 403), ("issue", 403), ("revoke:test", 403), ("revoke:live", 200), ("revoke", 200)]
    {
        assert_eq!(revoke(scope, &live), status, "{scope}");
    }
    assert_eq!(revoke("revoke:live", &test), 403);
    assert_eq!(revoke("revoke", &deployment.admin_key), 403, "administrators are ended by administrators");
    let by_app = |scope: &str, body: Value| caller(scope).post("/v1/revocations", &body).status;
    assert_eq!(by_app("revoke", json!({"app_id": APP})), 403, "every realm is the administrators' too");
    assert_eq!(by_app("revoke", json!({"app_id": APP, "realm": "live"})), 200);
    assert_eq!(by_app("revoke:test", json!({"app_id": APP, "realm": "live"})), 403);
    assert_eq!(by_app("revoke:test", json!({"ids": [id_of(&test), id_of(&live)]})), 403);
    let reroll = |scope: &[&str]| {
        let scopes: Vec<&str> = scope.iter().flat_map(|scope| ["--scope", scope]).collect();
        let caller = server.admin.bearer(&deployment.issue_text("bulla", &scopes));
        caller.post(&format!("/v1/api-keys/{}/reroll", id_of(&test)), &json!({})).status
    };
    assert_eq!([reroll(&["issue"]), reroll(&["revoke"]), reroll(&["issue:test", "revoke:test"])], [403, 403, 201]);
}

#[test]
fn the_command_verifies_against_revocations() {
    let deployment = Deployment::new();
    let key = deployment.issue_text("live", &[]);
    let verdict = || {
        let verified = deployment.run(&["verify", &key, "--json"]);
        (verified.code, verified.json()["reason"].clone())
    };
    assert_eq!(verdict().0, 0);
    deployment.run(&["keys", "suspend", &id_of(&key)]).ok();
    assert_eq!(verdict(), (1, json!("revoked")));
    deployment.run(&["keys", "resume", &id_of(&key)]).ok();
    assert_eq!(verdict().0, 0);
    deployment.run(&["revoke", "--yes", "--app", APP]).ok();
    assert_eq!(verdict(), (1, json!("revoked")));
}

#[test]
fn a_store_that_is_put_back_under_a_running_server_gives_nothing_back() {
    let deployment = Deployment::on_file();
    let server = Server::start(&deployment);
    let keys: Vec<String> = (0..4).map(|_| deployment.issue_text("live", &[])).collect();
    let copy = deployment.file("copy.db");
    let sql = |text: &str| {
        let database = rusqlite::Connection::open(deployment.file("bulla.db")).expect("the store");
        database.execute_batch(text).expect("done");
    };
    sql(&format!("VACUUM INTO '{}'", copy.display()));
    for key in &keys[..3] {
        server.admin.request("DELETE", &format!("/v1/api-keys/{}", id_of(key)), &[], "");
    }
    assert!(!active(&server, &keys[0]));
    let mut database = rusqlite::Connection::open(deployment.file("bulla.db")).expect("the store");
    let backup = rusqlite::Connection::open(&copy).expect("the copy");
    rusqlite::backup::Backup::new(&backup, &mut database)
        .and_then(|backup| backup.run_to_completion(1_000, std::time::Duration::ZERO, None))
        .expect("put back");
    let revoked = server.admin.request("DELETE", &format!("/v1/api-keys/{}", id_of(&keys[3])), &[], "");
    assert_eq!((revoked.status, active(&server, &keys[3])), (200, false), "the newest is in force at once");
    assert!(!active(&server, &keys[0]), "and what was revoked stays so");
    server.until("the warning", |server| server.log().contains("was replaced"));
}

#[test]
fn a_note_is_one_plain_line() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    for name in ["a\u{1b}[31mred", "two\nlines", &"x".repeat(201)] {
        let answer = server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP, "name": name}));
        assert_eq!(answer.status, 400, "{name:?}");
        let key = deployment.issue_text("live", &[]);
        let path = format!("/v1/api-keys/{}/suspend", id_of(&key));
        assert_eq!(server.admin.post(&path, &json!({"reason": name})).status, 400, "{name:?}");
    }
}

#[test]
fn a_server_that_cannot_read_its_log_refuses_when_that_lasts_too_long() {
    let deployment = Deployment::new();
    deployment.configure("# max_staleness = \"10m\"", "max_staleness = \"12s\"");
    let server = Server::start(&deployment);
    let (key, gone) = (deployment.issue_text("live", &[]), deployment.issue_text("live", &[]));
    server.admin.request("DELETE", &format!("/v1/api-keys/{}", id_of(&gone)), &[], "");
    assert!(active(&server, &key));
    deployment.store().hide_log();
    server.until("the limit", |server| server.data.get("/readyz").status == 503);
    let answer = server.data.post("/v1/verify", &json!({"api_key": key}));
    assert_eq!((answer.status, answer.problem().as_str()), (503, "could-not-tell"));
    let metrics = server.metrics.get("/metrics").body;
    assert!(metrics.contains("\nbulla_verify_stale_total 1\n"), "{metrics}");
    assert!(metrics.contains("\nbulla_verify_could_not_tell_total 1\n"), "{metrics}");
    assert!(!metrics.contains("bulla_secret_unchecked_total{"), "no secret half is concerned: {metrics}");
    assert!(!active(&server, &gone), "what is known to be wrong is");
    assert_eq!(server.data.get("/healthz").status, 200);
    deployment.store().show_log();
    server.until("the end of it", |server| server.data.get("/readyz").status == 200);
    assert!(active(&server, &key));
}
