//! A node that loses its database, while others keep it.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use super::{Truth, World, until};
use crate::support::{
    on_hosts::Verdict,
    postgres::Postgres,
    proxy::{Mode, Proxy},
};

#[test]
fn a_node_that_is_cut_off_from_the_database_verifies_on_and_hears_of_everything_afterwards() {
    let postgres = Postgres::start(&["fsync=off"]);
    let (world, store) = World::on_postgres("4s", &postgres);
    let [left, right, near, far] = [(); 4].map(|()| world.network.host());
    let nodes = [&left, &right].map(|host| world.node(host));
    let edges = [&near, &far].map(|host| world.edge(host, &[&left, &right]));
    let edges = edges.each_ref().map(|edge| edge.start());
    let mut truth = Truth::new(&nodes[0]);
    until("both edges and the other node know the first revocation", || {
        edges.iter().all(|edge| truth.is_known(|key| edge.verdict(key))) && truth.is_known(|key| nodes[1].verdict(key))
    });

    // The left node and its edge have each other, and nobody else.
    world.network.divide(&[&left, &near]);
    truth.revoke_at(&nodes[1]);
    until("the edge on the database's side knows the next one", || truth.is_known(|key| edges[1].verdict(key)));
    until("the node without a database says so", || {
        assert!(truth.is_kept(1, |key| nodes[0].verdict(key)), "it verifies on, and forgets nothing");
        assert!(truth.is_kept(1, |key| edges[0].verdict(key)), "and so does its edge");
        nodes[0].ready()["degraded"].to_string().contains("revocations")
    });

    world.network.heal(&[&left, &near]);
    until("everyone knows everything, from the moment the network is whole", || {
        nodes.iter().all(|node| truth.is_known(|key| node.verdict(key)))
            && edges.iter().all(|edge| truth.is_known(|key| edge.verdict(key)))
    });
    truth.revoke_at(&nodes[0]);
    until("both edges know what the node revokes that was cut off", || {
        edges.iter().all(|edge| truth.is_known(|key| edge.verdict(key)))
    });
    assert!(edges.iter().all(|edge| edge.verdict(&truth.good) == Verdict::Accepted));
    drop(store);
}

#[test]
fn nothing_is_lost_when_the_database_restarts_under_load() {
    let mut postgres = Postgres::start(&[]);
    let (world, _store) = World::on_postgres("60s", &postgres);
    let (here, away) = (world.network.host(), world.network.host());
    let node = world.node(&here);
    let edge = world.edge(&away, &[&here]).start();
    let mut truth = Truth::new(&node);
    until("the edge knows the first revocation", || truth.is_known(|key| edge.verdict(key)));
    // Keys are revoked all the time, also while the database stops. What was acknowledged counts.
    let keys: Vec<_> = (0..200).map(|_| node.issue()).collect();
    let done = AtomicUsize::new(0);
    let acknowledged: Vec<_> = thread::scope(|scope| {
        let revoking = scope.spawn(|| {
            let acknowledged = keys.iter().filter(|key| {
                done.fetch_add(1, Ordering::SeqCst);
                // So that there are some left when the database is back.
                thread::sleep(Duration::from_millis(30));
                node.try_revoke(key)
            });
            acknowledged.cloned().collect()
        });
        until("some are revoked", || done.load(Ordering::SeqCst) > 30);
        postgres.stop("immediate");
        assert!(truth.is_known(|key| node.verdict(key)), "a node verifies without its database");
        postgres.run();
        until("the node revokes again", || node.try_issue().is_some());
        revoking.join().expect("what was acknowledged")
    });
    println!("{} of {} were acknowledged", acknowledged.len(), keys.len());
    assert!(acknowledged.len() >= 20 && acknowledged.len() < keys.len(), "the database stopped among them");
    truth.revoked.extend(acknowledged);
    truth.revoke_at(&node);
    until("the edge knows everything", || truth.is_known(|key| edge.verdict(key)));
    assert_eq!(edge.verdict(&truth.good), Verdict::Accepted);
}

#[test]
fn a_database_that_takes_everything_and_never_answers_stops_no_verifier() {
    let postgres = Postgres::start(&["fsync=off"]);
    let proxy = Proxy::before(&postgres);
    let (world, _store) = World::behind("60s", &proxy);
    let [left, right, away] = [(); 3].map(|()| world.network.host());
    let nodes = [&left, &right].map(|host| world.node(host));
    let files = world.edge(&away, &[&left, &right]);
    let edge = files.start();
    let mut truth = Truth::new(&nodes[0]);
    until("the edge and the other node know the first revocation", || {
        truth.is_known(|key| edge.verdict(key)) && truth.is_known(|key| nodes[1].verdict(key))
    });
    let asked = nodes[0].issue();

    proxy.set(Mode::HangAnswers);
    assert!(!nodes[0].try_revoke(&asked), "nobody says that it is revoked");
    until("both nodes say that the database does not answer", || {
        assert!(
            nodes.iter().all(|node| truth.is_kept(1, |key| node.verdict(key))),
            "they verify on, and forget nothing"
        );
        assert!(truth.is_kept(1, |key| edge.verdict(key)), "and so does the edge");
        nodes.iter().all(|node| node.ready()["degraded"].to_string().contains("revocations"))
    });

    proxy.set(Mode::Pass);
    until("both nodes write again", || nodes.iter().all(|node| node.try_issue().is_some()));
    // It was revoked then, or is now.
    nodes[1].revoke(&asked);
    truth.revoked.push(asked);
    truth.revoke_at(&nodes[0]);
    until("everyone knows everything", || {
        nodes.iter().all(|node| truth.is_known(|key| node.verdict(key))) && truth.is_known(|key| edge.verdict(key))
    });
    until("everyone is well", || {
        edge.is_well() && nodes.iter().all(|node| !node.ready()["degraded"].to_string().contains("revocations"))
    });
    assert_eq!(edge.verdict(&truth.good), Verdict::Accepted);
}
