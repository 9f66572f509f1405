//! A database that fails over below nodes, with an edge that follows them.

use super::{Truth, World, until};
use crate::support::{netns::Host, on_hosts::Verdict, postgres::Postgres, proxy::Proxy};

/// A primary, and the server that takes its place.
struct Pair {
    primary: Postgres,
    other: Postgres,
    /// What leads to the one that is in use.
    proxy: Proxy,
}

impl Pair {
    /// A world whose database has a standby that streams.
    fn physical() -> (World, Host, Self) {
        let primary = Postgres::primary();
        let proxy = Proxy::before(&primary);
        let (world, store) = World::behind("60s", &proxy);
        let other = primary.standby("beside");
        (world, store, Pair { primary, other, proxy })
    }

    /// One whose database has a subscriber to all of its tables.
    fn logical() -> (World, Host, Self) {
        let primary = Postgres::primary();
        let proxy = Proxy::before(&primary);
        let (world, store) = World::behind("60s", &proxy);
        let other = Postgres::primary();
        other.subscribe_to(&primary, "postgres");
        (world, store, Pair { primary, other, proxy })
    }

    /// The primary fails, and the other server takes its place once `promote` has made it one that takes writes.
    fn fail_over(&mut self, promote: impl FnOnce(&Postgres)) {
        self.primary.stop("immediate");
        promote(&self.other);
        self.proxy.point_to(&self.other);
    }
}

/// Revokes at two nodes, lets the other server `lag`, fails over, and holds everybody to what was acknowledged: both
/// nodes, an edge, and a node that starts only afterwards. `loses` says whether the other server lacks something then.
fn nobody_forgets(
    (world, _store, mut pair): (World, Host, Pair),
    lag: impl FnOnce(&Pair),
    promote: impl FnOnce(&Postgres),
    loses: bool,
) {
    let [left, right, away, later] = [(); 4].map(|()| world.network.host());
    let nodes = [&left, &right].map(|host| world.node(host));
    let files = world.edge(&away, &[&left, &right]);
    let edge = files.start();
    let mut truth = Truth::new(&nodes[0]);
    truth.revoke_at(&nodes[1]);
    let everyone = |truth: &Truth| {
        nodes.iter().all(|node| truth.is_known(|key| node.verdict(key))) && truth.is_known(|key| edge.verdict(key))
    };
    until("everyone knows the first revocations", || everyone(&truth));

    lag(&pair);
    for node in [&nodes[0], &nodes[1], &nodes[0]] {
        truth.revoke_at(node);
    }
    until("everyone knows those before the failover", || everyone(&truth));
    let acknowledged = truth.revoked.len();
    pair.fail_over(promote);
    until("both nodes work again, from the promotion on", || {
        assert!(nodes.iter().all(|node| truth.is_kept(acknowledged, |key| node.verdict(key))), "no node forgets");
        assert!(truth.is_kept(acknowledged, |key| edge.verdict(key)), "nor does the edge");
        nodes.iter().all(|node| node.try_issue().is_some())
    });
    for node in [&nodes[1], &nodes[0]] {
        truth.revoke_at(node);
    }
    until("everyone knows what came afterwards", || everyone(&truth));
    let new = world.node(&later);
    until("a node that starts now knows everything, too", || truth.is_known(|key| new.verdict(key)));
    until("the edge is well", || {
        assert!(truth.is_kept(acknowledged, |key| edge.verdict(key)), "it forgets nothing in between");
        edge.is_well()
    });
    assert!(everyone(&truth) && edge.verdict(&truth.good) == Verdict::Accepted);
    assert_eq!(new.verdict(&truth.good), Verdict::Accepted);
    let lost = |log: String| log.contains("the database lost the end of the revocation log");
    assert_eq!(nodes.iter().any(|node| lost(node.server.log())), loses);
}

#[test]
fn a_failover_to_a_synchronous_standby_loses_nothing_for_nodes_and_edges() {
    let world = Pair::physical();
    let lag = |pair: &Pair| {
        pair.primary.wait_for("beside");
        pair.primary.sql("ALTER ROLE postgres SET synchronous_commit = off");
    };
    nobody_forgets(world, lag, Postgres::promote, false);
}

#[test]
fn what_a_lagging_standby_lacks_is_forgotten_by_no_node_and_no_edge() {
    let world = Pair::physical();
    let lag = |pair: &Pair| {
        pair.other.until_it_has_all_of(&pair.primary);
        pair.other.lose_primary();
    };
    nobody_forgets(world, lag, Postgres::promote, true);
}

#[test]
fn what_a_logical_replica_lacks_is_forgotten_by_no_node_and_no_edge() {
    let world = Pair::logical();
    let lag = |pair: &Pair| {
        let row = "SELECT revocation_seq FROM bulla.store";
        pair.other.until("it has the first ones", |other| other.sql(row) == pair.primary.sql(row));
        pair.other.pause_subscription("postgres");
    };
    nobody_forgets(world, lag, |other| other.unsubscribe("postgres"), true);
}
