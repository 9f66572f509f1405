//! The audit: every action with who, what, when and from where; and no action without it.

use serde_json::{Value, json};

use crate::support::{
    deployment::{APP, Deployment},
    server::Server,
};

fn records(deployment: &Deployment) -> Vec<Value> {
    let exported = deployment.run(&["audit", "--jsonl"]);
    exported.ok().out.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
}

/// The records, after their numbers were found to be 1, 2, 3 …
fn gapless(deployment: &Deployment) -> Vec<Value> {
    let records = records(deployment);
    for (at, record) in records.iter().enumerate() {
        assert_eq!(record["seq"], at as u64 + 1, "{record}");
    }
    records
}

#[test]
fn every_action_is_on_record() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let issued = server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP, "scopes": ["a"]})).json();
    let id = issued["api_key_id"].as_str().expect("an id");
    server.admin.post(&format!("/v1/api-keys/{id}/suspend"), &json!({"reason": "a look at it"}));
    server.admin.post(&format!("/v1/api-keys/{id}/resume"), &json!({}));
    let rerolled = server.admin.post(&format!("/v1/api-keys/{id}/reroll"), &json!({})).json();
    server.admin.request("DELETE", &format!("/v1/api-keys/{id}?reason=leaked"), &[], "");
    server.admin.request("DELETE", &format!("/v1/api-keys/{id}"), &[], "");
    server.admin.post("/v1/revocations", &json!({"app_id": APP, "realm": "live"}));
    server.admin.post("/v1/revocations", &json!({"realm": "test", "issued_before": "2020-01-01T00:00:00Z"}));
    let uri = deployment.new_master(2);
    server.admin.post("/v1/keyring/versions", &json!({"sources": [uri]}));
    server.admin.post("/v1/keyring/versions/2/activate", &json!({"force": true}));
    server.admin.post("/v1/keyring/versions/1/compromise", &json!({}));
    // The administrator's key was sealed under that version, and is none any more.
    deployment.keyring(&["destroy", "1"]);
    let by_hand = deployment.issue("bulla", &["--scope", "admin"]);
    let admin_plane = server.admin.bearer(by_hand["api_key"].as_str().expect("a key"));
    let records = gapless(&deployment);
    let told: Vec<(&str, &str)> = records
        .iter()
        .map(|record| (record["action"].as_str().expect("what"), record["target"].as_str().unwrap_or("-")))
        .filter(|(action, _)| *action != "config.reload")
        .collect();
    let new = rerolled["api_key_id"].as_str().expect("an id");
    let admin = &deployment.admin_key[..28];
    assert_eq!(
        told,
        [
            ("api_key.issue", admin),
            ("api_key.issue", id),
            ("api_key.suspend", id),
            ("api_key.resume", id),
            ("api_key.reroll", new),
            ("api_key.revoke", id),
            ("app.revoke", APP),
            ("realm.revoke", "test"),
            ("keyring.stage", "2"),
            ("keyring.activate", "2"),
            ("keyring.compromise", "1"),
            ("keyring.destroy", "1"),
            ("api_key.issue", by_hand["api_key_id"].as_str().expect("an id")),
        ]
    );
    assert_eq!((&records[1]["actor"], &records[1]["address"]), (&json!(admin), &json!("127.0.0.1")));
    assert_eq!(records[1]["detail"]["scopes"], json!(["a"]));
    assert!(records[1]["at"].as_str().expect("when").ends_with('Z'));
    let find = |action: &str| records.iter().find(|record| record["action"] == action).expect(action);
    assert_eq!(find("api_key.suspend")["detail"]["reason"], "a look at it");
    assert_eq!(find("api_key.reroll")["detail"]["replaces"], id);
    assert_eq!(find("keyring.stage")["detail"]["sources"], json!([uri]));
    // A record of a reload may come after it.
    let last = records.iter().rfind(|record| record["action"] == "api_key.issue").expect("a record");
    assert!(last["actor"].as_str().expect("who").starts_with("cli:") && last["address"].is_null());

    let page = admin_plane.get("/v1/audit?after=2&limit=3").json();
    assert_eq!((&page["records"][0]["seq"], &page["next_after"]), (&json!(3), &json!(5)));
    let headers = [("accept", "application/x-ndjson")];
    let lines = admin_plane.request("GET", "/v1/audit?limit=1000", &headers, "");
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    let over_http: Vec<Value> = lines.body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    // A record of a reload may have come since.
    assert_eq!(over_http[..records.len()], records);
    for query in ["after=x", "limit=0", "limit=1001", "limit=99999999999", "before=1"] {
        assert_eq!(admin_plane.get(&format!("/v1/audit?{query}")).status, 400, "{query}");
    }
    let narrow = server.admin.bearer(&deployment.issue_text("bulla", &["--scope", "read:live"]));
    assert_eq!(narrow.get("/v1/audit").status, 403);
}

#[test]
fn reloads_are_on_record() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    deployment.configure("[realms.test]", "[realms.test]\nmax_ttl = \"90d\"");
    server.signal("HUP");
    server.until("the reload", |_| {
        gapless(&deployment).iter().any(|record| record["action"] == "config.reload" && record["actor"] == "service")
    });
}

#[test]
fn failed_calls_are_on_record_and_a_flood_of_them_is_a_number() {
    const FLOOD: u64 = 100;
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let user = deployment.issue_text("live", &[]);
    server.admin.bearer(&user).get("/v1/keyring");
    server.admin.get("/v1/nowhere");
    let reader = server.admin.bearer(&deployment.issue_text("bulla", &["--scope", "read"]));
    reader.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP}));
    for _ in 0..FLOOD {
        server.admin.anonymous().get("/v1/keyring");
    }
    assert_eq!(server.metric("bulla_admin_refused_total"), FLOOD + 2, "the count leaves nothing out");
    let log = server.stop();
    let records = gapless(&deployment);
    let refused: Vec<&Value> = records.iter().filter(|record| record["action"] == "admin.refused").collect();
    assert_eq!(refused.len(), 30, "so many in a minute");
    let first = refused[0];
    assert_eq!((&first["actor"], &first["address"]), (&json!("unknown"), &json!("127.0.0.1")));
    assert_eq!(first["detail"]["call"], "GET /v1/keyring");
    assert_eq!(first["detail"]["presented"], &user[..27]);
    assert_eq!((&first["detail"]["status"], &first["detail"]["problem"]), (&json!(401), &json!("unauthorized")));
    assert_eq!(refused[1]["detail"]["problem"], "not-found");
    assert_eq!(refused[2]["detail"]["problem"], "forbidden");
    assert!(refused[2]["actor"].as_str().expect("who").starts_with("bulla_"));
    let rest: u64 = records
        .iter()
        .filter(|record| record["action"] == "admin.refused_more")
        .map(|record| record["detail"]["failed_calls"].as_u64().expect("a number"))
        .sum();
    assert_eq!(rest, FLOOD + 3 - 30);
    assert_eq!(log.matches("an admin call failed").count(), 30, "the log as the audit");
}

#[test]
fn what_cannot_be_recorded_is_not_done() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let key = deployment.issue_text("live", &[]);
    let id = &key[..27];
    deployment.store().refuse_audit(None);
    let before = std::fs::read(deployment.file("keyring.toml")).expect("the keyring");
    for (method, path, body) in [
        ("POST", "/v1/api-keys".to_owned(), json!({"realm": "live", "app_id": APP}).to_string()),
        ("DELETE", format!("/v1/api-keys/{id}"), String::new()),
        ("POST", format!("/v1/api-keys/{id}/suspend"), String::new()),
        ("POST", format!("/v1/api-keys/{id}/reroll"), String::new()),
        ("POST", "/v1/revocations".to_owned(), json!({"app_id": APP, "realm": "live"}).to_string()),
        ("POST", "/v1/keyring/versions/1/compromise".to_owned(), String::new()),
    ] {
        let refused = server.admin.request(method, &path, &[("content-type", "application/json")], &body);
        assert_eq!((refused.status, refused.problem().as_str()), (503, "unavailable"), "{path}: {}", refused.body);
    }
    assert_eq!(server.data.post("/v1/verify", &json!({"api_key": key})).json()["active"], true);
    assert_eq!(std::fs::read(deployment.file("keyring.toml")).expect("the keyring"), before);
    let count = deployment.store().number("SELECT count(*) FROM api_keys");
    assert_eq!(count, 2);
    deployment.store().allow_audit();
    assert_eq!(server.admin.request("DELETE", &format!("/v1/api-keys/{id}"), &[], "").status, 200);
}

#[test]
fn a_stranger_s_method_is_not_on_record() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    for method in ["A".repeat(30_000), deployment.admin_key.clone(), "PROPFIND".to_owned()] {
        let answer = server
            .admin
            .raw(format!("{method} /v1/keyring HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes());
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
    server.admin.raw(b"GET /v1/keyring HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let log = server.stop();
    let records = gapless(&deployment);
    let calls = records.iter().filter(|record| record["action"] == "admin.refused");
    let calls: Vec<&str> = calls.map(|record| record["detail"]["call"].as_str().expect("a call")).collect();
    let other = "another method /v1/keyring";
    assert_eq!(calls, [other, other, other, "GET /v1/keyring"]);
    for told in [log, format!("{records:?}")] {
        assert!(!told.contains("AAAA") && !told.contains(&deployment.admin_key), "{told}");
    }
}
