//! An edge beside a node: it verifies without store and keyring, hears of revocations, and goes on alone for as long as
//! it may.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    authority::{Authority, Issued, replace},
    command::{bulla, finish},
    deployment::{APP, Deployment},
    edge::Edge,
    envoy::{Envoy, Question},
    http::Http,
    process,
    server::Server,
};

/// A node whose messages count for two seconds.
pub(super) const OFTEN: [(&str, &str); 1] = [("BULLA_FEED__VALID_FOR", "2s")];

/// Less than an edge waits at a node for an answer: what takes no longer was told to it at once.
const AT_ONCE: Duration = Duration::from_secs(20);

pub(super) fn status(server: &Server, key: &str) -> (u16, Value) {
    let answer = server.data.post("/v1/verify", &json!({"api_key": key}));
    let active = if answer.status == 200 { answer.json()["active"].clone() } else { Value::Null };
    (answer.status, active)
}

pub(super) fn is_active(server: &Server, key: &str) -> bool {
    status(server, key) == (200, json!(true))
}

pub(super) fn is_refused(server: &Server, key: &str) -> bool {
    status(server, key) == (200, json!(false))
}

pub(super) fn could_not_tell(server: &Server, key: &str) -> bool {
    status(server, key).0 == 503
}

/// Whether the edge is ready, and what it says is wrong.
pub(super) fn ready(server: &Server) -> (bool, String) {
    let answer = server.data.get("/readyz");
    let shown = answer.json();
    assert_eq!(shown["ready"] == true, answer.status == 200, "{shown}");
    (answer.status == 200, shown["degraded"].to_string())
}

pub(super) fn id(key: &str) -> String {
    key.parse::<bulla::ApiKey>().expect("an API key").id().to_string()
}

pub(super) fn revoke(node: &Server, key: &str) {
    assert_eq!(node.admin.request("DELETE", &format!("/v1/api-keys/{}", id(key)), &[], "").status, 200);
}

/// An address for a node that comes back to it.
pub(super) fn free_address() -> String {
    format!("127.0.0.1:{}", process::free_port())
}

pub(super) fn at(address: &str) -> String {
    format!("http://{address}")
}

#[test]
fn what_is_revoked_at_a_node_is_refused_at_an_edge_at_once() {
    let deployment = Deployment::new();
    let node = Server::start(&deployment);
    let folder = Edge::new(&deployment, &[&at(&node.data.address)], &["live"]);
    let edge = folder.start();
    let keys: Vec<String> = (0..6).map(|_| deployment.issue_text("live", &[])).collect();
    edge.until("the first message", |edge| ready(edge) == (true, "[]".to_owned()));
    assert!(keys.iter().all(|key| is_active(&edge, key)));
    let mut took = Vec::new();
    for key in &keys[..5] {
        let begun = Instant::now();
        revoke(&node, key);
        edge.until("the revocation", |edge| is_refused(edge, key));
        took.push(begun.elapsed());
    }
    println!("revoked at the node and refused at the edge after {took:?}");
    assert!(took.iter().all(|took| *took < AT_ONCE), "{took:?}");
    assert!(is_active(&edge, &keys[5]));

    // A suspension comes and goes, and a rule takes everything from before.
    let path = format!("/v1/api-keys/{}", id(&keys[5]));
    assert_eq!(node.admin.post(&format!("{path}/suspend"), &json!({})).status, 200);
    edge.until("the suspension", |edge| is_refused(edge, &keys[5]));
    assert_eq!(node.admin.post(&format!("{path}/resume"), &json!({})).status, 200);
    edge.until("its end", |edge| is_active(edge, &keys[5]));
    let rule = json!({"app_id": APP, "realm": "live"});
    assert_eq!(node.admin.post("/v1/revocations", &rule).status, 200);
    edge.until("the rule", |edge| is_refused(edge, &keys[5]));
    let seq = edge.metric("bulla_follow_seq");
    assert!(seq >= 8 && edge.metric("bulla_follow_age_seconds") < 60, "{seq}");
    let log = edge.stop();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn an_edge_verifies_and_does_nothing_else() {
    let deployment = Deployment::new();
    let node = Server::start(&deployment);
    let folder = Edge::new(&deployment, &[&at(&node.data.address)], &["live"]);
    let made = folder.run(&["edge", "caller", "gateway", "--json"]).ok().json();
    folder.configure("[follow.callers]\n", &format!("[follow.callers]\n{}\n", made["line"].as_str().expect("a line")));
    let edge = folder.start();
    edge.until("the first message", |edge| ready(edge) == (true, "[]".to_owned()));
    assert_eq!(edge.admin.address, "nothing", "there is no admin plane");
    let key = deployment.issue_text("live", &["--scope", "orders.read"]);

    // Each way of verifying.
    assert!(is_active(&edge, &key));
    let batch = edge.data.post("/v1/verify/batch", &json!({"api_keys": [key, "nothing"]})).json();
    assert_eq!([&batch["results"][0]["active"], &batch["results"][1]["active"]], [true, false]);
    let authorized = edge.data.request("GET", "/v1/authorize/scope:orders.read", &[("x-api-key", &key)], "");
    assert_eq!((authorized.status, authorized.header("x-bulla-app-id")), (200, Some(APP)));
    let envoy = Envoy::new(&edge.data);
    assert_eq!(envoy.ask(Question::default().headers(&[("x-api-key", &key)])).set("x-bulla-app-id"), APP);

    // Introspection is for those whom the configuration lists: there is no key of the administrators' realm here.
    let introspect = |caller: Option<&str>| {
        let header = caller.map(|caller| format!("Bearer {caller}"));
        let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
        headers.extend(header.as_deref().map(|header| ("authorization", header)));
        edge.data.request("POST", "/v1/introspect", &headers, &format!("token={key}"))
    };
    let token = made["token"].as_str().expect("a token");
    assert_eq!(introspect(Some(token)).json()["active"], true);
    for caller in [None, Some("caller-other"), Some(&*deployment.admin_key), Some(&token[..token.len() - 1])] {
        assert_eq!(introspect(caller).status, 401, "{caller:?}");
    }

    // A key with a secret half needs hashes that an edge has not. Wrong ones are refused all the same.
    let secret = node.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP, "secret": true})).json();
    let secret = secret["api_key"].as_str().expect("a key").to_owned();
    assert!(could_not_tell(&edge, &secret) && is_active(&node, &secret));
    assert_eq!(edge.metric("bulla_secret_unchecked_total{reason=\"edge\"}"), 1);
    revoke(&node, &secret);
    edge.until("its revocation", |edge| is_refused(edge, &secret));

    // Neither another realm's keys, nor administrators'.
    assert!(is_refused(&edge, &deployment.issue_text("test", &[])) && is_refused(&edge, &deployment.admin_key));
    let bare = Http::new(&edge.data.address);
    for path in ["/v1/revocations?after=0", "/v1/self-revoke", "/v1/api-keys", "/v1/keyring"] {
        assert_eq!(bare.bearer(&deployment.admin_key).get(path).status, 404, "{path}");
    }
}

#[test]
fn a_realm_that_requires_secret_halves_accepts_no_key_without_at_an_edge() {
    let deployment = Deployment::new();
    let node = Server::start(&deployment);
    let plain = deployment.issue_text("live", &[]);
    deployment.configure("[realms.live]\n", "[realms.live]\nsecret = \"required\"\n");
    let folder = Edge::new(&deployment, &[&at(&node.data.address)], &["live"]);
    let edge = folder.start();
    edge.until("the first message", |edge| ready(edge).0);
    assert!(is_refused(&edge, &plain));
}

#[test]
fn an_edge_goes_on_alone_for_as_long_as_it_may() {
    let deployment = Deployment::new();
    let address = free_address();
    let node = Server::start_on(&address, &deployment, &OFTEN);
    let folder = Edge::new(&deployment, &[&at(&address)], &["live", "test"]);
    folder.configure("max_stale = \"1h\"", "max_stale = \"20s\"");
    folder.configure("[follow.callers]", "[follow.realms.test]\non_stale = \"serve\"\n\n[follow.callers]");
    let edge = folder.start();
    let [live, test] = ["live", "test"].map(|realm| deployment.issue_text(realm, &[]));
    let of_test = |edge: &Server| edge.data.post("/v1/verify", &json!({"api_key": test, "realms": ["test"]}));
    edge.until("the first message", |edge| ready(edge) == (true, "[]".to_owned()));
    let revoked = deployment.issue_text("live", &[]);
    revoke(&node, &revoked);
    edge.until("the revocation", |edge| is_refused(edge, &revoked));

    let killed = Instant::now();
    node.signal("KILL");
    drop(node);
    edge.until("that it is overdue", |edge| {
        let (is_ready, told) = ready(edge);
        is_ready && told.contains("no feed message since") && told.contains("follow source")
    });
    assert!(is_active(&edge, &live) && is_refused(&edge, &revoked), "it serves, and says so");
    edge.until("the end of max_stale", |edge| could_not_tell(edge, &live));
    let alone = killed.elapsed();
    println!("alone for {alone:?}");
    assert!(alone > Duration::from_secs(10), "{alone:?}");
    assert!(is_refused(&edge, &revoked), "what is refused anyway is refused");
    assert_eq!(of_test(&edge).json()["active"], true, "this realm's keys are served");
    assert!(ready(&edge).0, "it still answers for one realm");

    let _node = Server::start_on(&address, &deployment, &OFTEN);
    edge.until("that it is current again", |edge| ready(edge) == (true, "[]".to_owned()) && is_active(edge, &live));
}

#[test]
fn of_several_sources_one_that_answers_is_enough_and_the_others_show() {
    let deployment = Deployment::new();
    let (first, second) = (Server::start(&deployment), Server::start(&deployment));
    let sources = [at(&first.data.address), at(&free_address()), at(&second.data.address)];
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let folder = Edge::new(&deployment, &sources, &["live"]);
    let edge = folder.start();
    edge.until("the first message", |edge| ready(edge).0);
    edge.until("that one fails", |edge| ready(edge).1.contains(sources[1]));
    let keys: Vec<String> = (0..2).map(|_| deployment.issue_text("live", &[])).collect();
    revoke(&first, &keys[0]);
    edge.until("the revocation", |edge| is_refused(edge, &keys[0]));
    first.signal("KILL");
    let begun = Instant::now();
    revoke(&second, &keys[1]);
    edge.until("another one", |edge| is_refused(edge, &keys[1]));
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    edge.until("that two fail", |edge| edge.metric("bulla_follow_sources_failing") == 2);
    assert!(!ready(&edge).1.contains("\"follow\""), "it is not overdue");
}

#[test]
fn a_published_feed_is_followed_like_a_node() {
    let deployment = Deployment::new();
    let published = tempfile::tempdir().expect("a folder");
    let path = published.path().to_str().expect("UTF-8");
    let revoked = deployment.issue_text("live", &[]);
    let good = deployment.issue_text("live", &[]);
    deployment.run(&["revoke", &id(&revoked)]).ok();
    deployment.run(&["feed", "publish", "--once", path]).ok();
    let folder = Edge::new(&deployment, &[&format!("file:{path}/head")], &["live"]);
    std::fs::remove_file(folder.file("feed-api.key")).expect("it needs none");
    let edge = folder.start();
    edge.until("the files", |edge| ready(edge) == (true, "[]".to_owned()));
    assert!(is_active(&edge, &good) && is_refused(&edge, &revoked));
    deployment.run(&["revoke", &id(&good)]).ok();
    deployment.run(&["feed", "publish", "--once", path]).ok();
    edge.until("the next ones", |edge| is_refused(edge, &good));
}

#[test]
fn an_edge_reports_its_place_and_the_uses_of_keys() {
    let deployment = Deployment::new();
    let node = Server::start_with(&deployment, &[("BULLA_LAST_USED__FLUSH_INTERVAL", "100ms")]);
    let folder = Edge::new(&deployment, &[&at(&node.data.address)], &["live"]);
    folder.configure("# name = \"edge-1\"", "name = \"edge-1\"");
    let edge = folder.start_with(&[("BULLA_LAST_USED__FLUSH_INTERVAL", "100ms")]);
    let shown = || {
        let fleet = deployment.run(&["fleet", "--json"]).ok().json().to_string();
        fleet.contains("\"edge-1\"") && fleet.contains("\"edge\"")
    };
    edge.until("that it is registered", |_| shown());
    let key = deployment.issue_text("live", &[]);
    edge.until("the first message", |edge| ready(edge).0);
    assert!((0..3).all(|_| is_active(&edge, &key)));
    edge.until("the uses", |_| node.admin.get(&format!("/v1/api-keys/{}", id(&key))).json()["use_count"] == 3);

    // A revocation that waits hears of the edge, and knows when it is gone.
    let url = at(&node.admin.address);
    deployment.secret_file("admin-api.key", &deployment.admin_key);
    let revoke = |key: &str, wait: &str| {
        let mut command = bulla(deployment.path());
        command.args(["revoke", &id(key), &format!("--wait={wait}"), "--server", &url]);
        finish(command.env("BULLA_ADMIN_KEY_FILE", deployment.file("admin-api.key")), "")
    };
    let other = deployment.issue_text("live", &[]);
    let ran = revoke(&key, "60s");
    assert_eq!(ran.code, 0, "{} {}", ran.out, ran.err);
    assert!(is_refused(&edge, &key), "it is in force there when the command returns");
    edge.signal("KILL");
    let ran = revoke(&other, "2s");
    assert!(ran.code == 3 && format!("{}{}", ran.out, ran.err).contains("edge-1"), "{} {}", ran.out, ran.err);
}

#[test]
fn a_client_certificate_may_introspect_at_an_edge() {
    let (servers, clients, deployment) = (Authority::new("servers"), Authority::new("clients"), Deployment::new());
    let node = Server::start(&deployment);
    let folder = Edge::new(&deployment, &[&at(&node.data.address)], &["live"]);
    servers.server(&["127.0.0.1", "localhost"], 4000, &folder.file("tls"));
    replace(&folder.file("clients.crt"), &clients.pem());
    let tls = "[data.tls]\ncertificate = \"tls.crt\"\nkey = \"tls.key\"\nclient_ca = \"clients.crt\"\n[data.tls.clients]\n\
        \"gateway.example\" = [\"read\"]\n\"other.example\" = [\"revoke\"]\n";
    folder.configure("[data]\nlisten = \"127.0.0.1:8181\"\n", &format!("[data]\nlisten = \"127.0.0.1:8181\"\n{tls}"));
    let edge = folder.start();
    edge.until("the first message", |edge| edge.data.over_tls(&servers, None).get("/readyz").status == 200);
    let form = format!("token={}", deployment.issue_text("live", &[]));
    let introspect = |client: Option<&Issued>| {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        edge.data.over_tls(&servers, client).request("POST", "/v1/introspect", &headers, &form)
    };
    let gateway = introspect(Some(&clients.client("gateway.example")));
    assert_eq!((gateway.status, &gateway.json()["active"]), (200, &json!(true)), "{}", gateway.body);
    assert_eq!(introspect(Some(&clients.client("other.example"))).status, 403, "its scopes do not allow it");
    for client in [None, Some(clients.client("stranger.example"))] {
        let refused = introspect(client.as_ref());
        assert!([401, 403].contains(&refused.status), "{}", refused.body);
    }
}
