//! Cables that are pulled out, and networks that fall apart.

use std::time::{Duration, Instant};

use super::{Truth, World, until};
use crate::support::on_hosts::{EdgeOn, Verdict};

/// How old the state of an edge may become here.
const MAX_STALE: Duration = Duration::from_secs(30);

#[test]
fn an_edge_that_is_cut_off_from_all_nodes_serves_for_as_long_as_it_may() {
    let world = World::new("4s");
    let (here, there, away) = (world.network.host(), world.network.host(), world.network.host());
    let nodes = [&here, &there].map(|host| world.node(host));
    let edge = world.edge(&away, &[&here, &there]);
    edge.files.configure("max_stale = \"1h\"", &format!("max_stale = \"{}s\"", MAX_STALE.as_secs()));
    let edge = edge.start();
    let mut truth = Truth::new(&nodes[0]);
    until("the edge knows the first revocation", || truth.is_known(|key| edge.verdict(key)));

    away.cut();
    let cut = Instant::now();
    truth.revoke_at(&nodes[1]);
    let unknown = truth.revoked.len() - 1;
    // Well within the policy: the newest message was made a few seconds before the cut at the most.
    until("the edge says that it is degraded", || {
        assert!(truth.is_kept(unknown, |key| edge.verdict(key)), "it goes on, and forgets nothing");
        !edge.is_well()
    });
    until("the edge cannot tell any more", || {
        assert!(truth.revoked[..unknown].iter().all(|key| edge.verdict(key) == Verdict::Refused));
        edge.verdict(&truth.good) == Verdict::CouldNotTell
    });
    let alone = cut.elapsed();
    assert!(alone > MAX_STALE - Duration::from_secs(10) && alone < 3 * MAX_STALE, "{alone:?}");
    assert_eq!(edge.ready()["ready"], false);

    away.heal();
    until("the edge knows everything again, from the moment the cable is in", || {
        truth.is_known(|key| edge.verdict(key)) && edge.verdict(&truth.good) == Verdict::Accepted
    });
    assert!(!edge.server.log().contains("panicked"));
}

#[test]
fn both_sides_of_a_divided_network_hear_of_what_is_revoked_on_either() {
    let world = World::new("60s");
    let [left, right, near, far] = [(); 4].map(|()| world.network.host());
    // One disk for both nodes, as with a store that both still reach.
    let nodes = [&left, &right].map(|host| world.node(host));
    let edges = [&near, &far].map(|host| world.edge(host, &[&left, &right]));
    let edges = edges.each_ref().map(EdgeOn::start);
    let mut truth = Truth::new(&nodes[0]);
    until("both edges know the first revocation", || edges.iter().all(|edge| truth.is_known(|key| edge.verdict(key))));
    world.network.divide(&[&right, &far]);
    for node in &nodes {
        truth.revoke_at(node);
        until("both edges know it across the divide", || {
            edges.iter().all(|edge| truth.is_known(|key| edge.verdict(key)))
        });
    }
    world.network.heal(&[&right, &far]);
    truth.revoke_at(&nodes[0]);
    until("both edges know the next one", || edges.iter().all(|edge| truth.is_known(|key| edge.verdict(key))));
    until("both edges follow both nodes again", || edges.iter().all(|edge| edge.is_well()));
    assert!(edges.iter().all(|edge| edge.verdict(&truth.good) == Verdict::Accepted));
}
