//! A node whose disk is set back to an older copy, without a word to anybody.

use std::{path::Path, time::Duration};

use rusqlite::Connection;

use super::{Truth, World, until};
use crate::support::{
    deployment::Deployment,
    on_hosts::{RunningEdge, Verdict},
};

/// What is known after the copy was made, and what is revoked behind it so that the log's numbers are used again.
const LOST: usize = 3;

/// A copy of the store as it is now.
fn copy(store: &Path, to: &Path) {
    let connection = Connection::open(store).expect("the store");
    connection.execute("VACUUM INTO ?1", [to.to_str().expect("a path")]).expect("copied");
}

/// Puts the older copy in the place of a store that nobody has open.
fn set_back(store: &Path, copy: &Path) {
    for ending in ["", "-wal", "-shm"] {
        let _not_there = std::fs::remove_file(format!("{}{ending}", store.display()));
    }
    std::fs::rename(copy, store).expect("put back");
}

#[test]
fn a_node_on_an_older_disk_says_so_and_edges_keep_what_it_lost() {
    let world = World::with(Deployment::on_file(), "10m");
    let (here, away) = (world.network.host(), world.network.host());
    let (store, older) = (world.deployment.file("bulla.db"), world.deployment.file("older.db"));
    let node = world.node(&here);
    let edge_files = world.edge(&away, &[&here]);
    let edge = edge_files.start();
    let mut truth = Truth::new(&node);
    let known = |truth: &Truth, edge: &RunningEdge<'_>| truth.is_known(|key| edge.verdict(key));
    until("the edge knows the first revocation", || known(&truth, &edge));
    let spare: Vec<_> = (0..2 * LOST).map(|_| node.issue()).collect();
    copy(&store, &older);
    for _ in 0..LOST {
        truth.revoke_at(&node);
    }
    until("the edge knows what the copy lacks", || known(&truth, &edge));

    node.server.signal("KILL");
    drop(node);
    set_back(&store, &older);
    let node = world.node(&here);
    assert_ne!(node.verdict(&truth.revoked[1]), Verdict::Refused, "the node does not know it any more");
    let lacks_its_end = || node.ready()["degraded"].to_string().contains("revocation log");
    until("the node says that its log lacks its end", lacks_its_end);
    let told = node.ready()["degraded"].to_string();
    assert!(told.contains("has read this log up to") && told.contains("older copy"), "{told}");
    let is_proven = || node.server.log().contains("a follower has read more of the revocation log than there is");
    until("the edge proves it by what the node signed", is_proven);
    until("it shows that", || node.ready()["degraded"].to_string().contains("which a node signed"));
    until("the fleet shows who is ahead", || {
        let fleet = world.deployment.run(&["fleet"]);
        fleet.ok().out.lines().any(|line| line.contains("ahead"))
    });
    assert!(known(&truth, &edge), "the edge keeps what it knows");

    // It cannot know what else it has lost.
    until("the node could not tell", || node.verdict(&truth.revoked[1]) == Verdict::CouldNotTell);
    assert_eq!(node.verdict(&truth.good), Verdict::CouldNotTell, "any key may have been revoked");
    assert_eq!(node.verdict(&truth.revoked[0]), Verdict::Refused, "what it knows it says");
    assert_eq!(node.ready()["ready"], false);
    assert!(node.try_issue().is_none(), "the administrator's key may have been revoked, too");

    // The numbers of the lost events now stand for others.
    for key in spare {
        truth.revoke(&node, key);
        assert!(truth.is_kept(LOST + 1, |key| edge.verdict(key)), "the edge keeps what it knows");
    }
    until("the edge knows what was revoked since, and what was lost", || known(&truth, &edge));
    until("the edge is well again", || edge.is_well());
    let diverged = away.inside(|| edge.server.metric("bulla_follow_diverged_total"));
    assert!(diverged >= 1, "no message was out of date: the live set alone told it");
    assert!(known(&truth, &edge) && lacks_its_end(), "nobody forgets, as nobody told");
    edge.server.signal("KILL");
    drop(edge);
    let edge = edge_files.start();
    until("the edge knows both from its disk", || known(&truth, &edge));

    // What the operator does: a new log, in which the lost revocations are repeated.
    let connection = Connection::open(&store).expect("the store");
    connection.busy_timeout(Duration::from_secs(60)).expect("set");
    let renew = "UPDATE revocation_log SET log_id = lower(hex(randomblob(16)))";
    connection.execute(renew, []).expect("renewed");
    drop(connection);
    for key in &truth.revoked[1..=LOST] {
        node.revoke(key);
    }
    until("the node is well again", || !lacks_its_end() && node.verdict(&truth.good) == Verdict::Accepted);
    assert!(truth.is_known(|key| node.verdict(key)), "the node knows everything again");
    until("the edge has read the new log", || known(&truth, &edge) && edge.is_well());
}
