//! No API key is stored or logged anywhere, whatever a busy server is shown.

use serde_json::json;

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
    let metrics = server.metrics.get("/metrics").body;
    let mut places = vec![("metrics".to_owned(), metrics.into_bytes())];
    for entry in std::fs::read_dir(deployment.path()).expect("the folder") {
        let path = entry.expect("an entry").path();
        places.push((path.display().to_string(), std::fs::read(&path).expect("its content")));
    }
    assert!(places.iter().any(|(name, _)| name.ends_with("bulla.db-wal")), "the write-ahead log is among them");
    let log = server.stop();
    assert!(log.contains("not accepted") && log.contains("issued"), "the log does speak: {log}");
    places.push(("log".to_owned(), log.into_bytes()));
    for key in &keys {
        // The id is public; what follows it is not.
        let secret = &key[key.rfind('_').expect("a realm") + 23..];
        for (name, content) in &places {
            let found = content.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{name} holds an API key");
        }
    }
}
