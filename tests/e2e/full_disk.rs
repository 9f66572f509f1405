//! A store that cannot be written: changes are refused with a reason, and verifying goes on.

use serde_json::{Value, json};

use crate::support::{
    deployment::{APP, Deployment},
    mount::Mount,
    server::Server,
};

fn active(server: &Server, key: &str) -> bool {
    server.data.post("/v1/verify", &json!({"api_key": key})).json()["active"] == true
}

/// Every kind of change, each answered by a 503 that says `told`.
fn refused(server: &Server, id: &str, told: &str) {
    for (method, path, body) in [
        ("POST", "/v1/api-keys".to_owned(), json!({"realm": "live", "app_id": APP}).to_string()),
        ("DELETE", format!("/v1/api-keys/{id}"), String::new()),
        ("POST", format!("/v1/api-keys/{id}/suspend"), String::new()),
        ("POST", format!("/v1/api-keys/{id}/reroll"), String::new()),
    ] {
        let answer = server.admin.request(method, &path, &[("content-type", "application/json")], &body);
        assert_eq!((answer.status, answer.problem().as_str()), (503, "unavailable"), "{path}: {}", answer.body);
        assert!(answer.body.contains(told), "{path}: {}", answer.body);
    }
}

fn degraded(server: &Server, what: &str) -> bool {
    let ready = server.data.get("/readyz");
    let all: Value = ready.json()["degraded"].clone();
    ready.status == 200 && all.as_array().expect("a list").iter().any(|one| one["what"] == what)
}

#[test]
fn a_full_disk_refuses_changes_and_goes_on_verifying() {
    let mount = Mount::new("8m");
    let deployment = Deployment::on(&mount);
    let server = Server::start_with(&deployment, &[("BULLA_LAST_USED__FLUSH_INTERVAL", "100ms")]);
    let (key, gone) = (deployment.issue_text("live", &[]), deployment.issue_text("live", &[]));
    let id = &key[..27];
    assert_eq!(server.admin.request("DELETE", &format!("/v1/api-keys/{}", &gone[..27]), &[], "").status, 200);
    mount.fill();
    refused(&server, id, "the disk is full");
    let keyring = server.admin.post("/v1/keyring/versions/1/compromise", &json!({}));
    assert_eq!((keyring.status, keyring.problem().as_str()), (503, "unavailable"), "{}", keyring.body);
    assert!(active(&server, &key) && !active(&server, &gone));
    server.until("the trouble to show", |server| degraded(server, "last use"));
    mount.make_room();
    assert_eq!(server.admin.request("DELETE", &format!("/v1/api-keys/{id}"), &[], "").status, 200);
    assert!(!active(&server, &key));
    server.until("the end of the trouble", |server| !degraded(server, "last use"));
}

#[test]
fn a_read_only_store_refuses_changes_and_goes_on_verifying() {
    let mount = Mount::new("16m");
    let deployment = Deployment::on(&mount);
    let (key, gone) = (deployment.issue_text("live", &[]), deployment.issue_text("live", &[]));
    deployment.run(&["revoke", &gone[..27]]).ok();
    mount.remount("ro");
    let server = Server::start(&deployment);
    refused(&server, &key[..27], "read-only");
    let keyring = server.admin.post("/v1/keyring/versions/1/compromise", &json!({}));
    assert_eq!((keyring.status, keyring.problem().as_str()), (409, "read-only-keyring"));
    assert!(active(&server, &key) && !active(&server, &gone));
    let by_hand = deployment.run(&["revoke", &key[..27]]);
    assert!(by_hand.code == 2 && by_hand.err.contains("read-only"), "{}", by_hand.err);
    assert_eq!(deployment.run(&["verify", &key]).code, 0, "the command verifies, too");
    mount.remount("rw");
    deployment.run(&["keys", "suspend", &key[..27]]).ok();
    server.until("what another process wrote", |server| !active(server, &key));
    deployment.run(&["keys", "resume", &key[..27]]).ok();
    server.until("what another process wrote", |server| active(server, &key));
    assert_eq!(server.admin.request("DELETE", &format!("/v1/api-keys/{}", &key[..27]), &[], "").status, 200);
    assert!(!active(&server, &key));
}
