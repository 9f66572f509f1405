//! The keys of an edge: exports that are made, swapped, outdated and renewed.

use std::time::Instant;

use serde_json::json;

use super::edges::{could_not_tell, is_active, is_refused, ready};
use crate::support::{
    command::{bulla, finish},
    deployment::{APP, Deployment},
    edge::Edge,
    server::Server,
};

fn started(deployment: &Deployment, edge: &Edge) -> (Server, Server) {
    let node = Server::start(deployment);
    edge.configure("\"https://later\"", &format!("\"http://{}\"", node.data.address));
    let edge = edge.start();
    edge.until("the first message", |edge| ready(edge) == (true, "[]".to_owned()));
    (node, edge)
}

#[test]
fn an_export_is_on_record_and_shows_nothing() {
    let deployment = Deployment::new();
    let edge = Edge::without_exports(&deployment, &["https://later"], &["live"]);
    assert_eq!(edge.run(&["edge", "recipient"]).ok().out.trim(), edge.recipient);
    let export =
        |arguments: &[&str]| deployment.run(&[&["keyring", "export", "--to", &edge.recipient], arguments].concat());
    let text = export(&["--realm", "live"]).ok().out.clone();
    assert_eq!(text.lines().count(), 2);
    let record = deployment.run(&["audit", "--json"]).ok().out.lines().last().expect("a record").to_owned();
    for part in ["\"keyring.export\"", "\"live\"", &edge.recipient, "\"versions\":[1]"] {
        assert!(record.contains(part), "{part}: {record}");
    }

    let of_administrators = export(&["--realm", "bulla"]);
    assert!(
        of_administrators.code == 2 && of_administrators.err.contains("never exported"),
        "{}",
        of_administrators.err
    );
    let unknown = export(&["--realm", "other"]);
    assert!(unknown.code == 2 && unknown.err.contains("no [realms.other]"), "{}", unknown.err);
    let file = deployment.file("live.export");
    let path = file.to_str().expect("UTF-8");
    assert_eq!(export(&["--realm", "live", "--out", path]).ok().out, "");
    let again = export(&["--realm", "live", "--out", path]);
    assert!(again.code == 2 && again.err.contains("nothing is overwritten"), "{}", again.err);
    let mistyped = deployment.run(&["keyring", "export", "--realm", "live", "--to", &edge.recipient[..58]]);
    assert!(mistyped.code == 64 && mistyped.err.contains("mistyped or cut off"), "{}", mistyped.err);
    let secret = std::fs::read_to_string(edge.file("edge.key")).expect("the key");
    let secret = secret.lines().nth(1).expect("the secret");
    let slip = deployment.run(&["keyring", "export", "--realm", "live", "--to", secret]);
    assert!(slip.code == 64 && slip.err.contains("stays on the edge") && !slip.err.contains(secret), "{}", slip.err);
    let unsigned = Deployment::new();
    unsigned.configure("signing_key = \"file:feed-signing.key\"", "");
    let unsigned = unsigned.run(&["keyring", "export", "--realm", "live", "--to", &edge.recipient]);
    assert!(unsigned.code == 2 && unsigned.err.contains("feed.signing_key is not set"), "{}", unsigned.err);
}

#[test]
fn a_server_exports_to_an_edge_for_administrators_alone() {
    let deployment = Deployment::new();
    let node = Server::start(&deployment);
    let edge = Edge::without_exports(&deployment, &["https://later"], &["live"]);
    deployment.secret_file("admin.key", &deployment.admin_key);
    let server = format!("http://{}", node.admin.address);
    let arguments = ["keyring", "export", "--realm", "live", "--to", &edge.recipient, "--server", &server];
    let ran = finish(bulla(deployment.path()).args(arguments).env("BULLA_ADMIN_KEY_FILE", "admin.key"), "");
    edge.put_export("live", &ran.ok().out);
    edge.configure("\"https://later\"", &format!("\"http://{}\"", node.data.address));
    let running = edge.start();
    running.until("the first message", |edge| ready(edge) == (true, "[]".to_owned()));
    assert!(is_active(&running, &deployment.issue_text("live", &[])));
    let audit = node.admin.get("/v1/audit?limit=1000").body;
    assert!(audit.contains("keyring.export") && audit.contains(&edge.recipient), "{audit}");

    let ask = |realm: &str, recipient: &str| json!({"realm": realm, "recipient": recipient});
    let path = "/v1/keyring/exports";
    let answer = node.admin.post(path, &ask("live", &edge.recipient));
    assert_eq!((answer.status, answer.header("cache-control")), (201, Some("no-store")));
    for scope in ["keyring", "read", "admin:live"] {
        let caller = node.admin.bearer(&deployment.issue_text("bulla", &["--scope", scope]));
        assert_eq!(caller.post(path, &ask("live", &edge.recipient)).problem(), "forbidden", "{scope}");
    }
    let secret = std::fs::read_to_string(edge.file("edge.key")).expect("the key");
    let secret = secret.lines().nth(1).expect("the secret");
    for (realm, recipient, told) in [
        ("bulla", &*edge.recipient, "never exported"),
        ("other", &edge.recipient, "not in the configuration"),
        ("Live", &edge.recipient, "realm: "),
        ("live", &edge.recipient[..58], "recipient: "),
        ("live", secret, "stays on the edge"),
    ] {
        let answer = node.admin.post(path, &ask(realm, recipient));
        assert_eq!(answer.problem(), "bad-request", "{realm}");
        assert!(answer.body.contains(told) && !answer.body.contains(secret), "{told}: {}", answer.body);
    }
}

#[test]
fn an_edge_does_not_begin_with_keys_that_are_missing_or_not_its_own() {
    let (deployment, other) = (Deployment::new(), Deployment::new());
    let edge = Edge::without_exports(&deployment, &["https://later"], &["live"]);
    let serve = || {
        let ran = edge.run(&["serve", "--role", "verifier", "--data-listen", "127.0.0.1:0"]);
        assert_eq!(ran.code, 2, "{}", ran.err);
        ran.err
    };
    let told = serve();
    let command = format!("bulla keyring export --realm live --to {}", edge.recipient);
    assert!(told.contains("no export of the realm live") && told.contains(&command), "{told}");

    let another = Edge::new(&deployment, &["https://later"], &["live"]);
    edge.put_export("live", &std::fs::read_to_string(another.file("exports/live.export")).expect("an export"));
    let told = serve();
    assert!(told.contains(&format!("sealed to {}", another.recipient)), "{told}");

    let elsewhere = other.run(&["keyring", "export", "--realm", "live", "--to", &edge.recipient]);
    edge.put_export("live", &elsewhere.ok().out);
    let told = serve();
    assert!(told.contains("export it from the right deployment"), "{told}");

    let own = deployment.run(&["keyring", "export", "--realm", "live", "--to", &edge.recipient]).ok().out.clone();
    edge.put_export("live", &own.replacen("deactivated", "active", 1).replacen("\"active\"", "\"staged\"", 1));
    let told = serve();
    assert!(told.contains("not signed by the feed's key"), "{told}");
    edge.put_export("live", &own[..own.len() / 2]);
    let told = serve();
    assert!(told.contains("whole and unchanged"), "{told}");
    std::fs::set_permissions(edge.file("edge.key"), std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .expect("a mode");
    assert!(serve().contains("chmod 600"));
}

#[test]
fn a_configuration_is_for_one_role() {
    let deployment = Deployment::new();
    let edge = Edge::new(&deployment, &["https://later"], &["live"]);
    for (ran, told) in [
        (edge.run(&["serve"]), "add --role verifier"),
        (deployment.run(&["serve", "--role", "verifier"]), "bulla edge init"),
        (deployment.run(&["serve", "--follow", "https://a"]), "a node reads its store"),
        (edge.run(&["serve", "--role", "verifier", "--follow", "http://a.example"]), "use https"),
    ] {
        assert!(ran.code == 2 && ran.err.contains(told), "{told}: {}", ran.err);
    }
    let id = "live_000008QlcSL17iL1iZQmKT";
    for arguments in [
        &["verify", "-"][..],
        &["issue", "--realm", "live", "--app", APP],
        &["revoke", id],
        &["keys", "list"],
        &["fleet"],
        &["audit"],
        &["keyring", "show"],
        &["keyring", "limit", "1"],
        &["keyring", "check"],
    ] {
        let ran = edge.run_with(arguments, id);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.err);
        for part in ["of an edge or a relay", "a node's configuration", "--server"] {
            assert!(ran.err.contains(part), "{arguments:?} {part}: {}", ran.err);
        }
    }
}

#[test]
fn doctor_tells_of_a_missing_or_bad_export_once() {
    let deployment = Deployment::new();
    let edge = Edge::without_exports(&deployment, &["http://127.0.0.1:1"], &["live"]);
    for export in [None, Some("no export\n")] {
        if let Some(text) = export {
            edge.put_export("live", text);
        }
        let ran = edge.run(&["doctor"]);
        let told: Vec<_> = ran.out.lines().filter(|line| line.contains("  exports  ")).collect();
        assert!(ran.code == 1 && told.len() == 1 && told[0].starts_with("wrong"), "{export:?}: {}", ran.out);
    }
}

#[test]
fn an_edge_is_not_made_for_a_source_that_it_cannot_follow() {
    let deployment = Deployment::new();
    let shown = deployment.keyring(&["show"]);
    let text = |name: &str| shown[name].as_str().expect(name);
    let (id, key) = (text("keyring_id"), text("feed_public_key"));
    for source in ["127.0.0.1:22381", "ftp://a.example", "http://a.example", "https://a?b"] {
        let init = ["edge", "init", "edge", "--keyring-id", id, "--feed-key", key, "--realm", "live"];
        let ran = deployment.run(&[&init[..], &["--follow", source]].concat());
        assert!(ran.code == 64 && ran.err.contains("--follow: "), "{source}: {} {}", ran.code, ran.err);
        assert!(!deployment.file("edge").exists(), "{source}");
    }
}

#[test]
fn a_rotation_goes_through_with_a_new_export_and_without_a_restart() {
    let deployment = Deployment::new();
    let folder = Edge::new(&deployment, &["https://later"], &["live"]);
    let (node, edge) = started(&deployment, &folder);
    let first = deployment.issue_text("live", &[]);
    assert!(is_active(&edge, &first));

    let staged = json!({"sources": [deployment.new_master(2)]});
    assert_eq!(node.admin.post("/v1/keyring/versions", &staged).status, 201);
    edge.until("that a key is missing", |edge| ready(edge).1.contains("lacks key version 2"));
    let (is_ready, told) = ready(&edge);
    assert!(is_ready && told.contains("realm live lacks") && told.contains("bulla keyring export"), "{told}");
    assert!(is_active(&edge, &first));

    // An export that is not this edge's takes nothing away.
    let another = Edge::new(&deployment, &["https://later"], &["live"]);
    folder.put_export("live", &std::fs::read_to_string(another.file("exports/live.export")).expect("an export"));
    edge.until("that it is refused", |edge| ready(edge).1.contains("sealed to"));
    assert!(is_active(&edge, &first));

    // A key of the version that is missing may be good.
    let activated = node.admin.post("/v1/keyring/versions/2/activate", &json!({"force": true}));
    assert_eq!(activated.status, 200, "{}", activated.body);
    let second = deployment.issue_text("live", &[]);
    assert!(could_not_tell(&edge, &second));
    folder.export(&deployment, "live");
    edge.until("the new export", |edge| ready(edge) == (true, "[]".to_owned()));
    assert!(is_active(&edge, &first) && is_active(&edge, &second));

    // The edge's own API key for the feed dies with its version, too: it has one of the new version before.
    folder.secret_file("feed-api.key", &deployment.issue_text("bulla", &["--scope", "feed"]));
    // The feed's word goes before the export's.
    let begun = Instant::now();
    let compromised = node.admin.post("/v1/keyring/versions/1/compromise", &json!({}));
    assert_eq!(compromised.status, 200, "{}", compromised.body);
    edge.until("the compromise", |edge| is_refused(edge, &first));
    println!("compromised at the node and refused at the edge after {:?}", begun.elapsed());
    assert!(is_active(&edge, &second));
    assert!(edge.metric("bulla_verify_rejected_total{reason=\"version_refused\"}") > 0);

    // Also after a restart without the node, by what is on disk.
    edge.stop();
    node.stop();
    let edge = folder.start();
    assert!(is_refused(&edge, &first) && is_active(&edge, &second));
}

#[test]
fn exports_and_credentials_are_read_whatever_the_configuration_looks_like() {
    let deployment = Deployment::new();
    let folder = Edge::new(&deployment, &["https://later"], &["live"]);
    let (node, edge) = started(&deployment, &folder);
    let first = deployment.issue_text("live", &[]);
    assert!(is_active(&edge, &first));
    let text = std::fs::read_to_string(folder.file("bulla.toml")).expect("the configuration");
    let broken = |edge: &Server| ready(edge).1.contains("bulla.toml");
    std::fs::write(folder.file("bulla.toml"), format!("garbage = [\n{text}")).expect("written");
    edge.until("that it is told", broken);

    deployment.keyring(&["stage", "--source", &deployment.new_master(2)]);
    deployment.keyring(&["activate", "2"]);
    let second = deployment.issue_text("live", &[]);
    folder.export(&deployment, "live");
    // Without this one the edge would lose the feed with version 1.
    folder.secret_file("feed-api.key", &deployment.issue_text("bulla", &["--scope", "feed"]));
    edge.until("the new export", |edge| is_active(edge, &second));
    let compromised = node.admin.post("/v1/keyring/versions/1/compromise", &json!({}));
    assert_eq!(compromised.status, 200, "{}", compromised.body);
    edge.until("the compromise", |edge| is_refused(edge, &first));
    assert!(broken(&edge) && is_active(&edge, &second));
    std::fs::write(folder.file("bulla.toml"), text).expect("written");
    edge.until("the recovery", |edge| ready(edge) == (true, "[]".to_owned()));
}
