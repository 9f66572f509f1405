//! The admin plane: who may issue what, and what is on record.

use serde_json::json;

use crate::support::{
    deployment::{APP, Deployment},
    server::Server,
};

#[test]
fn issuing_needs_an_administrator() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let body = json!({"realm": "live", "app_id": APP});
    let user = deployment.issue_text("live", &["--scope", "admin"]);
    for (who, caller) in [
        ("nobody", server.admin.anonymous()),
        ("a user's key", server.admin.bearer(&user)),
        ("nonsense", server.admin.bearer("bulla_nonsense")),
    ] {
        let answer = caller.post("/v1/api-keys", &body);
        assert_eq!((answer.status, answer.problem().as_str()), (401, "unauthorized"), "{who}");
        assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"bulla\", Bearer"), "{who}");
        assert_eq!(caller.get("/v1/keyring").status, 401, "{who}");
    }
    let twice = server.admin.request("GET", "/v1/keyring", &[("x-api-key", &deployment.admin_key)], "");
    assert_eq!((twice.status, twice.problem().as_str()), (401, "several-credentials"));
    let issued = server.admin.post("/v1/api-keys", &body);
    assert_eq!((issued.status, issued.header("cache-control")), (201, Some("no-store")));
    assert_eq!(server.metric("bulla_admin_refused_total"), 7);
}

#[test]
fn scopes_are_as_narrow_as_they_say() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let status = |scope: &str, realm: &str| {
        let caller = server.admin.bearer(&deployment.issue_text("bulla", &["--scope", scope]));
        caller.post("/v1/api-keys", &json!({"realm": realm, "app_id": APP, "scopes": ["read"]})).status
    };
    assert_eq!(status("issue", "live"), 201);
    assert_eq!(status("issue:live", "live"), 201);
    assert_eq!(status("issue:live", "test"), 403);
    assert_eq!(status("read", "live"), 403);
    assert_eq!(status("issue", "bulla"), 403, "the scope `issue` does not allow making administrators");
    for scope in ["admin", "issue", "revoke", "reveal", "read", "keyring", "feed"] {
        let scope = format!("{scope}:bulla");
        let body = json!({"realm": "bulla", "app_id": APP, "scopes": ["read", scope]});
        let refused = server.admin.post("/v1/api-keys", &body);
        assert_eq!((refused.status, refused.problem().as_str()), (400, "bad-request"), "{scope}");
        assert!(refused.body.contains("allows nothing"), "{scope}: {}", refused.body);
    }
    for (scopes, told) in [
        (json!([]), "needs a scope"),
        (json!(["isue"]), "`isue` is not a scope"),
        (json!(["read", "issue:nope"]), "there is no [realms.nope]"),
    ] {
        let body = json!({"realm": "bulla", "app_id": APP, "scopes": scopes});
        let refused = server.admin.post("/v1/api-keys", &body);
        assert_eq!((refused.status, refused.problem().as_str()), (400, "bad-request"), "{scopes}");
        assert!(refused.body.contains(told), "{scopes}: {}", refused.body);
    }
    assert_eq!(status("admin", "bulla"), 201);
    for (scope, status) in [("read", 200), ("keyring", 200), ("admin", 200), ("issue", 403), ("read:live", 403)] {
        let caller = server.admin.bearer(&deployment.issue_text("bulla", &["--scope", scope]));
        assert_eq!(caller.get("/v1/keyring").status, status, "{scope}");
    }
}

#[test]
fn an_issued_key_has_what_was_asked_for_and_is_on_record() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let on_record = |deployment: &Deployment| deployment.store().number("SELECT count(*) FROM api_keys");
    let before = on_record(&deployment);
    let body = json!({
        "realm": "live", "app_id": APP, "name": "checkout", "expires_in": "90d", "scopes": ["a", "b"],
        "audience": "shop", "cidr": ["10.0.0.0/8"], "meta": {"team": "core"},
    });
    let issued = server.admin.post("/v1/api-keys", &body).json();
    assert_eq!(on_record(&deployment), before + 1);
    let expectations = json!({"api_key": issued["api_key"], "scopes": ["a"], "audience": "shop", "ip": "10.0.0.1"});
    let verified = server.data.post("/v1/verify", &expectations).json();
    assert_eq!(verified["active"], true);
    for field in ["api_key_id", "realm", "app_id", "version", "issued_at", "expires_at", "scopes", "meta"] {
        assert_eq!(verified[field], issued[field], "{field}");
    }
    let at = json!({"realm": "live", "app_id": APP, "expires_at": "2100-01-01T00:00:00+02:00", "audience": ["a", "b"]});
    assert_eq!(server.admin.post("/v1/api-keys", &at).json()["expires_at"], "2099-12-31T22:00:00Z");
}

#[test]
fn what_cannot_be_issued_is_a_400_that_says_why() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    for (field, value, told) in [
        ("realm", json!("nosuch"), "[realms.nosuch]"),
        ("realm", json!("No"), "realm"),
        ("app_id", json!("7"), "UUID"),
        ("expires_in", json!("soon"), "90d"),
        ("expires_at", json!("soon"), "RFC 3339"),
        ("expires_at", json!("1999-01-01T00:00:00Z"), "not after now"),
        ("scopes", json!(["a b"]), "scope token"),
        ("scopes", json!("a"), "wrong kind"),
        ("audience", json!(7), "wrong kind"),
        ("cidr", json!(["10.0.0.0/64"]), "at most 32"),
        ("meta", json!({"k": ""}), "empty"),
        ("meta", json!({"k": 1}), "wrong kind"),
        ("secret", json!(1), "wrong kind"),
        ("surprise", json!(1), "unknown field `surprise`"),
    ] {
        let mut body = json!({"realm": "live", "app_id": APP});
        body[field] = value.clone();
        let answer = server.admin.post("/v1/api-keys", &body);
        assert_eq!((answer.status, answer.problem().as_str()), (400, "bad-request"), "{field} {value}");
        assert!(answer.body.contains(told), "{field} {value}: {}", answer.body);
    }
    let both = json!({"realm": "live", "app_id": APP, "expires_in": "1d", "expires_at": "2100-01-01T00:00:00Z"});
    assert!(server.admin.post("/v1/api-keys", &both).body.contains("not both"));
    let json = [("content-type", "application/json")];
    for (method, path, body, told) in [
        ("POST", "/v1/api-keys", format!(r#"{{"realm":"live","app_id":"{APP}","meta":{{"k":"1","k":"2"}}}}"#), "twice"),
        ("POST", "/v1/api-keys", format!(r#"{{"realm":"live","app_id":"{APP}","realm":"test"}}"#), "duplicate field"),
        ("GET", "/v1/api-keys?limit=1&limit=2", String::new(), "`limit` once"),
        ("GET", "/v1/audit?after=1&limit=2&after=1", String::new(), "`after` once"),
        ("DELETE", "/v1/api-keys/live_00000XzbyFf5rOyRXQyt8V?reason=a&reason=b", String::new(), "`reason` once"),
        ("POST", "/v1/api-keys?dry_run=true", format!(r#"{{"realm":"live","app_id":"{APP}"}}"#), "unknown parameter"),
        (
            "POST",
            "/v1/api-keys/batch?wait=30s",
            format!(r#"{{"api_keys":[{{"realm":"live","app_id":"{APP}"}}]}}"#),
            "unknown",
        ),
        ("POST", "/v1/keyring/versions?x=1", r#"{"source":"file:master-2.key"}"#.to_owned(), "unknown parameter"),
        ("GET", "/v1/api-keys/live_00000XzbyFf5rOyRXQyt8V?x=1", String::new(), "unknown parameter"),
    ] {
        let answer = server.admin.request(method, path, &json, &body);
        assert_eq!((answer.status, answer.problem().as_str()), (400, "bad-request"), "{path}");
        assert!(answer.body.contains(told), "{path}: {}", answer.body);
    }
    let twice = deployment.run(&["issue", "--realm", "live", "--app", APP, "--meta", "k=1", "--meta", "k=2"]);
    assert!(twice.code == 64 && twice.err.contains("twice"), "{}", twice.err);
}

#[test]
fn the_keyring_is_shown_without_keys() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let shown = server.admin.get("/v1/keyring").json();
    assert_eq!(shown, deployment.run(&["keyring", "show", "--json"]).ok().json());
    assert_eq!((&shown["active"], &shown["versions"][0]["suite"]), (&json!(1), &json!("aes-256-gcm")));
}

#[test]
fn a_batch_is_issued_all_or_none() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let one = |realm: &str| json!({"realm": realm, "app_id": APP, "expires_in": "1d"});
    let batch = |keys: Vec<serde_json::Value>| server.admin.post("/v1/api-keys/batch", &json!({"api_keys": keys}));
    let issued = batch(vec![one("live"); 1_000]);
    assert_eq!((issued.status, issued.header("cache-control")), (201, Some("no-store")));
    let issued = issued.json();
    let keys: Vec<&serde_json::Value> =
        issued["api_keys"].as_array().expect("keys").iter().map(|key| &key["api_key"]).collect();
    assert_eq!(keys.len(), 1_000);
    let verified = server.data.post("/v1/verify/batch", &json!({"api_keys": keys})).json();
    assert!(verified["results"].as_array().expect("results").iter().all(|result| result["active"] == true));
    assert_eq!(server.metric("bulla_api_keys_issued_total{realm=\"live\"}"), 1_000);
    let mut wrong = vec![one("live"); 3];
    wrong[2]["app_id"] = json!("x");
    let refused = batch(wrong);
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("api_keys[2].app_id"), "{}", refused.body);
    for keys in [vec![], vec![one("live"); 1_001]] {
        assert_eq!(batch(keys).status, 400);
    }
    let narrow = server.admin.bearer(&deployment.issue_text("bulla", &["--scope", "issue:live"]));
    let mixed = json!({"api_keys": [one("live"), one("test")]});
    assert_eq!(narrow.post("/v1/api-keys/batch", &mixed).status, 403);
    assert_eq!(server.metric("bulla_api_keys_issued_total{realm=\"live\"}"), 1_000, "nothing more was issued");
}

#[test]
fn a_request_that_comes_again_is_done_once() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let ask = |caller: &crate::support::http::Http, key: &str, path: &str, body: &serde_json::Value| {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        caller.request("POST", path, &headers, &body.to_string())
    };
    let body = json!({"realm": "live", "app_id": APP});
    let first = ask(&server.admin, "order-7", "/v1/api-keys", &body);
    assert_eq!(first.status, 201);
    let again = ask(&server.admin, "order-7", "/v1/api-keys", &body);
    assert_eq!((again.status, again.json()), (200, json!({"api_key_id": first.json()["api_key_id"]})));
    let other = json!({"realm": "test", "app_id": APP});
    let reused = ask(&server.admin, "order-7", "/v1/api-keys", &other);
    assert_eq!((reused.status, reused.problem().as_str()), (422, "idempotency-key-reused"));
    let batch = json!({"api_keys": [body, other]});
    assert_eq!(ask(&server.admin, "order-7", "/v1/api-keys/batch", &batch).status, 422);
    let first = ask(&server.admin, "order-8", "/v1/api-keys/batch", &batch).json();
    let again = ask(&server.admin, "order-8", "/v1/api-keys/batch", &batch).json();
    assert_eq!(again["api_key_ids"], json!([first["api_keys"][0]["api_key_id"], first["api_keys"][1]["api_key_id"]]));
    let somebody = server.admin.bearer(&deployment.issue_text("bulla", &["--scope", "issue"]));
    assert_eq!(ask(&somebody, "order-7", "/v1/api-keys", &body).status, 201, "each caller has names of its own");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let callers: Vec<_> =
            (0..8).map(|_| scope.spawn(|| ask(&server.admin, "order-9", "/v1/api-keys", &body).status)).collect();
        callers.into_iter().map(|caller| caller.join().expect("an answer")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 201].contains(status)), "{statuses:?}");
    for key in ["", &"x".repeat(256)] {
        assert_eq!(ask(&server.admin, key, "/v1/api-keys", &body).status, 400);
    }
}

#[test]
fn a_realm_s_policy_is_kept_over_http_and_on_the_command_line() {
    let deployment = Deployment::new();
    let policy = format!(
        "[realms.live]\ndefault_ttl = \"30d\"\nmax_ttl = \"90d\"\nscopes = [\"orders.*\"]\napp_ids = [\"{APP}\"]\n"
    );
    deployment.configure("[realms.live]", &policy);
    let server = Server::start(&deployment);
    let issue = |body: serde_json::Value| server.admin.post("/v1/api-keys", &body);
    let good = issue(json!({"realm": "live", "app_id": APP, "scopes": ["orders.read"]})).json();
    let span = |key: &serde_json::Value| {
        let time = |name: &str| key[name].as_str().expect(name).parse::<jiff::Timestamp>().expect("a time");
        time("expires_at").duration_since(time("issued_at")).as_secs()
    };
    assert_eq!(span(&good), 30 * 86_400);
    for (body, field) in [
        (json!({"expires_in": "91d"}), "expires_in"),
        (json!({"expires_in": "never"}), "expires_in"),
        (json!({"scopes": ["admin"]}), "scopes"),
        (json!({"app_id": "00000000-0000-4000-8000-000000000001"}), "app_id"),
    ] {
        let mut asked = json!({"realm": "live", "app_id": APP});
        asked.as_object_mut().expect("an object").extend(body.as_object().expect("an object").clone());
        let refused = issue(asked);
        assert_eq!((refused.status, refused.problem().as_str()), (422, "policy"), "{body}");
        assert!(refused.body.contains(field), "{}", refused.body);
    }
    let by_hand = deployment.run(&["issue", "--realm", "live", "--app", APP, "--ttl", "never"]);
    assert!(by_hand.code == 2 && by_hand.err.contains("must expire"), "{}", by_hand.err);
    assert_eq!(deployment.issue("test", &["--ttl", "never"])["expires_at"], serde_json::Value::Null);
    for (wrong, told) in [
        ("default_ttl = \"91d\"\nmax_ttl = \"90d\"", "longer than max_ttl"),
        ("max_ttl = \"0s\"", "max_ttl must be at least 1s"),
        ("default_ttl = \"500ms\"", "default_ttl must be at least 1s"),
        ("max = 1", "unknown field"),
    ] {
        let deployment = Deployment::new();
        deployment.configure("[realms.live]", &format!("[realms.live]\n{wrong}\n"));
        let refused = deployment.run(&["keys", "list"]);
        assert!(refused.code == 2 && refused.err.contains(told), "{}", refused.err);
    }
}

#[test]
fn a_call_whose_body_arrives_after_its_key_was_ended_is_refused() {
    use std::io::{Read, Write};
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let caller = deployment.issue("bulla", &["--scope", "issue", "--scope", "read"]);
    let key = caller["api_key"].as_str().expect("a key");
    let begin = |plane: &crate::support::http::Http, path: &str, kind: &str, body: &str| {
        let mut stream = plane.connect();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {key}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{}",
            body.len(),
            &body[..body.len() - 1],
        );
        stream.write_all(head.as_bytes()).expect("written");
        (stream, body[body.len() - 1..].to_owned())
    };
    let new = json!({"realm": "live", "app_id": APP}).to_string();
    let issuing = begin(&server.admin, "/v1/api-keys", "application/json", &new);
    let asking = begin(&server.data, "/v1/introspect", "application/x-www-form-urlencoded", "token=x");
    // Both callers were identified once a later one was.
    assert_eq!(server.admin.bearer(key).get("/v1/api-keys").status, 200);
    std::thread::sleep(std::time::Duration::from_millis(600));
    let path = format!("/v1/api-keys/{}", caller["api_key_id"].as_str().expect("an id"));
    assert_eq!(server.admin.request("DELETE", &path, &[], "").status, 200);
    for (mut stream, rest) in [issuing, asking] {
        stream.write_all(rest.as_bytes()).expect("the rest");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
}
