//! Several nodes on one PostgreSQL database: what one of them does counts at all, and no node keeps anything for
//! itself.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{
    command::{bulla, finish, run},
    deployment::{APP, Deployment},
    imported,
    postgres::Postgres,
    server::Server,
};

/// A deployment in a new database of its own on the shared server, and the database's name.
fn deployed() -> (Deployment, String) {
    let database = Postgres::shared().new_database();
    (Deployment::on_store(&Postgres::shared().url(&database)), database)
}

fn active(server: &Server, key: &str) -> bool {
    let answer = server.data.post("/v1/verify", &json!({"api_key": key}));
    answer.json()["active"].as_bool().expect("a verdict")
}

fn id_of(key: &str) -> String {
    key.parse::<bulla::ApiKey>().expect("an API key").id().to_string()
}

/// Issues a key at a node.
fn issue(server: &Server) -> String {
    let issued = server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP}));
    assert_eq!(issued.status, 201, "{}", issued.body);
    issued.json()["api_key"].as_str().expect("an API key").to_owned()
}

#[test]
fn a_revocation_at_one_node_is_in_force_at_the_others() {
    let (deployment, _) = deployed();
    let nodes = [(); 2].map(|()| Server::start(&deployment));
    let mut slowest = Duration::ZERO;
    for round in 0..10 {
        let (one, other) = (&nodes[round % 2], &nodes[(round + 1) % 2]);
        let key = issue(one);
        assert!(active(one, &key) && active(other, &key), "issued at one, accepted at both");
        let revoked = one.admin.request("DELETE", &format!("/v1/api-keys/{}", id_of(&key)), &[], "");
        assert_eq!(revoked.status, 200, "{}", revoked.body);
        let acknowledged = Instant::now();
        assert!(!active(one, &key), "where it was revoked, at once");
        other.until("the other one follows", |other| !active(other, &key));
        slowest = slowest.max(acknowledged.elapsed());
    }
    println!("revoked at one node, refused at the other within {slowest:?}");
    for node in nodes {
        node.until("all is well", |node| node.data.get("/readyz").json()["degraded"] == json!([]));
        node.stop();
    }
    let restarted = Server::start(&deployment);
    assert!(active(&restarted, &issue(&restarted)));
}

#[test]
fn a_secret_half_that_is_replaced_at_one_node_ends_at_the_others() {
    let (deployment, _) = deployed();
    let nodes = [(); 2].map(|()| Server::start(&deployment));
    let issued = nodes[0].admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP, "secret": true}));
    let mut key = issued.json()["api_key"].as_str().expect("an API key").to_owned();
    let path = format!("/v1/api-keys/{}/reroll-secret", id_of(&key));
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        assert!(nodes.iter().all(|node| active(node, &key)), "both remember it now");
        let replaced = nodes[0].admin.post(&path, &json!({"grace": "0s"}));
        assert_eq!(replaced.status, 201, "{}", replaced.body);
        let acknowledged = Instant::now();
        nodes[1].until("the end of the old one", |node| !active(node, &key));
        slowest = slowest.max(acknowledged.elapsed());
        key.replace_range(key.len() - 51.., replaced.json()["ending"].as_str().expect("an ending"));
    }
    println!("replaced at one node, ended at the other within {slowest:?}");
}

#[test]
fn a_short_limit_on_staleness_refuses_no_key_while_the_log_can_be_read() {
    let (deployment, _) = deployed();
    deployment.configure("# max_staleness = \"10m\"", "max_staleness = \"1s\"");
    let server = Server::start(&deployment);
    let key = issue(&server);
    // For several times as long as a service waits for a notification before it looks without one. Where the machine
    // was busy for a second it is tried again.
    let refuses_none = || {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(4) {
            let answer = server.data.post("/v1/verify", &json!({"api_key": key}));
            if answer.status == 503 {
                return false;
            }
            assert_eq!((answer.status, &answer.json()["active"]), (200, &json!(true)), "{}", answer.body);
        }
        true
    };
    assert!((0..10).any(|_| refuses_none()), "{}", server.log());
}

#[test]
fn doctor_is_content_and_says_what_is_wrong() {
    let (deployment, database) = deployed();
    let told = deployment.run(&["doctor"]);
    assert!(told.ok().out.contains("1 API keys on record"), "{}", told.out);
    assert!(told.out.contains("the role postgres owns the audit"), "{}", told.out);
    // Notifications arrive on the way that statements take: no pooler that could mix up prepared ones is there.
    assert!(told.out.contains("`statement_cache = true`"), "{}", told.out);
    let told = deployment.run_in(&["doctor"], &[("BULLA_STORE__STATEMENT_CACHE", "true")]);
    assert!(told.ok().out.contains("notifications arrive") && !told.out.contains("statement_cache"), "{}", told.out);
    Postgres::shared().psql(&database, "DROP TABLE bulla.audit");
    let told = deployment.run(&["doctor"]);
    assert!(told.code == 1 && told.out.contains("PostgreSQL") && told.out.contains(&database), "{}", told.out);
}

#[test]
fn init_refuses_a_database_that_is_in_use_and_serve_one_that_is_none() {
    let (_deployment, database) = deployed();
    let folder = tempfile::tempdir().expect("a folder");
    let url = Postgres::shared().url(&database);
    let refused = run(folder.path(), &["init", "--store", &url]);
    assert!(refused.code == 2 && refused.err.contains("another database"), "{}", refused.err);
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0, "nothing is half made");
    let other = Postgres::shared().new_database();
    let elsewhere = Postgres::shared().url(&other);
    let deployment = Deployment::on_file();
    deployment.configure("url = \"sqlite:bulla.db\"", &format!("url = \"{elsewhere}\""));
    let refused = deployment.run(&["serve"]);
    assert!(refused.code == 2 && refused.err.contains("no schema `bulla`"), "{}", refused.err);
    let password = run(folder.path(), &["init", "--store", "postgres://bulla:hunter2@db.example/keys"]);
    assert!(password.code == 2 && password.err.contains("--store"), "{}", password.err);
    assert!(!password.err.contains("hunter2") && !password.out.contains("hunter2"), "{}", password.err);
}

#[test]
fn the_roles_of_the_documentation_do_their_work_and_nothing_else() {
    let server = Postgres::start(&["fsync=off"]);
    let database = server.new_database();
    let folder = tempfile::tempdir().expect("a folder");
    let migrated = run(folder.path(), &["store", "migrate", "--store", &server.url(&database)]);
    migrated.ok();
    let roles = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/examples/postgresql/roles.sql"));
    for _ in 0..2 {
        server.psql(&database, roles.as_deref().expect("the example"));
    }
    let deployment = Deployment::on_store(&server.url_of("bulla", &database));

    // The life of a deployment, as the service's role.
    let service = Server::start(&deployment);
    let key = issue(&service);
    let id = id_of(&key);
    assert!(active(&service, &key));
    for (path, body) in [("suspend", json!({})), ("resume", json!({})), ("reroll", json!({"grace": "1h"}))] {
        let answer = service.admin.post(&format!("/v1/api-keys/{id}/{path}"), &body);
        assert!(answer.status < 300, "{path}: {}", answer.body);
    }
    let revoked = service.admin.request("DELETE", &format!("/v1/api-keys/{id}"), &[], "");
    assert_eq!(revoked.status, 200, "{}", revoked.body);
    let secret = json!({"realm": "live", "app_id": APP, "secret": true});
    let headers = [("idempotency-key", "k"), ("content-type", "application/json")];
    for _ in 0..2 {
        let issued = service.admin.request("POST", "/v1/api-keys", &headers, &secret.to_string());
        assert!([200, 201, 409].contains(&issued.status), "{}", issued.body);
    }
    let row = imported::row(&imported::sha256(imported::KEY), json!({}));
    imported::import(&deployment, &[row], &["--scheme", "sha256"]).ok();
    service.stop();
    // What takes keys out of the ledger is for the owner of the tables.
    let remove = ["keys", "imports", "remove", "1", "--yes"];
    let ran = deployment.run(&remove);
    assert!(ran.code != 0 && ran.err.contains("the role bulla may delete no key of the ledger"), "{}", ran.err);
    deployment.run_in(&remove, &[("BULLA_STORE__URL", &server.url(&database))]).ok();
    let told = |what: &str| {
        let doctor = deployment.run(&["doctor"]);
        assert!(doctor.out.contains(what), "{what}: {}", doctor.out);
    };
    deployment.run(&["doctor"]).ok();
    told("ok       store        the role bulla can neither change nor delete a record of the audit");
    server.psql(&database, "GRANT UPDATE (actor), DELETE ON bulla.audit TO bulla");
    told("the role bulla may change, delete records of the audit");
    server.psql(&database, "REVOKE INSERT ON bulla.audit FROM bulla");
    told("the role bulla may not insert into the audit");
    server.psql(&database, roles.as_deref().expect("the example"));
    told("the role bulla can neither change nor delete");

    let refused = |role: &str, sql: &str| {
        let output = server.psql_as(role, &database, sql);
        assert!(!output.status.success(), "{role} may: {sql}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for sql in [
        "UPDATE bulla.audit SET actor = 'x'",
        "DELETE FROM bulla.audit",
        "TRUNCATE bulla.audit",
        "DELETE FROM bulla.api_keys",
        "ALTER TABLE bulla.audit DISABLE TRIGGER ALL",
        "DROP TABLE bulla.escrow",
        "CREATE TABLE bulla.other ()",
    ] {
        let told = refused("bulla", sql);
        assert!(told.contains("permission denied") || told.contains("must be owner"), "{sql}: {told}");
    }
    let read = server.psql_as("bulla_reader", &database, "SELECT count(*) > 3 FROM bulla.audit");
    assert_eq!(String::from_utf8_lossy(&read.stdout).trim(), "t", "{}", String::from_utf8_lossy(&read.stderr));
    for sql in ["secret_hashes", "escrow", "imported_keys", "imported_sets"] {
        assert!(refused("bulla_reader", &format!("SELECT * FROM bulla.{sql}")).contains("permission denied"));
    }
    let tables = server.psql(
        &database,
        "SELECT string_agg(relname, ' ') FROM pg_class WHERE relkind = 'r' AND relnamespace = 'bulla'::regnamespace",
    );
    for table in tables.split(' ') {
        for sql in [format!("DELETE FROM bulla.{table}"), format!("INSERT INTO bulla.{table} DEFAULT VALUES")] {
            refused("bulla_reader", &format!("SET default_transaction_read_only = off; {sql}"));
        }
    }
    for sql in ["UPDATE bulla.audit SET actor = 'x'", "DELETE FROM bulla.audit", "TRUNCATE bulla.audit"] {
        assert!(refused("postgres", sql).contains("append-only"), "the owner, too");
    }
    // A role without rights is told by name, with what to do.
    server.psql(&database, "CREATE ROLE stranger LOGIN");
    let text = std::fs::read_to_string(deployment.file("bulla.toml")).expect("the configuration");
    std::fs::write(deployment.file("bulla.toml"), text.replace("//bulla@", "//stranger@")).expect("written");
    let told = finish(bulla(deployment.path()).args(["keys", "list"]), "").err;
    assert!(told.contains("role stranger") && told.contains("roles.sql"), "{told}");
}

#[test]
fn the_password_is_read_from_where_the_configuration_says() {
    let server = Postgres::start(&["fsync=off", "password_encryption=scram-sha-256"]);
    let database = server.new_database();
    let deployment = Deployment::on_store(&server.url(&database));
    server.psql("postgres", "ALTER ROLE postgres PASSWORD 'right one'");
    server.replace("pg_hba.conf", "local all postgres trust\nhost all postgres 127.0.0.1/32 scram-sha-256\n");
    server.reload();
    let url = server.tcp_url("postgres", &database);
    // A variable and a credential for each password, and a folder as systemd makes it.
    let credentials = tempfile::tempdir().expect("a folder");
    let passwords = [("right", "right one"), ("wrong", "wrong one")];
    for (name, password) in passwords {
        let path = deployment.secret_file(name, password);
        std::fs::copy(path, credentials.path().join(name)).expect("copied");
    }
    let folder = credentials.path().to_str().expect("UTF-8");
    let environment = |pointer: &'static str| {
        let own = [("BULLA_STORE__URL", url.as_str()), ("BULLA_STORE__PASSWORD", pointer)];
        [&own[..], &[("CREDENTIALS_DIRECTORY", folder), ("RIGHT", "right one"), ("WRONG", "wrong one")]].concat()
    };
    // The server reads its configuration a moment after it was told to.
    let deadline = Instant::now() + Duration::from_secs(60);
    while deployment.run_in(&["keys", "list"], &environment("env:WRONG")).code == 0 {
        assert!(Instant::now() < deadline, "it asks for no password");
    }
    for pointer in ["env:WRONG", "credential:wrong", "file:wrong", "env:NOWHERE", "credential:nowhere"] {
        let refused = deployment.run_in(&["keys", "list"], &environment(pointer));
        assert!(refused.code == 2 && refused.err.contains("store.password"), "{pointer}: {}", refused.err);
        assert!(!refused.err.contains("wrong one") && !refused.err.contains("right one"), "{}", refused.err);
    }
    for pointer in ["env:RIGHT", "credential:right", "file:right"] {
        deployment.run_in(&["keys", "list"], &environment(pointer)).ok();
        let node = Server::start_with(&deployment, &environment(pointer));
        assert!(active(&node, &issue(&node)), "{pointer}");
        node.stop();
    }
}

#[test]
fn a_deployment_moves_from_its_file_into_a_database() {
    let deployment = Deployment::on_file();
    let server = Server::start(&deployment);
    let (kept, revoked) = (issue(&server), issue(&server));
    let gone = server.admin.request("DELETE", &format!("/v1/api-keys/{}", id_of(&revoked)), &[], "");
    assert_eq!(gone.status, 200, "{}", gone.body);
    server.until("it is registered", |server| {
        server.admin.get("/v1/followers").json()["followers"].as_array().is_some_and(|all| !all.is_empty())
    });
    let served = Postgres::shared().url(&Postgres::shared().new_database());
    let refused = deployment.run(&["store", "copy", "--to", &served]);
    assert!(refused.code == 2 && refused.err.contains("works on the source"), "{}", refused.err);
    server.stop();
    let url = Postgres::shared().url(&Postgres::shared().new_database());
    let audit = deployment.run(&["audit", "--json"]).ok().json();
    let copied = deployment.run(&["store", "copy", "--to", &url, "--json"]).ok().json();
    assert_eq!(copied["rows"], copied["changed"], "{copied}");
    assert_eq!(deployment.run(&["store", "copy", "--to", &url, "--json"]).ok().json()["changed"], 0);
    // Nobody who still has the old configuration revokes in the file, or serves it.
    for old in [vec!["revoke", &id_of(&kept)], vec!["keys", "list"], vec!["serve", "--data-listen", "127.0.0.1:0"]] {
        let refused = deployment.run(&old);
        assert!(refused.code == 2 && refused.err.contains(&format!("moved to {url}")), "{old:?}: {}", refused.err);
    }
    let doctor = deployment.run(&["doctor"]);
    assert!(doctor.code == 1 && doctor.out.contains(&format!("moved to {url}")), "{}", doctor.out);
    deployment.configure("sqlite:bulla.db", &url);
    assert_eq!(deployment.run(&["audit", "--json"]).ok().json(), audit);
    let server = Server::start(&deployment);
    assert!(active(&server, &kept) && !active(&server, &revoked));
    issue(&server);
    server.stop();
    deployment.configure(&url, "sqlite:bulla.db");
    let refused = deployment.run(&["store", "copy", "--to", &url]);
    assert!(refused.code == 2 && refused.err.contains("is in use here"), "{}", refused.err);
    let asked = deployment.run(&["store", "unmark"]);
    assert!(asked.code == 64 && asked.err.contains("a key that was revoked there is accepted here"), "{}", asked.err);
    deployment.run(&["store", "unmark", "--yes"]).ok();
    let audit = deployment.run(&["audit", "--json"]);
    assert!(audit.ok().out.contains("store.unmark"), "{}", audit.out);
    let again = deployment.run(&["store", "unmark", "--yes"]);
    assert!(again.ok().out.contains("has no mark"), "{}", again.out);
    let back = deployment.run(&["store", "copy", "--from", &url, "--to", "sqlite:back.db"]);
    assert!(back.code != 0 && back.err.contains("a copy is made into PostgreSQL alone"), "{}", back.err);
    assert!(!deployment.file("back.db").exists());
}
