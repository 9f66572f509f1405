//! Sealed keys in the place of imported ones.

use serde_json::json;

use crate::support::{
    deployment::{APP, Deployment},
    imported::{KEY, import, row, sha256, verify},
    server::Server,
};

#[test]
fn a_sealed_key_takes_the_place_of_an_imported_one() {
    let deployment = Deployment::new();
    let fields = |key: &str| {
        row(
            &sha256(key),
            json!({"name": "old", "expires_at": "2100-01-01T00:00:00Z", "scopes": ["a"], "meta": {"k": "v"}}),
        )
    };
    import(&deployment, &[fields("one"), fields("two"), fields("three")], &["--scheme", "sha256"]).ok();
    let server = Server::start(&deployment);
    assert_eq!(verify(&server, "one").get("replacement"), None, "not unless the realm says so");
    drop(server);
    deployment.configure("[realms.live]", "[realms.live]\nreplace_imported = true");
    let server = Server::start_with(&deployment, &[("BULLA_LAST_USED__FLUSH_INTERVAL", "200ms")]);
    server.data.request("GET", "/v1/authorize", &[("x-api-key", "one")], "");
    server.data.post("/v1/verify/batch", &json!({"api_keys": ["one"]}));
    let scopes = json!({"api_key": "one", "scopes": ["c"]});
    assert_eq!(server.data.post("/v1/verify", &scopes).json(), json!({"active": false, "error": "insufficient_scope"}));
    let first = verify(&server, "one");
    let replacement = &first["replacement"];
    for (field, value) in [
        ("realm", json!("live")),
        ("app_id", json!(APP)),
        ("scopes", json!(["a"])),
        ("meta", json!({"k": "v"})),
        ("version", json!(1)),
    ] {
        assert_eq!(replacement[field], value, "{first}");
    }
    assert_eq!(replacement["expires_at"], "2100-01-01T00:00:00Z");
    assert_eq!(verify(&server, "one").get("replacement"), None, "shown once");
    let sealed = replacement["api_key"].as_str().expect("a key");
    let ledger =
        server.admin.get(&format!("/v1/api-keys/{}", replacement["api_key_id"].as_str().expect("an id"))).json();
    assert_eq!((&ledger["rerolled_from"], &ledger["name"]), (&first["api_key_id"], &json!("old")));
    let migrated =
        || deployment.run(&["keys", "migrate", "--realm", "live", "--json"]).ok().json()["realms"][0].clone();
    server.until("the use of the old key", |_| migrated()["used"] == 1);
    let expected = json!({"realm": "live", "imported": 3, "active": 3, "used": 1, "replaced": 1, "taken_over": 0, "still_in_use": 1});
    assert_eq!(migrated(), expected);
    let retire = || {
        deployment.run(&["keys", "migrate", "--realm", "live", "--retire", "--yes", "--json"]).ok().json()["retired"]
            .clone()
    };
    assert_eq!(retire(), 0, "nobody uses the new one yet");
    assert_eq!(verify(&server, sealed)["active"], true);
    server.until("the use of the new key", |_| migrated()["taken_over"] == 1);
    assert_eq!((retire(), retire()), (json!(1), json!(0)));
    server.until("the end of the old key", |server| verify(server, "one") == json!({"active": false}));
    assert_eq!(verify(&server, sealed)["active"], true);
    let expected = json!({"realm": "live", "imported": 3, "active": 2, "used": 1, "replaced": 1, "taken_over": 1, "still_in_use": 0});
    assert_eq!(migrated(), expected);
    drop(server);
    let server = Server::start(&deployment);
    assert!(verify(&server, "two").get("replacement").is_some());
    drop(server);
    assert_eq!(verify(&Server::start(&deployment), "two").get("replacement"), None, "once and for all");
}

#[test]
fn a_replacement_that_cannot_be_issued_spoils_no_verification() {
    let deployment = Deployment::new();
    import(&deployment, &[row(&sha256(KEY), json!({"scopes": ["x"]}))], &["--scheme", "sha256"]).ok();
    deployment.configure("[realms.live]", "[realms.live]\nreplace_imported = true\nscopes = [\"a\"]");
    let server = Server::start(&deployment);
    let answer = verify(&server, KEY);
    assert_eq!((&answer["active"], answer.get("replacement")), (&json!(true), None));
    assert!(server.stop().contains("replacement"), "the log says why");
}
