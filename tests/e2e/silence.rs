//! No API key is stored or logged anywhere, whatever a busy server is shown; and neither it nor another secret is in
//! any text that is shown, wherever one is put by mistake.

mod command;
mod files;
mod http;
mod places;

use serde_json::json;

use self::places::Places;

use crate::support::{
    deployment::{APP, Deployment, altered},
    server::Server,
};

#[test]
fn keys_appear_in_no_log_store_or_metric() {
    let deployment = Deployment::new();
    let server = Server::start_with(&deployment, &[("BULLA_LOG__LEVEL", "trace")]);
    let mut keys = vec![deployment.admin_key.clone()];
    for at in 0..20 {
        let issued =
            server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP, "name": format!("{at}")}));
        let key = issued.json()["api_key"].as_str().expect("a key").to_owned();
        let forged = altered(&key, 59, if &key[59..60] == "0" { '1' } else { '0' });
        for shown in [&key, &forged] {
            server.data.post("/v1/verify", &json!({"api_key": shown}));
            server.data.post("/v1/verify", &json!({"api_key": shown, "scopes": ["x"]}));
            server.data.post("/v1/verify/batch", &json!({"api_keys": [shown]}));
            server.data.request("GET", "/v1/authorize", &[("x-api-key", shown)], "");
            server.data.request("GET", &format!("/v1/authorize/{shown}?k={shown}"), &[("x-api-key", shown)], "");
            server.data.request("GET", &format!("/{shown}"), &[], "");
            server.data.request(
                "POST",
                "/v1/verify",
                &[("content-type", "application/json")],
                &format!("{{\"{shown}\":1"),
            );
            server.admin.bearer(shown).get("/v1/keyring");
        }
        keys.extend([key, forged]);
    }
    for at in [1, 3, 5, 7] {
        let (key, id) = (keys[at].clone(), keys[at][..27].to_owned());
        let path = format!("/v1/api-keys/{id}");
        let rerolled = server.admin.post(&format!("{path}/reroll"), &json!({"grace": "0s"})).json();
        keys.push(rerolled["api_key"].as_str().expect("a key").to_owned());
        let new = keys.last().expect("the new key").clone();
        let noted = json!({"realm": "live", "app_id": APP, "name": format!("old: {new}")});
        for refused in [
            server.admin.request("DELETE", &format!("/v1/api-keys/{}?reason=see+{new}.", &new[..27]), &[], ""),
            server.admin.post("/v1/api-keys", &noted),
        ] {
            assert_eq!(refused.status, 400, "{}", refused.body);
            assert!(refused.body.contains("holds an API key"), "{}", refused.body);
        }
        for broken in [&new[1..], &new[5..], &format!("x{}", &new[1..]), &format!("see \"{}\"", &new[2..])] {
            let refused = server.admin.post(&format!("{path}/suspend"), &json!({"reason": broken}));
            assert_eq!(refused.status, 400, "{}", refused.body);
            assert!(refused.body.contains("a piece of an API key"), "{}", refused.body);
        }
        server.data.request("POST", "/v1/self-revoke", &[("x-api-key", &new)], "");
        for (method, path) in [
            ("POST", format!("{path}/suspend")),
            ("DELETE", format!("{path}?reason={key}")),
            ("DELETE", format!("/v1/api-keys/{key}")),
            ("POST", format!("/v1/api-keys/{key}/reroll")),
            ("GET", format!("/v1/api-keys?cursor={key}")),
            ("GET", format!("/v1/audit?after={key}")),
        ] {
            server.admin.request(method, &path, &[], "");
        }
        server.admin.post("/v1/revocations", &json!({"ids": [key]}));
        server.admin.post("/v1/revocations", &json!({ &key[..]: 1 }));
        server.admin.bearer(&key).post("/v1/revocations", &json!({"ids": [id]}));
        let once = [("idempotency-key", "k"), ("content-type", "application/json")];
        let body = json!({"api_keys": [{"realm": "live", "app_id": APP, "expires_in": "1d"}]}).to_string();
        if let Some(issued) =
            server.admin.request("POST", "/v1/api-keys/batch", &once, &body).json()["api_keys"].as_array()
        {
            keys.extend(issued.iter().map(|key| key["api_key"].as_str().expect("a key").to_owned()));
        }
    }
    let mut places = Places::default();
    places.add("feed", server.data.bearer(&deployment.admin_key).get("/v1/revocations").body);
    places.add_service(&deployment, server);
    let log = places.get("log");
    assert!(log.contains("not accepted") && log.contains("issued"), "the log does speak: {log}");
    let audit = places.get("audit");
    assert!(audit.contains("admin.refused") && audit.contains("api_key.self_revoke"), "the audit does speak: {audit}");
    keys.iter().for_each(|key| places.hold_no_key(key));
}
