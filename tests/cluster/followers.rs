//! Followers over a failover: an edge beside a node, and an edge behind a relay. Neither forgets what it has read, and
//! both hear what comes after.

use std::{fs, path::Path, process::Command};

use super::{
    failover::{Cluster, revoke_some},
    *,
};
use crate::support::{
    edge::Edge,
    process::{self, Process},
};

/// A node that is found again where the one before was.
fn node_on(listen: &str, deployment: &Deployment) -> Server {
    Server::start_on(listen, deployment, &[])
}

/// A relay that follows an address, on a port of its own.
struct Relay {
    _folder: tempfile::TempDir,
    _process: Process,
    address: String,
    /// What its follower sends.
    token: String,
}

impl Relay {
    fn of(deployment: &Deployment, follower: &str, source: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let shown = deployment.keyring(&["show"]);
        let text = |name: &str| shown[name].as_str().expect(name).to_owned();
        let caller = deployment.run(&["edge", "caller", "edge", "--json"]).ok().json();
        let port = process::free_port();
        let config = format!(
            "[follow]\nsources = [\"{source}\"]\nkeyring_id = \"{}\"\npublic_key = \"{}\"\napi_key = \"feed.key\"\n\
             [follow.callers]\n{}\n[data]\nlisten = \"127.0.0.1:{port}\"\n[metrics]\nlisten = \"\"\n",
            text("keyring_id"),
            text("feed_public_key"),
            caller["line"].as_str().expect("a line"),
        );
        fs::write(folder.path().join("bulla.toml"), config).expect("written");
        fs::copy(deployment.secret_file("feed.key", follower), folder.path().join("feed.key")).expect("copied");
        let log = folder.path().join("log");
        let prepare = |command: &mut Command| {
            command.args(["serve", "--role", "relay", "--config"]).arg(folder.path().join("bulla.toml"));
        };
        let running = Process::start(Path::new(env!("CARGO_BIN_EXE_bulla")), prepare, &log);
        process::wait_until("the relay", &log, || process::listens(port));
        let token = caller["token"].as_str().expect("a token").to_owned();
        Relay { _folder: folder, _process: running, address: format!("http://127.0.0.1:{port}"), token }
    }
}

/// The standby lacked something, and all nodes were restarted: only followers have read it.
#[test]
fn followers_get_on_where_no_node_remembers_what_was_lost() {
    let mut cluster = Cluster::physical();
    let listen = format!("127.0.0.1:{}", process::free_port());
    let source = format!("http://{listen}");
    let first = node_on(&listen, &cluster.deployment);
    let relay = Relay::of(&cluster.deployment, &cluster.follower, &source);
    let beside = Edge::new(&cluster.deployment, &[&source], &["live"]);
    let behind = Edge::new(&cluster.deployment, &[&relay.address], &["live"]);
    behind.secret_file("feed-api.key", &relay.token);
    let edges = [beside.start(), behind.start()];
    let refused = |keys: &[String]| edges.iter().all(|edge| keys.iter().all(|key| !is_accepted(edge, key)));

    let kept = revoke_some(&first, 3);
    cluster.standby.until_it_has_all_of(&cluster.primary);
    cluster.standby.lose_primary();
    let lost = revoke_some(&first, 4);
    println!("all edges know it {:?} after the acknowledgement", until("both edges know it", || refused(&lost)));
    first.stop();
    cluster.fail_over();
    let second = node_on(&listen, &cluster.deployment);
    let after = revoke_some(&second, 6);
    println!("and {:?} after the failover", until("they hear what came after", || refused(&after)));
    assert!(refused(&kept) && refused(&lost), "nothing is forgotten");
    let good = issue(&second);
    assert!(edges.iter().all(|edge| is_accepted(edge, &good)), "a good key is accepted");
}
