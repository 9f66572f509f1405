//! A store of the first step, as a bulla of then left it and goes on with it.

use std::path::Path;

use jiff::Timestamp;

use super::STEPS;
use crate::{
    action::Actor,
    config::{StoreConfig, StoreUrl},
    store::{Store, StoreError, postgres::PostgresStore, test_postgres::Postgres, transact},
};

fn id(number: u64) -> String {
    format!("acme_live_00000X{number:016}")
}

/// What a bulla that knows the first step alone writes: a row of each table that a later step changed, and of those
/// that every node reads.
fn written_then(number: u64) -> String {
    let id = id(number);
    format!(
        "INSERT INTO bulla.api_keys (seq, api_key_id, realm, app_id, version, issued_at, scopes, meta, issued_by)
             VALUES ({number}, '{id}', 'acme_live', '00000000-0000-0000-0000-000000000007', 33, 1795000000, 'a', '{{}}', 'test');
         INSERT INTO bulla.revocations (seq, kind, api_key_id, version, effective_at, recorded_at, recorded_by)
             VALUES ({number}, 'revoke', '{id}', 33, 1795000000, 1795000000, 'test');
         INSERT INTO bulla.audit (seq, at, actor, action, detail)
             VALUES ({number}, 1795000000, 'cli:test', 'revoke', '{{}}');
         INSERT INTO bulla.imported_sets (set_id, realm, rule, id_key)
             VALUES ({number}, 'acme_live', '{{\"then\": {number}}}', '\\x00');
         INSERT INTO bulla.followers (name, role, owner, version, formats, seq, this_update, keyring_serial, versions, realms,
                                      refused, started_at, last_contact)
             VALUES ('edge-{number}', 'edge', 'an app', '0.1.0', '[]', 0, 0, 2, '[]', '[]', 0, 1795000000, 1795000000);
         UPDATE bulla.followers SET seq = {number}, last_contact = 1795000001 WHERE name = 'edge-1';
         UPDATE bulla.store SET key_seq = {number}, revocation_seq = {number}, audit_seq = {number} WHERE id = 1"
    )
}

#[test]
fn a_store_of_the_first_step_is_brought_up_and_an_older_node_goes_on_with_it() {
    let database = Postgres::shared().new_database();
    let psql = |sql: &str| Postgres::shared().psql(&database, sql);
    let first = STEPS[0].sql;
    psql(&format!(
        "CREATE SCHEMA bulla; {first}; \
         CREATE TABLE bulla.schema_steps (step bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT now()); \
         INSERT INTO bulla.schema_steps (step) VALUES (1)"
    ));
    psql(&written_then(1));
    let config = StoreConfig::at(&Postgres::shared().url(&database));
    let Ok(StoreUrl::Postgres(url)) = config.parsed() else { panic!("it is a URL of PostgreSQL") };
    let opened = PostgresStore::open(*url, &config, Path::new("/"), false).expect("brought up");
    let store: &dyn Store = &opened;
    assert_eq!(psql("SELECT count(*) FROM bulla.schema_steps"), STEPS.len().to_string());
    assert_eq!(psql("SELECT needs FROM bulla.store"), "0", "nothing that an older node cannot live with");
    psql(&written_then(2));

    for number in [1, 2] {
        let found = store.find(&id(number).parse().expect("an id")).expect("looked").expect("found");
        assert_eq!((found.row.restrictions, found.use_count), (None, 0), "{number}");
    }
    let log = store.revocations_after(0, 9).expect("the log");
    assert_eq!((log.events.len(), log.end), (2, 2));
    assert_eq!(store.audit_after(0, 9).expect("the audit").len(), 2);
    let names = [1, 2].map(|number| format!("edge-{number}"));
    let owners = store.follower_owners(&names, Timestamp::UNIX_EPOCH).expect("looked up");
    assert_eq!(
        owners.iter().map(|(name, owner)| (name.as_str(), owner.as_str())).collect::<Vec<_>>(),
        [("edge-1", "an app"), ("edge-2", "an app")]
    );
    // And the newer node goes on behind them.
    let record = Actor::service().record(Timestamp::UNIX_EPOCH, "test", None, serde_json::json!({}));
    transact::<_, StoreError>(store, |transaction| transaction.append_audit(&record)).expect("noted");
    assert_eq!(store.audit_after(2, 9).expect("the audit").len(), 1);
}
