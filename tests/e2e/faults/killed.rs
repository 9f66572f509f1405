//! A node that dies while it answers.

use super::{Truth, World, until};
use crate::support::on_hosts::Verdict;

/// As many as a message holds: a megabyte, of which the machine of an edge that does not read takes in a part alone.
const MANY: usize = 10_000;

#[test]
fn a_node_that_dies_in_the_middle_of_a_message_costs_nothing() {
    let world = World::new("60s");
    let (here, there, away) = (world.network.host(), world.network.host(), world.network.host());
    let node = world.node(&here);
    let edge = world.edge(&away, &[&here, &there]).start();
    let mut truth = Truth::new(&node);
    until("the edge knows the first revocation", || truth.is_known(|key| edge.verdict(key)));

    edge.server.signal("STOP");
    let ids: Vec<String> = (0..MANY).map(|at| format!("live_00000X{at:016}")).collect();
    node.revoke_ids(&ids);
    until("a part of the message is with the edge's machine, and a part is not", || here.unsent() > 0);
    // Behind it in the log, so that nobody knows the one without the other.
    truth.revoke_at(&node);
    here.cut();
    node.server.signal("KILL");
    drop(node);
    edge.server.signal("CONT");
    assert!(truth.is_kept(1, |key| edge.verdict(key)), "what was known is known");
    let node = world.node(&there);
    until("the edge knows everything, from the start of another node on", || {
        assert!(truth.is_kept(1, |key| edge.verdict(key)), "what was known is known");
        truth.is_known(|key| edge.verdict(key))
    });
    truth.revoke_at(&node);
    until("the edge knows the next one", || truth.is_known(|key| edge.verdict(key)));
    assert_eq!(edge.verdict(&truth.good), Verdict::Accepted);
}
