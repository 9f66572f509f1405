//! Faults of a database: restarted, cut off, and one that takes what it is asked and does not answer. Keys are verified
//! all the same, no acknowledged revocation is forgotten, and everybody converges; each test prints how long that took.

use super::*;
use crate::support::{
    postgres::Postgres,
    proxy::{Mode, Proxy},
};

/// Two nodes, of which `cut` reaches the database by a proxy.
struct Fleet {
    database: Postgres,
    deployment: Deployment,
    proxy: Proxy,
    near: Server,
    cut: Server,
}

fn fleet() -> Fleet {
    let database = Postgres::primary();
    let deployment = Deployment::on_store(&database.here());
    let proxy = Proxy::before(&database);
    let cut = impatient_node(&deployment, &[("BULLA_STORE__URL", &proxy.url())]);
    let near = node(&deployment, &[]);
    Fleet { database, deployment, proxy, near, cut }
}

#[test]
fn a_node_that_is_cut_off_goes_on_verifying_and_catches_up() {
    let fleet = fleet();
    let Fleet { proxy, near, cut, .. } = &fleet;
    let (good, dead) = (issue(near), issue(near));
    for mode in [Mode::Refuse, Mode::Hang, Mode::HangAnswers] {
        proxy.set(mode);
        let told = until("it is told", || degraded(cut, "revocations").is_some());
        let key = issue(near);
        assert_eq!(revoke(near, &key).status, 200);
        let begun = Instant::now();
        let refused = revoke(cut, &dead);
        assert_eq!(refused.status, 503, "{}", refused.body);
        let answered = begun.elapsed();
        assert!(answered < Duration::from_secs(45), "an administrator is told within the limits: {answered:?}");
        assert!(is_accepted(cut, &good) && is_accepted(cut, &key), "it cannot know better");
        proxy.set(Mode::Pass);
        let took = until("it catches up", || !is_accepted(cut, &key));
        until("all is well", || degraded(cut, "revocations").is_none());
        println!(
            "{mode:?}: told after {told:?}, an administrator answered after {answered:?}, caught up after {took:?}"
        );
    }
    // What was asked for meanwhile is done now, or was done then.
    assert_eq!(revoke(cut, &dead).status, 200);
    assert!(!is_accepted(near, &dead) && is_accepted(near, &good) && is_accepted(cut, &good));
}

#[test]
fn a_database_that_is_restarted_costs_nobody_a_revocation() {
    let Fleet { mut database, near, cut, deployment: _deployment, proxy: _proxy } = fleet();
    let keys: Vec<String> = (0..30).map(|_| issue(&near)).collect();
    let good = issue(&near);
    std::thread::scope(|scope| {
        // Revocations go on over the restart, each repeated until it is acknowledged.
        let revoking = scope.spawn(|| {
            for key in &keys {
                until("it is acknowledged", || revoke(&near, key).status == 200);
            }
        });
        for how in ["fast", "immediate"] {
            database.stop(how);
            assert!(is_accepted(&cut, &good) && is_accepted(&near, &good));
            database.run();
        }
        revoking.join().expect("all are acknowledged");
    });
    let took = until("all are refused everywhere", || keys.iter().all(|key| !is_accepted(&cut, key)));
    println!(
        "after two restarts of the database all 30 were refused everywhere {took:?} after the last was acknowledged"
    );
    assert!(is_accepted(&cut, &good));
    for node in [&near, &cut] {
        until("all is well", || node.data.get("/readyz").json()["degraded"] == json!([]));
    }
}

#[test]
fn a_command_that_gets_no_answer_says_so_within_its_limits() {
    let database = Postgres::primary();
    let deployment = Deployment::on_store(&database.here());
    let proxy = Proxy::before(&database);
    proxy.set(Mode::Hang);
    let begun = Instant::now();
    let (url, timeout) = (proxy.url(), ("BULLA_STORE__CONNECT_TIMEOUT", "2s"));
    let ran = deployment.run_in(&["keys", "list"], &[("BULLA_STORE__URL", &url), timeout]);
    assert!(ran.code != 0 && ran.err.contains("no connection within 2s"), "{}", ran.err);
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}
