//! Failover: no acknowledged revocation is forgotten, no number is given twice, and where the new primary lacks
//! something, a new log begins, so that everybody who follows starts again.

use super::*;
use crate::support::{postgres::Postgres, proxy::Proxy};

/// A deployment whose nodes reach the primary by a proxy, which a failover points to another server.
pub(super) struct Cluster {
    pub(super) primary: Postgres,
    pub(super) standby: Postgres,
    proxy: Proxy,
    pub(super) deployment: Deployment,
    /// A follower's API key.
    pub(super) follower: String,
}

impl Cluster {
    pub(super) fn physical() -> Self {
        let primary = Postgres::primary();
        let proxy = Proxy::before(&primary);
        let deployment = Deployment::on_store(&proxy.url());
        let follower = deployment.issue_text("bulla", &["--scope", "feed"]);
        let standby = primary.standby("beside");
        Cluster { primary, standby, proxy, deployment, follower }
    }

    /// The primary fails, and the standby takes its place.
    pub(super) fn fail_over(&mut self) -> Instant {
        self.primary.stop("immediate");
        self.standby.promote();
        self.proxy.point_to(&self.standby);
        Instant::now()
    }
}

/// Revokes new keys; their texts.
pub(super) fn revoke_some(node: &Server, count: usize) -> Vec<String> {
    let keys: Vec<String> = (0..count).map(|_| issue(node)).collect();
    for key in &keys {
        let revoked = revoke(node, key);
        assert_eq!(revoked.status, 200, "{}", revoked.body);
    }
    keys
}

/// Waits until the node can revoke again; how long that takes.
fn until_it_works(node: &Server) -> Duration {
    until("the node works again", || {
        let issued = node.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP}));
        issued.status == 201
    })
}

#[test]
fn a_failover_to_a_synchronous_standby_loses_nothing_and_the_log_goes_on() {
    let mut cluster = Cluster::physical();
    cluster.primary.wait_for("beside");
    cluster.primary.sql("ALTER ROLE postgres SET synchronous_commit = off");
    let old = node(&cluster.deployment, &[]);
    let before = revoke_some(&old, 20);
    let earlier = Feed::read(&old, &cluster.follower);
    cluster.fail_over();
    println!("a node works again {:?} after a failover", until_it_works(&old));
    let after = revoke_some(&old, 5);
    let new = node(&cluster.deployment, &[]);
    for key in before.iter().chain(&after) {
        assert!(!is_accepted(&old, key) && !is_accepted(&new, key), "{key}");
    }
    let later = Feed::read(&new, &cluster.follower);
    assert_eq!(later.log_id, earlier.log_id, "nothing was lost: nobody has to start again");
    assert_eq!(later.behind(&earlier), 5);
    assert!(!old.log().contains("revocation log was replaced"), "{}", old.log());
}

#[test]
fn what_a_lagging_standby_lacks_is_written_back_to_a_new_log() {
    let mut cluster = Cluster::physical();
    let witness = node(&cluster.deployment, &[]);
    let kept = revoke_some(&witness, 5);
    cluster.standby.until_it_has_all_of(&cluster.primary);
    cluster.standby.lose_primary();
    let lost = revoke_some(&witness, 7);
    let suspended = issue(&witness);
    let suspend = witness.admin.post(&format!("/v1/api-keys/{}/suspend", id_of(&suspended)), &json!({}));
    assert_eq!(suspend.status, 200, "{}", suspend.body);
    let earlier = Feed::read(&witness, &cluster.follower);
    assert_eq!(earlier.numbers.len(), 13);
    cluster.fail_over();
    println!("a node works again {:?} after a failover that lost something", until_it_works(&witness));
    until("a new log begins", || Feed::read(&witness, &cluster.follower).log_id != earlier.log_id);
    // A node that knows nothing of it, and a follower that had read all.
    let new = node(&cluster.deployment, &[]);
    for key in kept.iter().chain(&lost).chain([&suspended]) {
        assert!(!is_accepted(&witness, key) && !is_accepted(&new, key), "{key}");
    }
    assert_eq!(Feed::read(&new, &cluster.follower).behind(&earlier), 8);
    let place = new.data.bearer(&cluster.follower).get(&format!("/v1/revocations?after={}", earlier.end));
    assert!(
        place.status == 200 && !place.body.contains(earlier.log_id.as_str().expect("an id")),
        "it is told to start again"
    );
    until("it says so", || witness.log().contains("the database lost the end of the revocation log"));
    let audit = new.admin.get("/v1/audit?limit=100").body;
    assert_eq!(audit.matches("api_key.restore_revocation").count(), 8, "{audit}");
}

/// The nodes were all restarted meanwhile: none remembers what was lost, and still no number is given twice. A follower
/// that has read it is not refused for ever: a new log begins when it asks.
#[test]
fn numbers_are_never_given_twice_even_where_nobody_remembers_them() {
    let mut cluster = Cluster::physical();
    let first = node(&cluster.deployment, &[]);
    revoke_some(&first, 3);
    cluster.standby.until_it_has_all_of(&cluster.primary);
    cluster.standby.lose_primary();
    revoke_some(&first, 4);
    let earlier = Feed::read(&first, &cluster.follower);
    first.stop();
    cluster.fail_over();
    let second = node(&cluster.deployment, &[]);
    revoke_some(&second, 6);
    assert_eq!(Feed::read(&second, &cluster.follower).behind(&earlier), 6);
    for _ in 0..2 {
        let place = second.data.bearer(&cluster.follower).get(&format!("/v1/revocations?after={}", earlier.end));
        assert_eq!(place.status, 200, "{}", place.body);
    }
    until("the new log is read", || Feed::read(&second, &cluster.follower).log_id != earlier.log_id);
    let begun = Feed::read(&second, &cluster.follower);
    assert_eq!(begun.behind(&earlier), 6);
    // It began once: another place of before changes nothing.
    second.data.bearer(&cluster.follower).get(&format!("/v1/revocations?after={}", earlier.end - 1));
    assert_eq!(Feed::read(&second, &cluster.follower).log_id, begun.log_id);
}

#[test]
fn over_a_logical_failover_nothing_is_forgotten_and_no_number_given_twice() {
    let mut primary = Postgres::primary();
    let proxy = Proxy::before(&primary);
    let deployment = Deployment::on_store(&proxy.url());
    let follower = deployment.issue_text("bulla", &["--scope", "feed"]);
    let replica = Postgres::primary();
    replica.subscribe_to(&primary, "postgres");
    let witness = node(&deployment, &[]);
    let kept = revoke_some(&witness, 5);
    let row = "SELECT revocation_seq FROM bulla.store";
    replica.until("it has them", |replica| replica.sql(row) == primary.sql(row));
    replica.pause_subscription("postgres");
    let lost = revoke_some(&witness, 4);
    let earlier = Feed::read(&witness, &follower);
    primary.stop("immediate");
    replica.unsubscribe("postgres");
    proxy.point_to(&replica);
    println!("a node works again {:?} after a logical failover", until_it_works(&witness));
    until("a new log begins", || Feed::read(&witness, &follower).log_id != earlier.log_id);
    let after = revoke_some(&witness, 3);
    let new = node(&deployment, &[]);
    for key in kept.iter().chain(&lost).chain(&after) {
        assert!(!is_accepted(&witness, key) && !is_accepted(&new, key), "{key}");
    }
    assert_eq!(Feed::read(&new, &follower).behind(&earlier), 7);
}

/// The driver finds the primary among several hosts by itself.
#[test]
fn of_several_hosts_the_primary_is_used() {
    let mut cluster = Cluster::physical();
    cluster.primary.wait_for("beside");
    let (standby, primary) = (cluster.standby.port(), cluster.primary.port());
    let url = format!("postgres://postgres@127.0.0.1:{standby},127.0.0.1:{primary}/postgres");
    let node = node(&cluster.deployment, &[("BULLA_STORE__URL", &url)]);
    let before = revoke_some(&node, 3);
    cluster.primary.stop("immediate");
    cluster.standby.promote();
    println!("a node works again {:?} after a failover between its hosts", until_it_works(&node));
    let after = revoke_some(&node, 3);
    assert!(before.iter().chain(&after).all(|key| !is_accepted(&node, key)));
}
