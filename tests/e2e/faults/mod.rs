//! Faults of networks, clocks, disks and processes, with real processes on hosts of their own. In each of them no
//! acknowledged revocation is forgotten, no valid key is refused inside the policy, and everyone is of one mind at the
//! end. Each prints how long that took.

mod certificate;
mod clocks;
mod cut_off;
mod database;
mod disks;
mod failover;
mod killed;
mod lost;
mod old_disk;
mod proxied;

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{
    authority::Authority,
    deployment::Deployment,
    netns::{Host, Network},
    on_hosts::{EdgeOn, Node, Verdict},
    postgres::Postgres,
    proxy::Proxy,
};

/// The longest that anything here may take; a deadline, not an expectation.
const TIMEOUT: Duration = Duration::from_secs(180);

/// Where everything happens: a network, a deployment on its disk, and the authority of its certificates.
struct World {
    network: Network,
    deployment: Deployment,
    authority: Authority,
    /// What all nodes have in their environment.
    environment: Vec<(&'static str, String)>,
}

impl World {
    /// Messages of the feed count for `valid_for`.
    fn new(valid_for: &str) -> Self {
        Self::with(Deployment::new(), valid_for)
    }

    /// The same with its store in this PostgreSQL, which has a host of its own. Nodes reach it there, and commands by
    /// its socket.
    fn on_postgres(valid_for: &str, postgres: &Postgres) -> (Self, Host) {
        let database = postgres.new_database();
        Self::led_to(valid_for, &postgres.url(&database), &database, postgres.port())
    }

    /// The same with its store in the database `postgres` behind a proxy, which may lead to another server or hang.
    fn behind(valid_for: &str, proxy: &Proxy) -> (Self, Host) {
        let (mut world, store) = Self::led_to(valid_for, &proxy.url(), "postgres", proxy.port);
        // So that a test of a store that does not answer is no longer than it has to be.
        world.environment.push(("BULLA_STORE__STATEMENT_TIMEOUT", "5s".to_owned()));
        (world, store)
    }

    fn led_to(valid_for: &str, of_commands: &str, database: &str, port: u16) -> (Self, Host) {
        let mut world = Self::with(Deployment::on_store(of_commands), valid_for);
        let store = world.network.host();
        store.lead(5432, ([127, 0, 0, 1], port).into());
        let url = format!("postgres://postgres@{}:5432/{database}?sslmode=disable", store.address);
        world.environment.push(("BULLA_STORE__URL", url));
        (world, store)
    }

    fn with(deployment: Deployment, valid_for: &str) -> Self {
        let (network, authority) = (Network::new(), Authority::new("servers"));
        World { network, deployment, authority, environment: vec![("BULLA_FEED__VALID_FOR", valid_for.to_owned())] }
    }

    fn node<'h>(&self, host: &'h Host) -> Node<'h> {
        self.node_with(host, &[])
    }

    /// The same with further environment variables.
    fn node_with<'h>(&self, host: &'h Host, more: &[(&str, String)]) -> Node<'h> {
        let environment: Vec<(&str, &str)> =
            self.environment.iter().chain(more).map(|(name, value)| (*name, value.as_str())).collect();
        Node::start(host, &self.deployment, &self.authority, &environment)
    }

    /// An edge that follows the nodes on these hosts.
    fn edge<'h>(&self, host: &'h Host, nodes: &[&Host]) -> EdgeOn<'h> {
        EdgeOn::new(&self.deployment, &self.authority, host, nodes)
    }
}

/// Waits until `done`, and prints how long it took.
fn until(what: &str, mut done: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < TIMEOUT, "{what}: it did not happen in time");
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = begun.elapsed();
    println!("{what}: {:.2} s", took.as_secs_f64());
    took
}

/// A key that stays good, and the revoked keys that every verifier has to refuse.
struct Truth {
    good: Value,
    revoked: Vec<Value>,
}

impl Truth {
    /// With a key that is revoked at once.
    fn new(node: &Node<'_>) -> Self {
        let mut truth = Truth { good: node.issue(), revoked: Vec::new() };
        truth.revoke_at(node);
        truth
    }

    /// Revokes a new key at a node, which acknowledges it.
    fn revoke_at(&mut self, node: &Node<'_>) {
        self.revoke(node, node.issue());
    }

    /// Revokes a key at a node, which acknowledges it.
    fn revoke(&mut self, node: &Node<'_>, key: Value) {
        node.revoke(&key);
        assert_eq!(node.verdict(&key), Verdict::Refused, "a node knows what it has acknowledged");
        self.revoked.push(key);
    }

    /// Whether a verifier knows everything.
    fn is_known(&self, verdict: impl Fn(&Value) -> Verdict) -> bool {
        assert_ne!(verdict(&self.good), Verdict::Refused, "a good key is never refused");
        self.revoked.iter().all(|key| verdict(key) == Verdict::Refused)
    }

    /// Whether a verifier still knows the first so many, and the good key.
    fn is_kept(&self, first: usize, verdict: impl Fn(&Value) -> Verdict) -> bool {
        verdict(&self.good) == Verdict::Accepted
            && self.revoked[..first].iter().all(|key| verdict(key) == Verdict::Refused)
    }
}
