//! Keys that are genuine, and whose seal cannot be opened where they are revoked: nobody hears that they are.

use std::fs;

use serde_json::json;

use crate::support::{deployment::Deployment, http::Answer, server::Server};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn revoke(server: &Server, deployment: &Deployment, query: &str, key: &str) -> Answer {
    let client = server.data.bearer(&deployment.admin_key);
    client.request("POST", &format!("/v1/revoke{query}"), &[FORM], &format!("token={key}"))
}

fn ended_by_itself(server: &Server, key: &str) -> u16 {
    server.data.request("POST", "/v1/self-revoke", &[("x-api-key", key)], "").status
}

/// The answer says that nothing was revoked, why, and by which id it can be.
fn was_not_told(answer: &Answer, key: &str, why: &str) {
    assert_eq!((answer.status, answer.problem().as_str()), (503, "could-not-tell"), "{}", answer.body);
    assert_eq!(answer.json()["error"], "temporarily_unavailable");
    let (detail, id) = (answer.json()["detail"].to_string(), key.parse::<bulla::ApiKey>().expect("a key").id());
    assert!(detail.contains(why) && detail.contains(&id.to_string()) && !detail.contains(key), "{detail}");
}

fn is_active(server: &Server, realm: &str, key: &str) -> bool {
    server.data.post("/v1/verify", &json!({"api_key": key, "realms": [realm]})).json()["active"] == true
}

#[test]
fn a_key_of_a_realm_that_is_not_here_is_not_called_revoked() {
    let deployment = Deployment::new();
    let key = deployment.issue_text("test", &[]);
    deployment.configure("[realms.test]", "[realms.other]");
    let server = Server::start(&deployment);
    for query in ["", "?wait=3s"] {
        was_not_told(&revoke(&server, &deployment, query, &key), &key, "the realm `test`");
    }
    assert_eq!(ended_by_itself(&server, &key), 401);
    deployment.configure("[realms.other]", "[realms.test]");
    server.signal("HUP");
    server.until("the realm", |server| is_active(server, "test", &key));
    assert_eq!(revoke(&server, &deployment, "", &key).status, 200);
    assert!(!is_active(&server, "test", &key));
}

#[test]
fn a_key_of_a_version_that_is_not_loaded_here_is_not_called_revoked() {
    let deployment = Deployment::new();
    let node = deployment.copy();
    let server = Server::start(&node);
    // Another node issues by a new version, and this one has an old keyring.
    deployment.keyring(&["stage", "--source", &deployment.new_master(2)]);
    deployment.keyring(&["activate", "2"]);
    let key = deployment.issue_text("live", &[]);
    was_not_told(&revoke(&server, &node, "?wait=3s", &key), &key, "version 2, which is not in this server's keyring");
    assert_eq!(ended_by_itself(&server, &key), 401);
    // Now it has the new one, and not the key.
    fs::copy(deployment.file("keyring.toml"), node.file("keyring.toml.new")).expect("copied");
    fs::rename(node.file("keyring.toml.new"), node.file("keyring.toml")).expect("replaced");
    server.signal("HUP");
    let is_loaded = |server: &Server| !revoke(server, &node, "", &key).body.contains("not in this server's keyring");
    server.until("the keyring", is_loaded);
    was_not_told(&revoke(&server, &node, "", &key), &key, "the key of version 2 is not loaded");
    assert_eq!(ended_by_itself(&server, &key), 503);
    // And at last all of it.
    fs::copy(deployment.file("master-2.key"), node.file("master-2.key")).expect("copied");
    server.signal("HUP");
    server.until("the key", |server| is_active(server, "live", &key));
    assert_eq!(revoke(&server, &node, "?wait=60s", &key).status, 200);
    assert!(!is_active(&server, "live", &key));
    assert_eq!(ended_by_itself(&server, &key), 200);
}

#[test]
fn what_is_no_key_at_all_is_answered_as_the_rfc_says() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let key = deployment.issue_text("live", &[]);
    let (at, other) = (key.len() - 20, if &key[key.len() - 20..key.len() - 19] == "7" { '8' } else { '7' });
    let forged = crate::support::deployment::altered(&key, at, other);
    for none in ["nothing", "sk_live_4f9a1c20_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf", &forged] {
        assert_eq!(revoke(&server, &deployment, "", none).status, 200, "{none}");
    }
    assert!(is_active(&server, "live", &key));
}

#[test]
fn a_key_with_something_beside_it_is_revoked_or_the_client_hears_that_it_is_not() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    for (before, after) in
        [("", "%0A"), ("", "%0D%0A"), ("%20", "+"), ("Bearer+", ""), ("bearer%20", "%0A"), ("%09", "")]
    {
        let key = deployment.issue_text("live", &[]);
        let token = format!("{before}{key}{after}");
        assert_eq!(revoke(&server, &deployment, "", &token).status, 200, "{token}");
        assert!(!is_active(&server, "live", &key), "{token}");
    }
    let key = deployment.issue_text("live", &[]);
    for token in [
        &key[..key.len() - 5],
        &key[..key.len() - 1],
        &key[..40],
        &key[..27],
        &format!("%22{key}%22"),
        &format!("key%3D{key}"),
        &format!("Basic+{key}"),
        &format!("{key}+{key}"),
    ] {
        let answer = revoke(&server, &deployment, "?wait=3s", token);
        assert_eq!((answer.status, answer.problem().as_str()), (400, "bad-request"), "{token}");
        assert_eq!(answer.json()["error"], "invalid_request");
        assert!(!answer.body.contains(&key[..40]), "{}", answer.body);
    }
    assert!(is_active(&server, "live", &key));
}
