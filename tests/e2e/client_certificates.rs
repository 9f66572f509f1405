//! Client certificates on the admin plane: whose name is mapped needs no API key, and may do what its scopes allow.

use std::time::{Duration, Instant};

use rcgen::SanType;
use serde_json::{Value, json};

use crate::support::{
    authority::{Authority, Issued, replace},
    command::{Ran, bulla, finish},
    deployment::{APP, Deployment},
    http::{Answer, Http},
    server::Server,
    tls::Connection,
};

/// A server whose admin plane takes certificates of `clients`.
struct World {
    servers: Authority,
    clients: Authority,
    deployment: Deployment,
    server: Server,
}

impl World {
    fn new(mapping: &str) -> Self {
        let (servers, clients, deployment) = (Authority::new("servers"), Authority::new("clients"), Deployment::new());
        servers.serve(&deployment);
        replace(&deployment.file("clients.crt"), &clients.pem());
        let path = deployment.file("bulla.toml");
        let text = std::fs::read_to_string(&path).expect("the configuration");
        let tls = "\n[admin.tls]\ncertificate = \"tls.crt\"\nkey = \"tls.key\"\nclient_ca = \"clients.crt\"\n";
        replace(&path, &format!("{text}{tls}[admin.tls.clients]\n{mapping}"));
        let server = Server::start(&deployment);
        World { servers, clients, deployment, server }
    }

    /// The admin plane as who shows this certificate and no API key sees it.
    fn with(&self, client: &Issued) -> Http {
        self.server.admin.anonymous().over_tls(&self.servers, Some(client))
    }

    /// Changes the mapping, and waits until it is in force.
    fn remap(&self, from: &str, to: &str, in_force: impl Fn() -> bool) {
        let path = self.deployment.file("bulla.toml");
        let text = std::fs::read_to_string(&path).expect("the configuration");
        assert!(text.contains(from), "{text}");
        replace(&path, &text.replace(from, to));
        self.server.until("the new mapping", |_| in_force());
    }
}

fn issue(admin: &Http, realm: &str) -> Answer {
    admin.post("/v1/api-keys", &json!({"realm": realm, "app_id": APP}))
}

#[test]
fn a_mapped_name_may_do_what_its_scopes_allow_and_the_audit_names_it() {
    let world = World::new("\"ops.example\" = [\"issue:live\"]\n\"spiffe://prod/auditor\" = [\"read\"]\n");
    let ops = world.with(&world.clients.client("ops.example"));
    let issued = issue(&ops, "live");
    assert_eq!(issued.status, 201, "{}", issued.body);
    let id = issued.json()["api_key_id"].as_str().expect("an id").to_owned();
    for refused in [
        issue(&ops, "test"),
        issue(&ops, "bulla"),
        ops.request("DELETE", &format!("/v1/api-keys/{id}"), &[], ""),
        ops.get("/v1/audit"),
    ] {
        assert_eq!((refused.status, refused.problem().as_str()), (403, "forbidden"), "{}", refused.body);
    }
    let detail = issue(&ops, "test").json()["detail"].clone();
    assert_eq!(detail, "the credential lacks the scope `issue` or `issue:test`");
    let uri = SanType::URI("spiffe://prod/auditor".try_into().expect("a URI"));
    let auditor = world.with(&world.clients.client_named("nobody", &[uri]));
    let refused = |record: &Value| record["action"] == "admin.refused" && record["actor"] == "cert:ops.example";
    world.server.until("the refusals in the audit", |_| {
        let audit = auditor.get("/v1/audit").json();
        let records = audit["records"].as_array().expect("records").clone();
        let issued = records.iter().rfind(|record| record["action"] == "api_key.issue").expect("the issuing");
        assert_eq!((&issued["actor"], &issued["address"]), (&json!("cert:ops.example"), &json!("127.0.0.1")));
        records.iter().filter(|record| refused(record)).count() == 5
    });
}

#[test]
fn a_name_that_does_not_count_needs_an_api_key() {
    let mapping = "\"ops.example\" = [\"admin\"]\n\"ci.example\" = [\"read\"]\n\"plain\" = [\"read\"]\n";
    let world = World::new(mapping);
    let dns = |name: &str| SanType::DnsName(name.try_into().expect("a name"));
    for (client, told) in [
        (world.clients.client("other.example"), "has no scopes"),
        (world.clients.client_named("ops.example", &[dns("other.example")]), "has no scopes"),
        (world.clients.client("*.example"), "has no scopes"),
        (world.clients.client_named("both", &[dns("ops.example"), dns("ci.example")]), "several names"),
    ] {
        let refused = world.with(&client).get("/v1/keyring");
        assert_eq!((refused.status, refused.problem().as_str()), (401, "certificate"), "{}", refused.body);
        assert!(refused.body.contains(told), "{}", refused.body);
        assert_eq!(world.with(&client).bearer(&world.deployment.admin_key).get("/v1/keyring").status, 200);
    }
    assert_eq!(world.with(&world.clients.client_named("plain", &[])).get("/v1/keyring").status, 200, "a common name");
    let none = world.server.admin.anonymous().over_tls(&world.servers, None);
    assert_eq!((none.get("/v1/keyring").status, none.get("/v1/keyring").problem().as_str()), (401, "unauthorized"));
    assert_eq!(none.bearer(&world.deployment.admin_key).get("/v1/keyring").status, 200);
    let audit = world.deployment.run(&["audit", "--jsonl"]).ok().out.clone();
    assert!(!audit.contains("cert:ops.example\""), "nobody was taken for ops.example: {audit}");
    world.server.until("the refusals in the audit", |_| {
        let audit = world.deployment.run(&["audit", "--jsonl"]).ok().out.clone();
        audit.contains("\"presented\":\"cert:other.example\"")
    });
}

#[test]
fn where_both_are_shown_the_api_key_counts() {
    let world = World::new("\"ops.example\" = [\"admin\"]\n");
    let ops = world.with(&world.clients.client("ops.example"));
    let reader = world.deployment.issue_text("bulla", &["--scope", "read"]);
    assert_eq!(issue(&ops, "live").status, 201);
    assert_eq!(ops.bearer(&reader).get("/v1/keyring").status, 200);
    assert_eq!(issue(&ops.bearer(&reader), "live").status, 403, "the key's scopes, not the certificate's");
    for (name, value) in [("authorization", "Bearer nonsense"), ("authorization", "Negotiate x"), ("x-api-key", "ü")] {
        let bad = ops.request("GET", "/v1/keyring", &[(name, value)], "");
        assert_eq!(bad.problem(), "unauthorized", "the certificate does not make good {name}: {value}");
    }
    let twice = [("x-api-key", reader.as_str()), ("authorization", "Bearer x")];
    assert_eq!(ops.request("GET", "/v1/keyring", &twice, "").problem(), "several-credentials");
    for page in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        assert_eq!(ops.request("GET", "/v1/keyring", &[page], "").problem(), "certificate", "from another site's page");
    }
}

#[test]
fn certificates_of_another_authority_or_of_yesterday_do_not_get_in() {
    let world = World::new("\"ops.example\" = [\"admin\"]\n");
    for client in [Authority::new("clients").client("ops.example"), world.clients.expired_client("ops.example")] {
        assert!(world.with(&client).try_request("GET", "/v1/keyring").is_none(), "refused in the handshake");
    }
    assert_eq!(world.with(&world.clients.client("ops.example")).get("/v1/keyring").status, 200);
    let data = world.server.data.bearer(&world.deployment.admin_key);
    assert_eq!(data.get("/v1/revocations").status, 200, "the data plane is as it was");
}

#[test]
fn a_changed_mapping_or_authority_counts_at_once_on_open_connections() {
    let world = World::new("\"ops.example\" = [\"read\"]\n");
    let client = world.clients.client("ops.example");
    let mut open = Connection::open(&world.server.admin, &world.servers, Some(&client));
    assert_eq!(open.get("/v1/keyring"), 200);
    let ops = world.with(&client);
    world.remap("[\"read\"]", "[\"issue:live\"]", || ops.get("/v1/keyring").status == 403);
    assert_eq!(open.get("/v1/keyring"), 403);
    world.remap("\"ops.example\"", "\"ops2.example\"", || ops.get("/v1/keyring").status == 401);
    assert_eq!(open.get("/v1/keyring"), 401);
    world.remap("\"ops2.example\" = [\"issue:live\"]", "\"ops.example\" = [\"read\"]", || {
        ops.get("/v1/keyring").status == 200
    });
    assert_eq!(open.get("/v1/keyring"), 200);

    // Another authority takes over: who was vouched for by the one before is nobody.
    let others = Authority::new("clients");
    replace(&world.deployment.file("clients.crt"), &others.pem());
    let new = world.with(&others.client("ops.example"));
    world
        .server
        .until("the new authority", |_| new.try_request("GET", "/v1/keyring").is_some_and(|got| got.status == 200));
    assert_eq!(open.get("/v1/keyring"), 401);
}

#[test]
fn a_certificate_that_expires_counts_no_longer_on_a_connection_that_stays_open() {
    let world = World::new("\"ops.example\" = [\"read\"]\n");
    let client = world.clients.client_for("ops.example", 15);
    let mut open = Connection::open(&world.server.admin, &world.servers, Some(&client));
    assert_eq!(open.get("/v1/keyring"), 200);
    let deadline = Instant::now() + Duration::from_secs(90);
    while open.get("/v1/keyring") == 200 {
        assert!(Instant::now() < deadline, "it goes on to count");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(open.get("/v1/keyring"), 401);
    assert!(world.with(&client).try_request("GET", "/v1/keyring").is_none(), "refused in the handshake");
}

#[test]
fn authorities_that_cannot_be_read_leave_the_old_ones_in_force() {
    let world = World::new("\"ops.example\" = [\"read\"]\n");
    let ops = world.with(&world.clients.client("ops.example"));
    replace(&world.deployment.file("clients.crt"), "nonsense");
    let degraded = || world.server.data.get("/readyz").json()["degraded"].to_string();
    world.server.until("the failure", |_| degraded().contains("clients.crt holds no PEM certificate"));
    assert_eq!(ops.get("/v1/keyring").status, 200);
    let others = Authority::new("clients");
    let stranger = others.client("ops.example");
    assert!(world.with(&stranger).try_request("GET", "/v1/keyring").is_none());
}

#[test]
fn a_certificate_may_hold_every_scope_that_an_api_key_may() {
    let world = World::new("\"escrow.example\" = [\"reveal:live\"]\n\"ops.example\" = [\"read\"]\n");
    let (live, test) = (world.deployment.issue("live", &[]), world.deployment.issue("test", &[]));
    let reveal = |name: &str, key: &serde_json::Value| {
        let path = format!("/v1/api-keys/{}/reveal", key["api_key_id"].as_str().expect("an id"));
        let answer = world.with(&world.clients.client(name)).post(&path, &serde_json::json!({}));
        (answer.status, answer.problem())
    };
    assert_eq!(reveal("escrow.example", &live), (409, "api-key-state".to_owned()), "it may, and nothing is in escrow");
    for (name, key) in [("escrow.example", &test), ("ops.example", &live)] {
        assert_eq!(reveal(name, key), (403, "forbidden".to_owned()), "{name}");
    }
}

#[test]
fn a_mapping_that_cannot_be_meant_is_refused() {
    let deployment = Deployment::new();
    let path = deployment.file("bulla.toml");
    let text = std::fs::read_to_string(&path).expect("the configuration");
    for (more, told) in [
        ("[admin.tls.clients]\n\"a\" = [\"isue\"]", "`isue` is not a scope"),
        ("[admin.tls.clients]\n\"*.example\" = [\"read\"]", "as they stand"),
        ("[admin.tls.clients]\n\"a\" = [\"issue:prod\"]", "[realms.prod]"),
        ("[data.tls]\ncertificate = \"c\"\nkey = \"k\"\nclient_ca = \"a\"", "[admin.tls]"),
    ] {
        let tls = "[admin.tls]\ncertificate = \"c\"\nkey = \"k\"\nclient_ca = \"clients.crt\"\n";
        std::fs::write(&path, format!("{text}{tls}{more}\n")).expect("written");
        let refused = deployment.run(&["serve"]);
        assert!(refused.code == 2 && refused.err.contains(told), "{more}: {}", refused.err);
    }
}

#[test]
fn commands_show_a_certificate_and_need_no_api_key() {
    let world = World::new("\"ops.example\" = [\"issue:live\", \"read\"]\n");
    let client = world.clients.client("ops.example");
    let path = |path: &std::path::Path| path.to_str().expect("a path").to_owned();
    let (ca, certificate, key) = (path(&world.servers.file()), path(&client.certificate), path(&client.key));
    let admin = format!("https://{}", world.server.admin.address);
    let elsewhere = tempfile::tempdir().expect("a folder");
    let ask = |arguments: &[&str], environment: &[(&str, &str)]| -> Ran {
        finish(bulla(elsewhere.path()).args(arguments).args(["--server", &admin]).envs(environment.iter().copied()), "")
    };
    let shown = ["--ca", &ca, "--client-cert", &certificate, "--client-key", &key];
    let in_environment =
        [("BULLA_CA_FILE", &*ca), ("BULLA_CLIENT_CERT_FILE", &certificate), ("BULLA_CLIENT_KEY_FILE", &key)];
    let issue = ["issue", "--realm", "live", "--app", APP, "--json"];
    let issued = ask(&[&issue[..], &shown].concat(), &[]).ok().json();
    assert_eq!(issued["realm"], "live");
    for command in [&["keys", "list", "--json"][..], &["keyring", "show", "--json"], &["audit", "--jsonl"]] {
        ask(command, &in_environment).ok();
    }
    let forbidden = ask(&["issue", "--realm", "test", "--app", APP], &in_environment);
    assert!(forbidden.code == 2 && forbidden.err.contains("403"), "{}", forbidden.err);
    let half = ask(&[&issue[..], &shown[..4]].concat(), &[]);
    assert!(half.code == 2 && half.err.contains("go together"), "{}", half.err);
    let neither = ask(&[&issue[..], &shown[..2]].concat(), &[]);
    assert!(neither.code == 2 && neither.err.contains("--client-cert"), "{}", neither.err);
    let other = path(&world.clients.client("ci.example").key);
    let mismatch = ask(&[&issue[..], &shown[..5], &[&other]].concat(), &[]);
    assert!(mismatch.code == 2 && mismatch.err.contains("is not the key of"), "{}", mismatch.err);
    let plain = finish(bulla(elsewhere.path()).args(issue).args(shown).args(["--server", "http://127.0.0.1:9"]), "");
    assert!(plain.code == 2 && plain.err.contains("https://"), "{}", plain.err);
}
