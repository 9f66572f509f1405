//! The ledger: which API keys were issued, found again on the command line and over the admin plane.

use serde_json::{Value, json};

use crate::support::{
    deployment::{APP, Deployment},
    server::Server,
};

fn ids(page: &Value) -> Vec<String> {
    let keys = page["api_keys"].as_array().expect("keys");
    keys.iter().map(|key| key["api_key_id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn a_key_on_record_is_shown_without_its_text() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let body = json!({"realm": "live", "app_id": APP, "name": "checkout", "expires_in": "1d", "scopes": ["a", "b"], "meta": {"k": "v"}});
    let issued = server.admin.post("/v1/api-keys", &body).json();
    let id = issued["api_key_id"].as_str().expect("an id");
    let shown = server.admin.get(&format!("/v1/api-keys/{id}")).json();
    for field in ["api_key_id", "realm", "app_id", "version", "issued_at", "expires_at", "scopes", "meta"] {
        assert_eq!(shown[field], issued[field], "{field}");
    }
    assert_eq!((&shown["name"], shown.get("api_key")), (&json!("checkout"), None));
    assert!(deployment.admin_key.starts_with(shown["issued_by"].as_str().expect("who")));
    assert_eq!(deployment.run(&["keys", "show", id, "--json"]).ok().json(), shown);
    let unknown = server.admin.get("/v1/api-keys/live_0000000000000000000000");
    assert_eq!((unknown.status, unknown.problem().as_str()), (404, "unknown-api-key"));
    assert_eq!(server.admin.get("/v1/api-keys/nonsense").status, 400);
}

#[test]
fn pages_follow_each_other_without_a_gap() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let other = "00000000-0000-4000-8000-000000000001";
    let issue = |realm: &str, app: &str| {
        let issued = server.admin.post("/v1/api-keys", &json!({"realm": realm, "app_id": app})).json();
        issued["api_key_id"].as_str().expect("an id").to_owned()
    };
    let all: Vec<String> =
        (0..7).map(|at| issue(if at % 2 == 0 { "live" } else { "test" }, if at < 3 { APP } else { other })).collect();
    let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = server.admin.get(&format!("/v1/api-keys?limit=3&cursor={cursor}")).json();
        seen.extend(ids(&page));
        pages += 1;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(pages, 3);
    assert_eq!(seen[1..], all, "behind the first administrator's own");
    let of = |query: &str| ids(&server.admin.get(&format!("/v1/api-keys?{query}")).json());
    assert_eq!(of("realm=test"), [all[1].clone(), all[3].clone(), all[5].clone()]);
    assert_eq!(of(&format!("realm=live&app_id={other}")), [all[4].clone(), all[6].clone()]);
    assert_eq!(ids(&deployment.run(&["keys", "list", "--realm", "test", "--json"]).ok().json()), of("realm=test"));
    assert!(deployment.run(&["keys", "list"]).ok().out.contains("NAME"));
}

#[test]
fn what_a_page_cannot_be_is_refused() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    for query in [
        "limit=0",
        "limit=1001",
        "limit=1000000",
        "limit=x",
        "cursor=x",
        "cursor=__________8",
        "realm=No",
        "app_id=7",
        "appid=7",
    ] {
        let answer = server.admin.get(&format!("/v1/api-keys?{query}"));
        assert_eq!((answer.status, answer.problem().as_str()), (400, "bad-request"), "{query}");
    }
    let long = format!("app_id={}", "0".repeat(20_000));
    assert_eq!(server.admin.get(&format!("/v1/api-keys?{long}")).status, 400);
    let reader = server.admin.bearer(&deployment.issue_text("bulla", &["--scope", "read:live"]));
    assert_eq!(reader.get("/v1/api-keys?realm=live").status, 200);
    for path in ["/v1/api-keys", "/v1/api-keys?realm=test", "/v1/api-keys/test_0000000000000000000000"] {
        assert_eq!(reader.get(path).status, 403, "{path}");
    }
    assert_eq!(server.admin.anonymous().get("/v1/api-keys").status, 401);
    let everywhere = server.admin.bearer(&deployment.issue_text("bulla", &["--scope", "read"]));
    assert_eq!(everywhere.get("/v1/api-keys?realm=bulla").status, 403);
    assert_eq!(
        ids(&everywhere.get("/v1/api-keys").json()),
        Vec::<String>::new(),
        "the administrators' are not among them"
    );
    assert_eq!(ids(&server.admin.get("/v1/api-keys").json()).len(), 3);
}
