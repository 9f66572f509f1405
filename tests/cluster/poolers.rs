//! pgpool sends reads to a standby that may be behind. Nothing that it says there is believed.

use super::*;
use crate::support::{
    cluster::{Pgpool, url_at},
    postgres::Postgres,
};

#[test]
fn behind_pgpool_no_stale_read_of_a_standby_is_believed() {
    let primary = Postgres::primary();
    let deployment = Deployment::on_store(&primary.here());
    let standby = primary.standby("beside");
    let pool = Pgpool::before(&primary, &standby);
    // All reads that pgpool may balance are stale from now on.
    standby.until_it_has_all_of(&primary);
    standby.pause_replay(true);
    let pooled = url_at(pool.port);
    let nodes =
        [node(&deployment, &[("BULLA_STORE__URL", &pooled)]), node(&deployment, &[("BULLA_STORE__URL", &pooled)])];
    for _ in 0..10 {
        for (one, other) in [(&nodes[0], &nodes[1]), (&nodes[1], &nodes[0])] {
            let key = issue(one);
            assert!(is_accepted(other, &key));
            assert_eq!(other.admin.get(&format!("/v1/api-keys/{}", id_of(&key))).status, 200, "on record at once");
            assert_eq!(revoke(one, &key).status, 200);
            until("it is refused", || !is_accepted(other, &key));
            let shown = other.admin.get(&format!("/v1/api-keys/{}", id_of(&key))).json();
            assert_eq!(shown["state"], "revoked", "{shown}");
        }
    }
    for node in &nodes {
        assert!(!node.log().contains("revocation log was replaced"), "{}", node.log());
    }
    // What a standby says is refused, where a pooler sends something there nevertheless.
    let reads =
        standby.sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%bulla.%' AND pid <> pg_backend_pid()");
    println!("connections of pgpool to the standby that were asked for the store: {reads}");
    assert_eq!(reads, "0");
}
