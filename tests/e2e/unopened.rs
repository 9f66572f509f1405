//! Keys that are genuine, and that a server cannot open or does not know yet where they are revoked: nobody hears that
//! they are.

use std::fs;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::support::{
    deployment::Deployment,
    http::Answer,
    imported::{KEY, import, row, sha256, verify},
    server::Server,
};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn revoke(server: &Server, deployment: &Deployment, query: &str, key: &str) -> Answer {
    let client = server.data.bearer(&deployment.admin_key);
    client.request("POST", &format!("/v1/revoke{query}"), &[FORM], &format!("token={key}"))
}

/// `Basic …` with this pair, as a value of a form.
fn basic(pair: &str) -> String {
    format!("Basic+{}", STANDARD.encode(pair).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"))
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
        &key[1..],
        &key[7..],
        &key[30..],
        &key[key.len() - 50..],
        &key[5..27],
        &key.replace("live_", ""),
        &format!("Bearer+{}", &key[3..]),
        &basic(&format!("x:{}", &key[3..])),
        &basic(&format!("{}:", &key[..key.len() - 3])),
    ] {
        let answer = revoke(&server, &deployment, "?wait=3s", token);
        assert_eq!((answer.status, answer.problem().as_str()), (400, "bad-request"), "{token}");
        assert_eq!(answer.json()["error"], "invalid_request");
        assert!(!answer.body.contains(&key[..40]), "{}", answer.body);
    }
    assert!(is_active(&server, "live", &key));
}

#[test]
fn a_key_in_either_half_of_basic_is_revoked_and_so_are_two() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    for one in [|key: &str| format!("x:{key}"), |key: &str| format!("{key}:"), |key: &str| key.replace('_', "%5F")] {
        let key = deployment.issue_text("live", &[]);
        assert_eq!(revoke(&server, &deployment, "", &basic(&one(&key))).status, 200, "{}", one(&key));
        assert!(!is_active(&server, "live", &key), "{}", one(&key));
    }
    let [live, test] = ["live", "test"].map(|realm| deployment.issue_text(realm, &[]));
    assert_eq!(revoke(&server, &deployment, "", &basic(&format!("{live}:{test}"))).status, 200);
    assert!(!is_active(&server, "live", &live) && !is_active(&server, "test", &test));
    for none in ["x:y", "alice:nothing", ":", ""] {
        assert_eq!(revoke(&server, &deployment, "", &basic(none)).status, 200, "{none}");
    }
}

#[test]
fn a_key_that_was_imported_a_moment_ago_is_revoked() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    for (at, how) in ["revoke", "self-revoke", "revoke Basic", "self-revoke Basic", "revoke"].into_iter().enumerate() {
        let key = format!("sk_fresh_{at}");
        import(&deployment, &[row(&sha256(&key), json!({}))], &["--scheme", "sha256"]).ok();
        let pair = format!("alice:{key}");
        let status = match how {
            "revoke" => revoke(&server, &deployment, "", &key).status,
            "revoke Basic" => revoke(&server, &deployment, "", &basic(&pair)).status,
            "self-revoke" => ended_by_itself(&server, &key),
            _ => {
                let header = format!("Basic {}", STANDARD.encode(pair));
                server.data.request("POST", "/v1/self-revoke", &[("authorization", &header)], "").status
            }
        };
        assert_eq!(status, 200, "{how}");
        assert_eq!(deployment.run_with(&["verify", "-"], &key).code, 1, "{how}");
        assert_eq!(verify(&server, &key), json!({"active": false}), "{how}");
    }
}

#[test]
fn while_imported_keys_cannot_be_read_what_is_found_is_revoked_and_nothing_is_said_to_be_no_key() {
    let deployment = Deployment::new();
    deployment.secret_file("legacy.key", "YW4gb2xkIHNlY3JldCBvZiBvdXJz\n");
    import(&deployment, &[row(&sha256(KEY), json!({}))], &["--scheme", "sha256"]).ok();
    let server = Server::start(&deployment);
    assert_eq!(verify(&server, KEY)["active"], true);
    // Another process has the secret by which the same key is imported once more, and this one has not.
    let (without, with) = ("secrets = {}", "secrets = { legacy = \"file:legacy.key\" }");
    let config = fs::read_to_string(deployment.file("bulla.toml")).expect("the configuration");
    assert!(config.contains(without), "{config}");
    fs::write(deployment.file("other.toml"), config.replace(without, with)).expect("written");
    // Of that key under the secret, made with Python's hmac.
    let again = row("c93a5153dcb034982a663dde86cb4d87cc50d504c5447f3447aa3a813b8b7990", json!({}));
    import(&deployment, &[again], &["--scheme", "hmac-sha256", "--hmac-key", "legacy", "--config", "other.toml"]).ok();
    for token in [KEY, "nothing", &basic("x:nothing"), "nothing%0A"] {
        let answer = revoke(&server, &deployment, "?wait=3s", token);
        assert_eq!((answer.status, answer.problem().as_str()), (503, "could-not-tell"), "{token}: {}", answer.body);
        assert!(answer.json()["detail"].to_string().contains("imported keys"), "{}", answer.body);
        assert!(!answer.body.contains(KEY), "{}", answer.body);
    }
    assert_eq!(verify(&server, KEY), json!({"active": false}), "it is ended where it is known");
    assert_eq!([KEY, "nothing"].map(|text| ended_by_itself(&server, text)), [503, 503]);
    let sealed = deployment.issue_text("live", &[]);
    assert_eq!(
        revoke(&server, &deployment, "", &sealed).status,
        200,
        "a key of this server's own is known by its seal"
    );
    deployment.configure(without, with);
    server.signal("HUP");
    server.until("the secret", |server| revoke(server, &deployment, "", KEY).status == 200);
    assert_eq!([KEY, "nothing"].map(|text| ended_by_itself(&server, text)), [200, 401]);
    assert_eq!(verify(&server, KEY), json!({"active": false}));
    let listed = deployment.run(&["keys", "list", "--realm", "live", "--json"]).ok().json();
    let keys = listed["api_keys"].as_array().expect("keys");
    assert!(keys.len() == 3 && keys.iter().all(|key| key["state"] == "revoked"), "{listed}");
}
