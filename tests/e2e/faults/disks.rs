//! Disks that are full.

use super::{Truth, World, until};
use crate::support::{mount::Mount, on_hosts::Verdict};

#[test]
fn an_edge_whose_disk_is_full_hears_of_revocations_and_saves_them_once_there_is_room() {
    let world = World::new("60s");
    let (here, away) = (world.network.host(), world.network.host());
    let node = world.node(&here);
    let (edge, disk) = (world.edge(&away, &[&here]), Mount::new("2m"));
    edge.files.configure("state = \"state\"", &format!("state = {:?}", disk.path().join("state")));
    let running = edge.start();
    let mut truth = Truth::new(&node);
    until("the edge knows the first revocation", || truth.is_known(|key| running.verdict(key)));

    disk.fill();
    // More than the rest of a page that is there already.
    node.revoke_ids(&(0..1_000).map(|at| format!("live_00000X{at:016}")).collect::<Vec<_>>());
    truth.revoke_at(&node);
    until("the edge knows the next one with a full disk", || truth.is_known(|key| running.verdict(key)));
    until("the edge says that it cannot save", || {
        let shown = running.ready();
        shown["ready"] == true && shown["degraded"].to_string().contains("state")
    });
    assert_eq!(running.verdict(&truth.good), Verdict::Accepted);
    disk.make_room();
    until("the edge has saved it", || running.is_well());

    // Alone, from its disk.
    away.cut();
    running.server.signal("KILL");
    drop(running);
    let running = edge.start();
    until("the edge knows everything from its disk", || truth.is_known(|key| running.verdict(key)));
    assert_eq!(running.verdict(&truth.good), Verdict::Accepted);
}
