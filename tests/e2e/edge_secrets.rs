//! An edge that asks nodes about secret halves: what it remembers of one ends with it.

use std::{thread, time::Instant};

use serde_json::{Value, json};

use super::edges::{at, could_not_tell, id, is_active, is_refused, ready, revoke};
use crate::support::{
    deployment::{APP, Deployment, altered},
    edge::Edge,
    http::{Answer, Http},
    postgres::Postgres,
    server::Server,
};

/// The node's place among the changes of secret halves, and which ones were changed.
const CHANGES: &str = "/v1/secret-halves";

/// An edge remembers a right secret half for longer than any test takes.
const FOR_LONG: [(&str, &str); 1] = [("BULLA_SECRET__CACHE_TTL", "1h")];

/// Where nobody listens.
const NOBODY: &str = "http://127.0.0.1:1";

/// An edge of these nodes, which may ask them.
fn asking(deployment: &Deployment, nodes: &[&str]) -> Edge {
    let folder = Edge::new(deployment, nodes, &["live"]);
    folder.configure("ask_secrets = false", "ask_secrets = true");
    folder
}

/// Issues a key with a secret half.
fn issue(node: &Server, more: &Value) -> String {
    let mut body = json!({"realm": "live", "app_id": APP, "secret": true});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    node.admin.post("/v1/api-keys", &body).json()["api_key"].as_str().expect("a key").to_owned()
}

/// Rerolls the secret half, and returns the key with the new one.
fn reroll(node: &Server, key: &str, grace: &str) -> String {
    let answer = node.admin.post(&format!("/v1/api-keys/{}/reroll-secret", id(key)), &json!({"grace": grace}));
    assert_eq!(answer.status, 201, "{}", answer.body);
    format!("{}{}", &key[..key.len() - 51], answer.json()["ending"].as_str().expect("an ending"))
}

fn hits(edge: &Server) -> u64 {
    edge.metric("bulla_secret_cache_hits_total")
}

/// Asks until the edge answers by what it remembers.
fn remember(edge: &Server, key: &str) {
    let before = hits(edge);
    edge.until("that it is remembered", |edge| is_active(edge, key) && hits(edge) > before);
}

/// The ids of an answer's changes.
fn changed(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let changes = answer.json()["changed"].as_array().expect("all changes are known").clone();
    changes.iter().map(|change| change["api_key_id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn an_edge_that_may_asks_a_node_about_secret_halves() {
    let deployment = Deployment::new();
    let node = Server::start(&deployment);
    let folder = asking(&deployment, &[&at(&node.data.address)]);
    let edge = folder.start();
    edge.until("the first message", |edge| ready(edge).0);
    let secret = issue(&node, &json!({}));
    remember(&edge, &secret);
    let place = secret.len() - 20;
    let other = if secret[place..].starts_with('7') { '8' } else { '7' };
    edge.until("a wrong half", |edge| is_refused(edge, &altered(&secret, place, other)));
    // A node hears what the caller expects, too; scopes are judged here.
    let bound = issue(&node, &json!({"audience": "shop", "scopes": ["a"]}));
    let ask = |audience: &str, scope: &str| {
        let body = json!({"api_key": bound, "audience": audience, "scopes": [scope]});
        edge.data.post("/v1/verify", &body).json()
    };
    edge.until("the node's answer", |_| ask("shop", "a")["active"] == true);
    assert_eq!(ask("shop", "b")["error"], "insufficient_scope");
    assert_eq!(ask("bank", "a")["active"], false);
    let unseen = issue(&node, &json!({}));
    node.signal("KILL");
    assert!(is_active(&edge, &secret), "what was right is remembered");
    assert!(could_not_tell(&edge, &unseen));
    // Answers that came too late count, too.
    assert!(edge.metric("bulla_secret_unchecked_total{reason=\"node\"}") >= 1);
}

#[test]
fn a_secret_half_that_is_replaced_at_a_node_ends_at_an_edge_that_remembers_it() {
    let deployment = Deployment::new();
    let node = Server::start(&deployment);
    // Nobody is at the first address: the edge asks the other one, and hears of changes there.
    let folder = asking(&deployment, &[NOBODY, &at(&node.data.address)]);
    let edge = folder.start_with(&FOR_LONG);
    edge.until("the first message", |edge| ready(edge).0);
    let (mut key, other) = (issue(&node, &json!({})), issue(&node, &json!({})));
    remember(&edge, &other);
    let mut took = Vec::new();
    for _ in 0..5 {
        remember(&edge, &key);
        let new = reroll(&node, &key, "0s");
        let begun = Instant::now();
        edge.until("the end of the old one", |edge| is_refused(edge, &key));
        took.push(begun.elapsed());
        edge.until("the new one", |edge| is_active(edge, &new));
        key = new;
    }
    println!("replaced at the node, and ended at the edge after {took:?}");
    let before = hits(&edge);
    assert!(is_active(&edge, &other));
    assert_eq!(hits(&edge), before + 1, "nothing else was forgotten");

    // The end of a grace period comes to the edge as well, and the new one lives on.
    remember(&edge, &key);
    let new = reroll(&node, &key, "2s");
    remember(&edge, &new);
    edge.until("the end of the grace period", |edge| is_refused(edge, &key));
    assert!(is_active(&edge, &new));
    assert!(!edge.stop().contains("panicked"));
}

#[test]
fn an_edge_of_two_nodes_believes_neither_about_a_secret_half_that_ended() {
    let database = Postgres::shared().new_database();
    let deployment = Deployment::on_store(&Postgres::shared().url(&database));
    let nodes = [(); 2].map(|()| Server::start(&deployment));
    let addresses = [at(&nodes[0].data.address), at(&nodes[1].data.address)];
    let folder = asking(&deployment, &[&addresses[0], &addresses[1]]);
    let edge = folder.start_with(&FOR_LONG);
    edge.until("the first message", |edge| ready(edge).0);
    let mut key = issue(&nodes[0], &json!({}));
    for round in 0..6 {
        // The first node remembers it, too, and answers the edge by that.
        remember(&edge, &key);
        let new = reroll(&nodes[(round + 1) % 2], &key, "0s");
        edge.until("the end of the old one", |edge| is_refused(edge, &key));
        remember(&edge, &new);
        assert!(is_refused(&edge, &key), "for good");
        key = new;
    }
    // It hears of changes at the other one.
    remember(&edge, &key);
    nodes[0].signal("KILL");
    let new = reroll(&nodes[1], &key, "0s");
    edge.until("the end of the old one", |edge| is_refused(edge, &key));
    edge.until("the new one", |edge| is_active(edge, &new));
}

#[test]
fn a_node_says_which_secret_halves_were_changed_to_those_that_may_follow() {
    let deployment = Deployment::new();
    let node = Server::start(&deployment);
    let credential = deployment.issue_text("bulla", &["--scope", "feed"]);
    let feed = node.data.bearer(&credential);
    let first = feed.get(CHANGES).json();
    assert!(first["changed"].is_null() && first["log_id"].is_string(), "{first}");
    let behind = |place: &Value, more: &str| feed.get(&format!("{CHANGES}?after={place}{more}"));
    let key = issue(&node, &json!({}));
    node.until("the new key", |_| changed(&behind(&first["seq"], "")).contains(&id(&key)));

    // A change is told once it is made, to those of its realm.
    let place = feed.get(CHANGES).json()["seq"].clone();
    let new = thread::scope(|scope| {
        let waiting = scope.spawn(|| behind(&place, "&wait=10s"));
        let new = reroll(&node, &key, "1h");
        assert_eq!(changed(&waiting.join().expect("an answer")), [id(&key)]);
        new
    });
    assert_eq!(changed(&behind(&place, "&realm=live")), [id(&key)]);
    assert!(changed(&behind(&place, "&realm=test")).is_empty());
    let end = feed.get(CHANGES).json()["seq"].clone();
    assert!(changed(&behind(&end, "")).is_empty(), "nothing new");

    // What it does not know it does not pass off as nothing.
    let unknown = behind(&json!(0), "");
    assert!(unknown.status == 200 && unknown.json()["changed"].is_null(), "{}", unknown.body);
    assert_eq!(behind(&json!(1_000_000), "").problem(), "ahead-of-log");

    // By its place a right one is remembered, until it ends.
    let check = |key: &str| feed.post(CHANGES, &json!({"api_key": key})).json();
    let told = check(&new);
    assert_eq!((&told["active"], &told["log_id"], &told["seq"]), (&json!(true), &first["log_id"], &end), "{told}");
    assert!(told["ends_in"].is_null(), "{told}");
    let old = check(&key);
    assert!(old["active"] == true && old["ends_in"].as_u64().is_some_and(|left| left <= 3_600), "{old}");
    assert_eq!(check(&deployment.issue_text("live", &[])), json!({"active": true}), "without a secret half");
    let newest = reroll(&node, &new, "0s");
    assert_eq!((check(&key), check(&new)), (json!({"active": false}), json!({"active": false})));
    assert_eq!(check(&newest)["active"], true);

    // Nobody else is told.
    let post = |http: &Http| http.post(CHANGES, &json!({"api_key": newest})).status;
    let reader = node.data.bearer(&deployment.issue_text("bulla", &["--scope", "read"]));
    assert_eq!((node.data.get(CHANGES).status, post(&node.data)), (401, 401));
    assert_eq!((reader.get(CHANGES).status, post(&reader)), (403, 403));
}

#[test]
fn a_wait_for_changed_secret_halves_ends_with_the_api_key_that_opened_it() {
    let deployment = Deployment::new();
    let node = Server::start(&deployment);
    let start = node.data.bearer(&deployment.admin_key).get(CHANGES).json()["seq"].clone();
    let credential = deployment.issue_text("bulla", &["--scope", "feed"]);
    let feed = node.data.bearer(&credential);
    // Another process issued it: no other change is still to come.
    let known = |_: &Server| changed(&feed.get(&format!("{CHANGES}?after={start}"))).contains(&id(&credential));
    node.until("the newest key", known);
    let place = feed.get(CHANGES).json()["seq"].clone();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| feed.get(&format!("{CHANGES}?after={place}&wait=10s")).status);
        revoke(&node, &credential);
        assert_eq!(waiting.join().expect("an answer"), 401);
    });
}
