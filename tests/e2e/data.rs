//! The data plane's JSON endpoints.

use serde_json::json;

use crate::support::{clock, deployment::Deployment, server::Server};

#[test]
fn verify_answers_200_either_way_and_never_why_not() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let key = deployment.issue_text("live", &["--scope", "a", "--audience", "shop", "--cidr", "10.0.0.0/8"]);
    let good = json!({"api_key": key, "realms": ["live"], "scopes": ["a"], "audience": "shop", "ip": "10.1.2.3"});
    assert_eq!(server.data.post("/v1/verify", &good).json()["active"], true);
    for (field, value) in [
        ("api_key", json!("live_nothing")),
        ("api_key", json!("")),
        ("realms", json!(["test"])),
        ("audience", json!("store")),
        ("audience", json!(null)),
        ("ip", json!("11.0.0.1")),
        ("ip", json!(null)),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let answer = server.data.post("/v1/verify", &body);
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"active":false}"#), "{field}");
    }
    let mut body = good.clone();
    body["scopes"] = json!(["a", "b"]);
    assert_eq!(server.data.post("/v1/verify", &body).json(), json!({"active": false, "error": "insufficient_scope"}));
    body["audience"] = json!("store");
    assert_eq!(
        server.data.post("/v1/verify", &body).json(),
        json!({"active": false}),
        "only a good key hears of scopes"
    );
}

#[test]
fn keys_of_the_administrators_realm_are_never_accepted() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    for realms in [json!(["bulla"]), json!(["live", "bulla"]), json!([])] {
        let answer = server.data.post("/v1/verify", &json!({"api_key": deployment.admin_key, "realms": realms}));
        assert_eq!(answer.json(), json!({"active": false}), "{realms}");
    }
}

#[test]
fn the_default_realms_count_where_none_is_named() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let (live, test) = (deployment.issue_text("live", &[]), deployment.issue_text("test", &[]));
    let active = |key: &str, realms: serde_json::Value| {
        server.data.post("/v1/verify", &json!({"api_key": key, "realms": realms})).json()["active"] == true
    };
    assert!(active(&live, json!([])) && !active(&test, json!([])));
    assert!(active(&test, json!(["test"])) && !active(&live, json!(["test"])));
    assert!(active(&test, json!(["live", "test"])));
}

#[test]
fn a_batch_is_answered_in_order() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let key = deployment.issue_text("live", &[]);
    let keys: Vec<&str> = (0..1_000).map(|at| if at % 3 == 0 { key.as_str() } else { "nothing" }).collect();
    let results = server.data.post("/v1/verify/batch", &json!({"api_keys": keys})).json();
    let results = results["results"].as_array().expect("results");
    assert_eq!(results.len(), 1_000);
    assert!(results.iter().enumerate().all(|(at, result)| result["active"] == (at % 3 == 0)));
    let too_many = server.data.post("/v1/verify/batch", &json!({"api_keys": vec!["x"; 1_001]}));
    assert_eq!((too_many.status, too_many.problem().as_str()), (400, "bad-request"));
    let too_large = server.data.post("/v1/verify/batch", &json!({"api_keys": ["x".repeat(1 << 20)]}));
    assert_eq!((too_large.status, too_large.problem().as_str()), (413, "too-large"));
    let empty = server.data.post("/v1/verify/batch", &json!({"api_keys": []}));
    assert_eq!(empty.json(), json!({"results": []}));
}

#[test]
fn malformed_requests_get_a_clear_4xx() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let json = [("content-type", "application/json")];
    for (body, told) in [
        ("", "ends early"),
        ("{", "ends early"),
        ("no", "not JSON"),
        ("[]", "wrong kind"),
        (r#"["x",["live"],[],null,null]"#, "wrong kind"),
        ("{}", "missing field `api_key`"),
        (r#"{"api_key":1}"#, "wrong kind"),
        (r#"{"api_key":"x","apikey":"x"}"#, "unknown field `apikey`"),
        (r#"{"api_key":"x","ip":"300.1.1.1"}"#, "`ip`"),
        (r#"{"api_key":"x","realms":["NO"]}"#, "`realms`"),
        ("{\"api_key\":\"\u{0}\"}", "not JSON"),
    ] {
        let answer = server.data.request("POST", "/v1/verify", &json, body);
        assert_eq!((answer.status, answer.problem().as_str()), (400, "bad-request"), "{body}");
        assert!(answer.body.contains(told), "{body}: {}", answer.body);
    }
    let by_position = server.data.request("POST", "/v1/verify/batch", &json, r#"[["x"],["live"]]"#);
    assert_eq!((by_position.status, by_position.problem().as_str()), (400, "bad-request"));
    let deep = format!("{{\"api_key\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(server.data.request("POST", "/v1/verify", &json, &deep).status, 400);
    let text = server.data.request("POST", "/v1/verify", &[("content-type", "text/plain")], "{}");
    assert_eq!((text.status, text.problem().as_str()), (415, "media-type"));
    for types in
        [&[("content-type", "application/json; charset=utf-16")][..], &[("content-type", "application/json"); 2]]
    {
        let answer = server.data.request("POST", "/v1/verify", types, r#"{"api_key":"x"}"#);
        assert_eq!((answer.status, answer.problem().as_str()), (415, "media-type"), "{types:?}");
    }
    let utf_8 = [("content-type", "application/json; charset=\"UTF-8\"")];
    assert_eq!(server.data.request("POST", "/v1/verify", &utf_8, r#"{"api_key":"x"}"#).status, 200);
    let hosts = server.data.raw(b"GET /healthz HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n");
    assert!(hosts.starts_with("HTTP/1.1 400 ") && hosts.contains("urn:bulla:problem:bad-request"), "{hosts}");
    for method in ["GET", "PUT", "DELETE"] {
        let wrong = server.data.request(method, "/v1/verify", &[], "");
        assert_eq!((wrong.status, wrong.problem().as_str(), wrong.header("allow")), (405, "method", Some("POST")));
    }
    let nowhere = server.data.get("/v1/nothing");
    assert_eq!((nowhere.status, nowhere.problem().as_str()), (404, "not-found"));
}

#[test]
fn introspection_needs_a_credential_and_speaks_rfc_7662() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let caller = server.data.bearer(&deployment.admin_key);
    let issued = deployment.issue("live", &["--scope", "a", "--scope", "b", "--ttl", "1h"]);
    let key = issued["api_key"].as_str().expect("a key").to_owned();
    let token = format!("token={key}&token_type_hint=access_token");
    let asked = clock::now();
    let answer = caller.request("POST", "/v1/introspect", &form, &token).json();
    assert_eq!(
        (&answer["active"], &answer["scope"], &answer["token_type"]),
        (&json!(true), &json!("a b"), &json!("Bearer"))
    );
    let until = answer["exp"].as_u64().expect("exp");
    assert!((asked + 60..=clock::now() + 60).contains(&until), "clients cache for a minute: {answer}");
    let (told, ends) = (&answer["expires_at"], &issued["expires_at"]);
    assert!(ends.is_string() && told == ends, "the key's own end, which is an hour away: {answer}");
    assert_eq!((&answer["username"], answer.get("iss")), (&answer["app_id"], None));
    assert_eq!(answer["sub"], answer["app_id"]);
    let without_scopes = format!("token={}", deployment.issue_text("live", &[]));
    let answer = caller.request("POST", "/v1/introspect", &form, &without_scopes).json();
    assert_eq!((&answer["active"], answer.get("scope"), &answer["scopes"]), (&json!(true), None, &json!([])));
    let own = deployment.issue_text("bulla", &["--scope", "read"]);
    let basic =
        |pair: String| format!("Basic {}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pair));
    for pair in [format!("{}:x", own.replace('_', "%5F")), format!("x:{own}")] {
        let headers = [form[0], ("authorization", &basic(pair.clone()))];
        assert_eq!(server.data.request("POST", "/v1/introspect", &headers, "token=x").status, 200, "{pair}");
    }
    let of_a_page = [form[0], ("authorization", &basic(format!("{own}:"))), ("origin", "https://evil.example")];
    assert_eq!(server.data.request("POST", "/v1/introspect", &of_a_page, "token=x").status, 401);
    assert_eq!(caller.request("POST", "/v1/introspect", &form, "token=nothing").json(), json!({"active": false}));
    for body in ["", "tokens=x", "token=a&token=b"] {
        assert_eq!(caller.request("POST", "/v1/introspect", &form, body).problem(), "bad-request", "{body:?}");
    }
    let bound = deployment.issue_text("live", &["--audience", "shop", "--cidr", "10.0.0.0/8"]);
    let introspect = |form_body: &str| caller.request("POST", "/v1/introspect", &form, form_body).json();
    assert_eq!(introspect(&format!("token={bound}")), json!({"active": false}), "nobody said who and from where");
    assert_eq!(introspect(&format!("token={bound}&audience=shop&ip=10.0.0.1"))["aud"], json!(["shop"]));
    let anonymous = server.data.request("POST", "/v1/introspect", &form, &token);
    assert_eq!((anonymous.status, anonymous.header("www-authenticate")), (401, Some("Basic realm=\"bulla\", Bearer")));
    let not_an_administrator = server.data.bearer(&key).request("POST", "/v1/introspect", &form, &token);
    assert_eq!(not_an_administrator.status, 401, "a presented key opens nothing");
    let reader = deployment.issue_text("bulla", &["--scope", "read"]);
    assert_eq!(server.data.bearer(&reader).request("POST", "/v1/introspect", &form, &token).status, 200);
    let issuer = deployment.issue_text("bulla", &["--scope", "issue"]);
    assert_eq!(server.data.bearer(&issuer).request("POST", "/v1/introspect", &form, &token).status, 403);
}

#[test]
fn health_readiness_and_counters() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    assert_eq!(server.data.get("/healthz").status, 200);
    assert_eq!(server.data.get("/readyz").json()["ready"], true);
    let key = deployment.issue_text("live", &[]);
    for _ in 0..3 {
        server.data.post("/v1/verify", &json!({"api_key": key}));
    }
    server.data.post("/v1/verify", &json!({"api_key": key, "realms": ["test"]}));
    server.data.post("/v1/verify", &json!({"api_key": "x"}));
    assert_eq!(server.metric("bulla_verify_accepted_total{version=\"1\"}"), 3);
    assert_eq!(server.metric("bulla_verify_rejected_total{reason=\"realm\"}"), 1);
    assert_eq!(server.metric("bulla_verify_rejected_total{reason=\"malformed\"}"), 1);
    assert_eq!(server.metric("bulla_verify_rejected_total{reason=\"seal\"}"), 0);
    assert_eq!(server.data.get("/metrics").status, 404, "metrics have a listener of their own");
}

#[test]
fn a_request_names_a_bounded_number_of_realms_and_each_counts_once() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let key = deployment.issue_text("live", &[]);
    let single = |realms: &[String]| server.data.post("/v1/verify", &json!({"api_key": key, "realms": realms}));
    let batch = |realms: &[String]| server.data.post("/v1/verify/batch", &json!({"api_keys": [key], "realms": realms}));
    let named = |count: usize| -> Vec<String> { (0..count).map(|at| format!("a{at}")).collect() };
    let doubled = [vec!["test".to_owned(); 31], vec!["live".to_owned(); 33]].concat();
    assert_eq!(single(&doubled).json()["active"], true);
    assert_eq!(batch(&doubled).json()["results"][0]["active"], true);
    assert!(single(&named(64)).body.contains("there is no realm `a0`"), "as many as may be, but mistyped");
    for (refused, told) in [
        (single(&named(65)), "names 65 realms and may name 64"),
        (batch(&named(65)), "names 65 realms and may name 64"),
        (batch(&vec!["aa".to_owned(); 200_000]), "`realms`: the list is too long: it may hold at most 1000 entries"),
    ] {
        assert_eq!((refused.status, refused.problem().as_str()), (400, "bad-request"));
        assert!(refused.body.contains(told), "{}", refused.body);
    }
    let keys = server.data.post("/v1/verify/batch", &json!({"api_keys": vec![""; 300_000]}));
    assert!(
        keys.status == 400 && keys.body.contains("`api_keys`: the list is too long: it may hold at most 1000"),
        "{}",
        keys.body
    );
    let scopes =
        |count: usize| server.data.post("/v1/verify", &json!({"api_key": key, "scopes": vec!["a"; count]})).json();
    assert_eq!(scopes(256), json!({"active": false, "error": "insufficient_scope"}));
    assert!(
        scopes(257)["detail"].as_str().expect("a problem").contains("may hold at most 256"),
        "more than any key holds"
    );
    let tables: String = named(98).iter().map(|name| format!("[realms.{name}]\n")).collect();
    deployment.configure("[realms.test]", &format!("{tables}[realms.test]"));
    server.signal("HUP");
    let all = [named(98), vec!["live".to_owned(), "test".to_owned()]].concat();
    server.until("as many as are configured", |_| single(&all).status == 200);
    assert!(single(&named(101)).body.contains("names 101 realms and may name 100"));
}
