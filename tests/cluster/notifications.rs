//! Notifications are a hint: where they get lost, the log is polled, and everybody who should know is told.

use super::*;
use crate::support::{
    cluster::{PgBouncer, url_at},
    postgres::Postgres,
    proxy::{Mode, Proxy},
};

#[test]
fn a_node_whose_notifications_are_swallowed_polls_and_says_so() {
    let database = Postgres::primary();
    let deployment = Deployment::on_store(&database.here());
    let proxy = Proxy::before(&database);
    let through = proxy.url();
    let (one, other) = (node(&deployment, &[]), node(&deployment, &[("BULLA_STORE__LISTEN_URL", &through)]));
    let key = issue(&one);
    proxy.set(Mode::SwallowNotifications);
    until("it is told", || degraded(&other, "notifications").is_some());
    assert!(proxy.swallowed() > 0);
    until("the other one is well", || degraded(&one, "notifications").is_none());
    let told = degraded(&other, "notifications").expect("degraded");
    assert!(told.contains("store.listen_url"), "{told}");
    until("the metrics tell it", || (one.metric("bulla_store_polled"), other.metric("bulla_store_polled")) == (0, 1));
    let before = proxy.swallowed();
    assert_eq!(revoke(&one, &key).status, 200);
    let took = until("it is refused", || !is_accepted(&other, &key));
    println!("without notifications refused after {took:?}");
    proxy.set(Mode::Pass);
    until("it listens again", || degraded(&other, "notifications").is_none());
    assert!(proxy.swallowed() >= before);
    until("the metric tells it", || other.metric("bulla_store_polled") == 0);
}

#[test]
fn a_connection_for_notifications_that_hangs_is_replaced() {
    let database = Postgres::primary();
    let deployment = Deployment::on_store(&database.here());
    let proxy = Proxy::before(&database);
    let (one, other) = (node(&deployment, &[]), node(&deployment, &[("BULLA_STORE__LISTEN_URL", &proxy.url())]));
    proxy.set(Mode::Hang);
    until("it is told", || degraded(&other, "notifications").is_some());
    let key = issue(&one);
    assert_eq!(revoke(&one, &key).status, 200);
    until("it is refused", || !is_accepted(&other, &key));
    proxy.set(Mode::Pass);
    until("it listens again", || degraded(&other, "notifications").is_none());
}

/// Notifications bring a revocation to the other node faster than looks once a second would.
#[test]
fn a_revocation_is_refused_by_another_node_at_once() {
    let database = Postgres::primary();
    let deployment = Deployment::on_store(&database.here());
    let (one, other) = (node(&deployment, &[]), node(&deployment, &[]));
    let mut took: Vec<Duration> = (0..100)
        .map(|_| {
            let key = issue(&one);
            assert!(is_accepted(&other, &key));
            assert_eq!(revoke(&one, &key).status, 200);
            until("it is refused", || !is_accepted(&other, &key))
        })
        .collect();
    took.sort();
    println!("refused by another node after: median {:?}, p99 {:?}", took[50], took[98]);
    // By looks alone a quarter would take a quarter of a second. Any number of the others may be slow.
    assert!(took[25] < Duration::from_millis(150), "{took:?}");
}

#[test]
fn behind_pgbouncer_in_transaction_mode_all_works_and_a_url_of_its_own_brings_notifications() {
    let database = Postgres::primary();
    let deployment = Deployment::on_store(&database.here());
    let pooler = PgBouncer::before(&database);
    let pooled = url_at(pooler.port);
    let direct = database.here();
    let listening = node(&deployment, &[("BULLA_STORE__URL", &pooled), ("BULLA_STORE__LISTEN_URL", &direct)]);
    let polling = node(&deployment, &[("BULLA_STORE__URL", &pooled)]);
    until("the lack of notifications is told", || degraded(&polling, "notifications").is_some());
    until("the other one listens", || degraded(&listening, "notifications").is_none());
    for (one, other) in [(&listening, &polling), (&polling, &listening)] {
        let key = issue(one);
        assert!(is_accepted(other, &key));
        assert_eq!(revoke(one, &key).status, 200);
        let took = until("it is refused", || !is_accepted(other, &key));
        println!("behind PgBouncer refused after {took:?}");
    }
    let doctor = deployment.run_in(&["doctor"], &[("BULLA_STORE__URL", &pooled)]);
    assert!(doctor.out.contains("store.listen_url"), "{}", doctor.out);
}
