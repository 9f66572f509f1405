//! When a key was last used: in the ledger within a flush interval, and nowhere on the way of a request.

use serde_json::{Value, json};

use crate::support::{
    deployment::{Deployment, altered},
    server::Server,
};

fn shown(server: &Server, key: &str) -> Value {
    server.admin.get(&format!("/v1/api-keys/{}", &key[..27])).json()
}

#[test]
fn every_accepted_use_counts_and_no_other() {
    let deployment = Deployment::new();
    let server = Server::start_with(&deployment, &[("BULLA_LAST_USED__FLUSH_INTERVAL", "100ms")]);
    let (used, unused) = (deployment.issue_text("live", &[]), deployment.issue_text("live", &[]));
    assert_eq!(shown(&server, &used)["last_used_at"], Value::Null);
    for _ in 0..3 {
        server.data.post("/v1/verify", &json!({"api_key": used}));
    }
    server.data.request("GET", "/v1/authorize", &[("x-api-key", &used)], "");
    server.data.post("/v1/verify/batch", &json!({"api_keys": [used, used]}));
    let forged = altered(&unused, 59, if &unused[59..60] == "0" { '1' } else { '0' });
    server.data.post("/v1/verify", &json!({"api_key": forged}));
    server.data.post("/v1/verify", &json!({"api_key": unused, "scopes": ["x"]}));
    server.data.post("/v1/verify", &json!({"api_key": unused, "realms": ["test"]}));
    server.until("the flush", |server| shown(server, &used)["use_count"] == 6);
    assert!(shown(&server, &used)["last_used_at"].as_str().expect("a time").ends_with('Z'));
    assert_eq!(shown(&server, &unused)["use_count"], 0);
    assert_eq!(server.metric("bulla_uses_dropped"), 0);
}

#[test]
fn a_stop_writes_down_what_is_left_and_a_crash_loses_no_more_than_an_interval() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let key = deployment.issue_text("live", &[]);
    server.data.post("/v1/verify", &json!({"api_key": key}));
    server.stop();
    let server = Server::start_with(&deployment, &[("BULLA_LAST_USED__FLUSH_INTERVAL", "100ms")]);
    assert_eq!(shown(&server, &key)["use_count"], 1, "written down at the stop, long before the interval was over");
    server.data.post("/v1/verify", &json!({"api_key": key}));
    server.until("the flush", |server| shown(server, &key)["use_count"] == 2);
    server.signal("KILL");
    drop(server);
    let server = Server::start(&deployment);
    assert_eq!(shown(&server, &key)["use_count"], 2);
}

#[test]
fn uses_beyond_the_bound_are_counted_as_dropped() {
    let deployment = Deployment::new();
    let bounds = [("BULLA_LAST_USED__MAX_IDS", "2"), ("BULLA_LAST_USED__FLUSH_INTERVAL", "1h")];
    let server = Server::start_with(&deployment, &bounds);
    let keys: Vec<String> = (0..4).map(|_| deployment.issue_text("live", &[])).collect();
    // The administrator's own key takes no place: it is used, too, but not before these.
    server.data.post("/v1/verify/batch", &json!({"api_keys": keys}));
    server.until("the count", |server| server.metric("bulla_uses_dropped") == 2);
    server.stop();
    let server = Server::start(&deployment);
    let counted = keys.iter().filter(|key| shown(&server, key)["use_count"] == 1).count();
    assert_eq!(counted, 2);
}
