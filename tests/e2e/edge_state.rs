//! What an edge keeps on disk: it starts from there without any node, and takes nothing else for it.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::edges::{OFTEN, could_not_tell, free_address, id, is_active, is_refused, ready, revoke};
use crate::support::{deployment::Deployment, edge::Edge, mount::Mount, server::Server};

/// How long an edge that starts waits for a node.
const FIRST_CONTACT: Duration = Duration::from_secs(1);

/// A node at a fixed address, an edge that followed it, and a key that was revoked meanwhile.
struct World {
    deployment: Deployment,
    address: String,
    edge: Edge,
    good: String,
    revoked: String,
}

impl World {
    fn new(max_stale: &str) -> Self {
        let deployment = Deployment::new();
        let address = free_address();
        let edge = Edge::new(&deployment, &[&format!("http://{address}")], &["live"]);
        edge.configure("max_stale = \"1h\"", &format!("max_stale = \"{max_stale}\""));
        let [good, revoked] = [(); 2].map(|()| deployment.issue_text("live", &[]));
        World { deployment, address, edge, good, revoked }
    }

    fn node(&self) -> Server {
        Server::start_on(&self.address, &self.deployment, &OFTEN)
    }

    /// Follows until the revocation is on disk; the node is gone then.
    fn follow(&self) {
        let (node, edge) = (self.node(), self.edge.start());
        edge.until("the first message", |edge| ready(edge).0);
        until_registered(&node);
        // An edge reports what is on its disk.
        let told = propagation(&node, &self.revoked, "60s");
        assert_eq!((&told["reached"], &told["missing"]), (&json!(2), &json!([])), "{told}");
        assert!(is_refused(&edge, &self.revoked));
        // As a crash ends it: what was heard is on disk already, not only at an orderly end.
        edge.signal("KILL");
    }
}

#[test]
fn an_edge_starts_from_disk_without_a_node_until_the_state_is_too_old() {
    let world = World::new("25s");
    world.follow();
    let edge = world.edge.start();
    let (is_ready, told) = ready(&edge);
    assert!(is_ready, "{told}");
    assert!(is_active(&edge, &world.good) && is_refused(&edge, &world.revoked));
    edge.until("that it is degraded", |edge| ready(edge).1.contains("\"follow\""));
    assert!(ready(&edge).0 && is_active(&edge, &world.good), "ready, and degraded");
    edge.until("the end of that", |edge| could_not_tell(edge, &world.good));
    assert!(!ready(&edge).0 && is_refused(&edge, &world.revoked));
    let _node = world.node();
    edge.until("a node", |edge| ready(edge) == (true, "[]".to_owned()) && is_active(edge, &world.good));
}

#[test]
fn without_a_node_and_without_a_state_nothing_is_accepted() {
    let world = World::new("1h");
    let edge = world.edge.start();
    assert!(could_not_tell(&edge, &world.good) && !ready(&edge).0);
    assert!(ready(&edge).1.contains("no feed message yet"));
    assert!(is_refused(&edge, "nothing"), "what is refused anyway is refused");
    assert_eq!(edge.data.get("/healthz").status, 200);
    let _node = world.node();
    edge.until("a node", |edge| ready(edge) == (true, "[]".to_owned()) && is_active(edge, &world.good));
}

#[test]
fn an_older_state_holds_until_a_node_is_heard_and_a_stranger_s_is_not_used() {
    let world = World::new("1h");
    let copies = tempfile::tempdir().expect("a folder");
    let (older, own) = (copies.path().join("older"), copies.path().join("own"));
    {
        let (_node, edge) = (world.node(), world.edge.start());
        edge.until("the first message", |edge| ready(edge).0);
        edge.stop();
        world.edge.copy_state(&older);
    }
    world.follow();
    world.edge.copy_state(&own);

    // An older one, as a restored backup has it: what it says is true, and not all.
    world.edge.restore_state(&older);
    let edge = world.edge.start();
    assert!(is_active(&edge, &world.revoked), "this state does not know better");
    let node = world.node();
    edge.until("the revocation", |edge| is_refused(edge, &world.revoked));
    edge.stop();
    node.stop();

    // One that was changed, or made by another edge, is none.
    let state = std::fs::read(own.join("state")).expect("the state");
    for at in [0, 25, state.len() / 2, state.len() - 1] {
        world.edge.restore_state(&own);
        let mut changed = state.clone();
        changed[at] ^= 1;
        std::fs::write(world.edge.file("state/state"), changed).expect("written");
        let edge = world.edge.start();
        assert!(could_not_tell(&edge, &world.good) && !ready(&edge).0, "{at}");
        let log = edge.stop();
        assert!(log.contains("it was changed, or another edge made it"), "{log}");
    }
    let other = Edge::new(&world.deployment, &[&format!("http://{}", world.address)], &["live"]);
    std::fs::create_dir_all(other.file("state")).expect("a folder");
    other.restore_state(&own);
    assert!(could_not_tell(&other.start(), &world.good));

    // A crash tore the message that was written last, and that nobody had heard of.
    world.edge.restore_state(&own);
    let journal = world.edge.file("state/journal");
    let bytes = std::fs::read(&journal).expect("the journal");
    std::fs::write(&journal, [&bytes[..], &bytes[37..100]].concat()).expect("written");
    let edge = world.edge.start();
    assert!(is_active(&edge, &world.good) && is_refused(&edge, &world.revoked) && ready(&edge).0);
}

/// A journal that lacks what was reported to the fleet.
#[derive(Debug)]
enum Lacking {
    ChangedMessage,
    ChangedBeginning,
    CutOff,
    Empty,
    Gone,
    Pipe,
}

impl Lacking {
    const ALL: [Lacking; 6] = [
        Lacking::ChangedMessage,
        Lacking::ChangedBeginning,
        Lacking::CutOff,
        Lacking::Empty,
        Lacking::Gone,
        Lacking::Pipe,
    ];

    fn make(&self, journal: &std::path::Path) {
        let mut bytes = std::fs::read(journal).expect("the journal");
        std::fs::remove_file(journal).expect("removed");
        match self {
            Lacking::ChangedMessage => bytes[100] ^= 1,
            Lacking::ChangedBeginning => bytes[0] ^= 1,
            Lacking::CutOff => bytes.truncate(100),
            Lacking::Empty => bytes.clear(),
            Lacking::Gone => return,
            Lacking::Pipe => {
                assert!(Command::new("mkfifo").arg(journal).status().expect("mkfifo runs").success());
                return;
            }
        }
        std::fs::write(journal, bytes).expect("written");
    }
}

#[test]
fn an_edge_whose_journal_lacks_what_was_reported_accepts_nothing_until_a_node_answers() {
    let world = World::new("1h");
    let copies = tempfile::tempdir().expect("a folder");
    {
        let (node, edge) = (world.node(), world.edge.start());
        edge.until("the first message", |edge| ready(edge) == (true, "[]".to_owned()));
        until_registered(&node);
        // Once the first one is on disk, the second one is in the journal.
        for key in [&world.deployment.issue_text("live", &[]), &world.revoked] {
            let told = propagation(&node, key, "60s");
            assert_eq!((&told["reached"], &told["missing"]), (&json!(2), &json!([])), "{told}");
        }
        edge.signal("KILL");
        edge.wait();
    }
    world.edge.copy_state(copies.path());
    for lacking in Lacking::ALL {
        world.edge.restore_state(copies.path());
        lacking.make(&world.edge.file("state/journal"));
        let edge = world.edge.start();
        assert!(could_not_tell(&edge, &world.revoked) && could_not_tell(&edge, &world.good), "{lacking:?}");
        let (is_ready, told) = ready(&edge);
        assert!(!is_ready && told.contains("edge state") && told.contains("its journal was changed"), "{told}");
        let log = edge.stop();
        assert!(log.contains("its journal was changed or lost its end"), "{lacking:?}: {log}");
    }
    let doctor = world.edge.run(&["doctor"]);
    assert!(doctor.out.contains("its journal was changed"), "{}", doctor.out);
    {
        let (_node, edge) = (world.node(), world.edge.start());
        edge.until("a node", |edge| ready(edge) == (true, "[]".to_owned()));
        assert!(is_refused(&edge, &world.revoked) && is_active(&edge, &world.good));
        edge.stop();
    }
    let edge = world.edge.start();
    assert!(is_refused(&edge, &world.revoked) && is_active(&edge, &world.good), "alone, from its disk");
}

#[test]
fn an_edge_that_starts_beside_a_node_never_accepts_what_was_revoked_meanwhile() {
    let world = World::new("1h");
    let copies = tempfile::tempdir().expect("a folder");
    let node = world.node();
    {
        let edge = world.edge.start();
        edge.until("the first message", |edge| ready(edge).0);
        edge.stop();
    }
    world.edge.copy_state(copies.path());
    revoke(&node, &world.revoked);
    let mut prompt = 0;
    for _ in 0..50 {
        world.edge.restore_state(copies.path());
        let begun = Instant::now();
        let edge = world.edge.start();
        // One that starts as slowly may have waited in vain.
        if begun.elapsed() < FIRST_CONTACT {
            assert!(is_refused(&edge, &world.revoked), "the first answer of an edge whose state was older");
            prompt += 1;
        }
        edge.until("the revocation", |edge| is_refused(edge, &world.revoked));
        assert!(is_active(&edge, &world.good));
        if prompt == 10 {
            break;
        }
    }
}

#[test]
fn one_folder_is_one_edge_s() {
    let world = World::new("1h");
    let _edge = world.edge.start();
    let second = world.edge.run(&["serve", "--role", "verifier", "--data-listen", "127.0.0.1:0"]);
    assert!(second.code == 2 && second.err.contains("another process has the state"), "{}", second.err);
}

#[test]
fn a_full_disk_keeps_no_revocation_from_an_edge_and_shows() {
    let world = World::new("1h");
    let mount = Mount::new("1m");
    world.edge.configure("state = \"state\"", &format!("state = {:?}", mount.path()));
    let (node, edge) = (world.node(), world.edge.start());
    edge.until("the first message", |edge| ready(edge) == (true, "[]".to_owned()));
    mount.fill();
    revoke(&node, &world.revoked);
    edge.until("the revocation", |edge| is_refused(edge, &world.revoked));
    edge.until("the trouble", |edge| ready(edge).1.contains("edge state"));
    let (is_ready, told) = ready(&edge);
    assert!(is_ready && told.contains("after a restart without a source"), "{told}");
    assert!(is_active(&edge, &world.good));
    mount.make_room();
    edge.until("its end", |edge| !ready(edge).1.contains("edge state"));
    edge.signal("KILL");
    edge.wait();
    node.stop();
    let edge = world.edge.start();
    assert!(is_refused(&edge, &world.revoked) && is_active(&edge, &world.good), "it is on disk");
}

/// Revokes, or looks at what is revoked, and waits for everybody.
fn propagation(node: &Server, key: &str, wait: &str) -> Value {
    let path = format!("/v1/api-keys/{}?wait={wait}", id(key));
    node.admin.request("DELETE", &path, &[], "").json()["propagation"].clone()
}

/// Waits until the node knows of the edge.
fn until_registered(node: &Server) {
    node.until("the edge in the fleet", |node| node.admin.get("/v1/followers").body.contains("\"edge\""));
}

#[test]
fn no_revocation_is_reported_that_an_edge_would_forget_in_a_restart() {
    let world = World::new("1h");
    let mount = Mount::new("1m");
    world.edge.configure("state = \"state\"", &format!("state = {:?}", mount.path()));
    let (node, edge) = (world.node(), world.edge.start());
    edge.until("the first message", |edge| ready(edge) == (true, "[]".to_owned()));
    until_registered(&node);
    mount.fill();
    // More than the rest of a page that is there already.
    let ids: Vec<String> = (0..1_000).map(|at| format!("live_00000X{at:016}")).collect();
    let many = node.admin.post("/v1/revocations", &json!({"ids": ids}));
    assert_eq!(many.json()["revoked"], 1_000, "{}", many.body);
    revoke(&node, &world.revoked);
    edge.until("that it is in force there", |edge| is_refused(edge, &world.revoked));
    edge.until("the word of the disk", |_| {
        let told = propagation(&node, &world.revoked, "3s");
        assert_ne!(told["missing"], json!([]), "{told}");
        let why = told["missing"][0]["why"].as_str().expect("why");
        told["registered"] == 2 && told["reached"] == 1 && why.contains("the state cannot be kept")
    });
    mount.make_room();
    let told = propagation(&node, &world.revoked, "60s");
    assert_eq!((&told["reached"], &told["missing"]), (&json!(2), &json!([])), "{told}");
    edge.signal("KILL");
    edge.wait();
    node.stop();
    let edge = world.edge.start();
    assert!(is_refused(&edge, &world.revoked) && is_active(&edge, &world.good), "alone, from its disk");
}

#[test]
fn an_edge_whose_disk_hangs_says_so_and_reports_nothing_new() {
    let world = World::new("1h");
    world.follow();
    // Opening it to write waits for a reader.
    let pipe = world.edge.file("state/state.new");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let (node, edge) = (world.node(), world.edge.start());
    edge.until("the first message", |edge| ready(edge).0);
    until_registered(&node);
    let later = &world.good;
    revoke(&node, later);
    edge.until("that it is in force there", |edge| is_refused(edge, later));
    edge.until("the trouble", |edge| ready(edge).1.contains("writing the state to the disk has taken"));
    edge.until("the word of the disk", |_| {
        let told = propagation(&node, later, "2s");
        assert_ne!(told["missing"], json!([]), "{told}");
        let why = told["missing"][0]["why"].as_str().expect("why");
        told["reached"] == 1 && why.contains("writing the state to the disk has taken")
    });
    let _what_it_wrote = std::fs::read(&pipe).expect("read");
    let told = propagation(&node, later, "60s");
    assert_eq!((&told["reached"], &told["missing"]), (&json!(2), &json!([])), "{told}");
    edge.until("the end of the trouble", |edge| !ready(edge).1.contains("edge state"));
}

#[test]
fn a_state_folder_that_is_exchanged_is_noticed_and_what_is_reported_is_in_the_new_one() {
    let world = World::new("1h");
    let (older, state) = (world.edge.file("older"), world.edge.file("state"));
    let (node, edge) = (world.node(), world.edge.start());
    edge.until("the first message", |edge| ready(edge) == (true, "[]".to_owned()));
    until_registered(&node);
    world.edge.copy_state(&older);
    std::fs::rename(&state, world.edge.file("in-use")).expect("moved");
    edge.until("the trouble", |edge| ready(edge).1.contains("edge state"));
    world.edge.configure("listen = \"127.0.0.1:8181\"", &format!("listen = \"{}\"", edge.data.address));
    let doctor = world.edge.run(&["doctor"]);
    assert!(doctor.code == 1 && doctor.out.contains("(`edge state`)"), "{}", doctor.out);
    revoke(&node, &world.revoked);
    edge.until("that it is in force there", |edge| is_refused(edge, &world.revoked));
    edge.until("the word of the disk", |_| {
        let told = propagation(&node, &world.revoked, "2s");
        assert_ne!(told["missing"], json!([]), "{told}");
        let why = told["missing"][0]["why"].as_str().expect("why");
        told["reached"] == 1 && why.contains("was removed while it is open")
    });
    assert!(!state.exists(), "somebody may be about to put one there");
    // A restored copy, which does not know of the revocation.
    std::fs::rename(&older, &state).expect("in place");
    let told = propagation(&node, &world.revoked, "60s");
    assert_eq!((&told["reached"], &told["missing"]), (&json!(2), &json!([])), "{told}");
    edge.until("the end of the trouble", |edge| !ready(edge).1.contains("edge state"));
    edge.signal("KILL");
    let (_, log) = edge.wait();
    assert!(log.contains("was removed while it is open"), "{log}");
    node.stop();
    let edge = world.edge.start();
    assert!(is_refused(&edge, &world.revoked) && is_active(&edge, &world.good), "alone, from its disk");
}
