//! Gates, which are in modules inside gateways and behind the C ABI: each process is in the fleet by a name of its own.

use bulla::gateway::{self, Gate, Running, Settings};

use super::*;
use crate::support::edge::Edge;

/// A process with a gate.
struct Process {
    gate: Gate,
    running: Running,
}

impl Process {
    fn start(edge: &Edge) -> Self {
        let gate = Gate::open(&Settings::read(&edge.file("bulla.toml")).expect("settings")).expect("opened");
        let running = gate.start().expect("started");
        Process { gate, running }
    }

    fn status(&self, key: &str) -> u16 {
        let (wanted, mut answer) = (self.gate.requirements("realm:live").expect("a route"), gateway::Answer::new());
        self.gate.verify(&wanted, key.as_bytes(), None, clock::now(), &mut answer);
        answer.status()
    }
}

/// The folder of a gateway's host.
fn host(deployment: &Deployment, server: &Server, name: &str) -> Edge {
    let edge = Edge::new(deployment, &[&format!("http://{}", server.data.address)], &["live"]);
    edge.configure("# name = \"edge-1\"", &format!("name = \"{name}\""));
    edge
}

fn is_current(server: &Server, name: &str) -> bool {
    member(server, name).is_some_and(|one| one["state"] == "current")
}

#[test]
fn a_revocation_waits_for_every_process_with_a_gate_and_names_one_that_stopped() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let (edge, silent) = (host(&deployment, &server, "shop"), host(&deployment, &server, "silent"));
    silent.configure("report = true", "report = false");
    let unreported = Process::start(&silent);
    let [one, two] = [(); 2].map(|()| Process::start(&edge));
    server.until("both are there", |server| is_current(server, "shop:1") && is_current(server, "shop:2"));
    let shown = member(&server, "shop:1").expect("it is there");
    assert_eq!(
        (&shown["role"], &shown["versions"], &shown["realms"]),
        (&json!("library"), &json!([1]), &json!(["live"]))
    );

    let key = deployment.issue_text("live", &[]);
    server.until("all follow", |_| [&one, &two, &unreported].iter().all(|process| process.status(&key) == 200));
    let revoked = ask(&deployment, &["revoke", &key[..27], "--wait=60s", "--json"]);
    let propagation = revoked.ok().json()["propagation"].clone();
    assert_eq!((&propagation["registered"], &propagation["reached"]), (&json!(3), &json!(3)), "{propagation}");
    assert_eq!([&one, &two].map(|process| process.status(&key)), [401; 2], "at once, and not a moment later");

    drop(two.running);
    let id = deployment.issue("live", &[])["api_key_id"].as_str().expect("an id").to_owned();
    let ran = ask(&deployment, &["revoke", &id, "--wait=1s"]);
    assert!(ran.code == 3 && ran.out.contains("missing  shop:2 (library)"), "{} {}", ran.out, ran.err);
    assert!(members(&server).iter().all(|one| !one["name"].to_string().contains("silent")), "{}", ran.out);
    assert_eq!(one.gate.counters(clock::now()).report_error, None);
}

#[test]
fn a_process_takes_the_number_of_one_that_ended_as_after_a_reload() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let edge = host(&deployment, &server, "reloaded");
    let old = Process::start(&edge);
    server.until("it is there", |server| is_current(server, "reloaded:1"));
    let new = Process::start(&edge);
    server.until("both are there", |server| is_current(server, "reloaded:2"));
    drop(old);
    // The revocation makes it report, which it does every ten seconds anyway.
    let key = deployment.issue_text("live", &[]);
    let ran = ask(&deployment, &["revoke", &key[..27], "--wait=60s"]);
    assert!(ran.ok().out.contains("reached  2 of 2 nodes and followers"), "{}", ran.out);
    assert_eq!(new.status(&key), 401);
    server
        .until("it has one name", |server| is_current(server, "reloaded:1") && member(server, "reloaded:2").is_none());
}

#[test]
fn an_edge_reports_nothing_where_it_is_told_so() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let (quiet, loud) = (host(&deployment, &server, "quiet"), host(&deployment, &server, "loud"));
    quiet.configure("report = true", "report = false");
    let _edges = [&quiet, &loud].map(Edge::start);
    server.until("the other one is there", |server| is_current(server, "loud"));
    assert_eq!(member(&server, "quiet"), None);
}
