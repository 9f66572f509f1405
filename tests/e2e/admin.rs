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
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{who}");
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
        caller.post("/v1/api-keys", &json!({"realm": realm, "app_id": APP})).status
    };
    assert_eq!(status("issue", "live"), 201);
    assert_eq!(status("issue:live", "live"), 201);
    assert_eq!(status("issue:live", "test"), 403);
    assert_eq!(status("read", "live"), 403);
    assert_eq!(status("issue", "bulla"), 403, "whoever may issue is not thereby one who makes administrators");
    assert_eq!(status("issue:bulla", "bulla"), 403);
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
    let on_record = |deployment: &Deployment| {
        let database = rusqlite::Connection::open(deployment.file("bulla.db")).expect("the store");
        let count: i64 = database.query_row("SELECT count(*) FROM api_keys", [], |row| row.get(0)).expect("a count");
        count
    };
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
        ("secret", json!(true), "no secret halves yet"),
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
}

#[test]
fn the_keyring_is_shown_without_keys() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let shown = server.admin.get("/v1/keyring").json();
    assert_eq!(shown, deployment.run(&["keyring", "show", "--json"]).ok().json());
    assert_eq!((&shown["active"], &shown["versions"][0]["suite"]), (&json!(1), &json!("aes-256-gcm")));
}
