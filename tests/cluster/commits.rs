//! A commit waits for the synchronous standby. Where that is gone, nobody is told that something was done that may be
//! lost, and nothing is done twice.

use super::*;
use crate::support::postgres::Postgres;

struct Pair {
    primary: Postgres,
    standby: Postgres,
    deployment: Deployment,
}

/// A primary whose commits wait for its standby, though the roles' default is that they wait for nothing.
fn pair() -> Pair {
    let primary = Postgres::primary();
    let deployment = Deployment::on_store(&primary.here());
    let standby = primary.standby("beside");
    primary.wait_for("beside");
    primary.sql("ALTER ROLE postgres SET synchronous_commit = off");
    Pair { primary, standby, deployment }
}

fn waiting(primary: &Postgres) -> String {
    primary.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
}

#[test]
fn a_commit_that_hangs_may_have_happened_and_is_not_done_twice() {
    let Pair { primary, mut standby, deployment } = pair();
    let node = impatient_node(&deployment, &[]);
    let key = issue(&node);
    standby.stop("immediate");
    let revoked = revoke(&node, &key);
    assert_eq!((revoked.status, revoked.problem().as_str()), (503, "may-have-happened"), "{}", revoked.body);
    assert_eq!(revoked.header("retry-after"), Some("1"));
    // Its commit waits on, and all others wait for it: of these it is known that they did nothing.
    assert_eq!(waiting(&primary), "1");
    let body = json!({"realm": "live", "app_id": APP}).to_string();
    let headers = [("content-type", "application/json"), ("idempotency-key", "once")];
    let again = || node.admin.request("POST", "/v1/api-keys", &headers, &body);
    let refused = again();
    assert_eq!((refused.status, refused.problem().as_str()), (503, "unavailable"), "{}", refused.body);
    assert!(is_accepted(&node, &key), "nobody has been told that it is revoked");
    standby.run();
    until("the standby is back", || waiting(&primary) == "0");
    until("it is refused", || !is_accepted(&node, &key));
    assert_eq!(revoke(&node, &key).json()["changed"], false);

    // What goes on in the background must not come first: the sweep, and the record of the calls that failed.
    until("the failed calls are on record", || {
        let refused = primary.sql("SELECT count(*) FROM bulla.audit WHERE action = 'admin.refused'");
        refused == "2" && node.data.get("/readyz").json()["degraded"] == json!([])
    });
    // Now the commit that hangs is that of a request with an idempotency key.
    standby.stop("immediate");
    let lost = again();
    assert_eq!((lost.status, lost.problem().as_str()), (503, "may-have-happened"), "{}", lost.body);
    standby.run();
    until("the standby is back", || waiting(&primary) == "0");
    let found = again();
    println!("the same request again: {} {}", found.status, found.body);
    let on_record = node.admin.get("/v1/api-keys?realm=live").json()["api_keys"].as_array().expect("a list").len();
    assert_eq!(on_record, 2, "one before, and one by two requests with the same key");
    assert_eq!(again().body, found.body);
}

#[test]
fn a_commit_that_is_cancelled_has_happened_and_is_not_acknowledged() {
    let Pair { primary, mut standby, deployment } = pair();
    let node = Server::start_with(&deployment, &[("BULLA_STORE__STATEMENT_TIMEOUT", "100s")]);
    let key = issue(&node);
    standby.stop("immediate");
    std::thread::scope(|scope| {
        let revoked = scope.spawn(|| revoke(&node, &key));
        until("it waits", || waiting(&primary) == "1");
        primary.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
        let revoked = revoked.join().expect("an answer");
        assert_eq!((revoked.status, revoked.problem().as_str()), (503, "may-have-happened"), "{}", revoked.body);
        assert!(revoked.body.contains("01000"), "{}", revoked.body);
    });
    until("it is refused all the same", || !is_accepted(&node, &key));
    // Nor is the repeated request, which finds it done: the standby still lacks it.
    std::thread::scope(|scope| {
        let again = scope.spawn(|| revoke(&node, &key));
        until("it waits, too", || waiting(&primary) == "1");
        primary.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
        let again = again.join().expect("an answer");
        assert_eq!((again.status, again.problem().as_str()), (503, "may-have-happened"), "{}", again.body);
    });
    standby.run();
    until("the standby is back", || waiting(&primary) == "0");
    assert_eq!(revoke(&node, &key).json()["changed"], false);
}

#[test]
fn a_commit_whose_connection_is_cut_may_have_happened() {
    let Pair { primary, mut standby, deployment } = pair();
    let node = Server::start_with(&deployment, &[("BULLA_STORE__STATEMENT_TIMEOUT", "100s")]);
    let key = issue(&node);
    standby.stop("immediate");
    std::thread::scope(|scope| {
        let revoked = scope.spawn(|| revoke(&node, &key));
        until("it waits", || waiting(&primary) == "1");
        primary.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
        let revoked = revoked.join().expect("an answer");
        assert_eq!((revoked.status, revoked.problem().as_str()), (503, "may-have-happened"), "{}", revoked.body);
    });
    until("it is refused all the same", || !is_accepted(&node, &key));
}

#[test]
fn doctor_says_whether_a_failover_may_lose_something() {
    let Pair { primary, mut standby, deployment } = pair();
    let said = |what: &str| {
        let doctor = deployment.run(&["doctor"]);
        assert!(doctor.out.contains(what), "{what}: {}", doctor.out);
    };
    said("waits for a standby");
    standby.stop("immediate");
    primary.until("it knows", |primary| primary.sql("SELECT count(*) FROM pg_stat_replication") == "0");
    said("no standby is connected");
    primary.wait_for("");
    said("waits for no standby");
}
