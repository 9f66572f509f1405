//! `cargo bench -p bulla-server --bench postgres`: how many keys a second are issued on PostgreSQL, each with its
//! records in the ledger and the audit, beside what `pgbench` reaches with the same statements. The server waits for
//! the disk (`fsync` is on).
//!
//! Both run in turn with the same number of clients, and the ratio is taken in each round: with statements that are
//! planned each time (`store.statement_cache = false`, the default, and pgbench's `extended`), and with prepared ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/support/postgres.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
mod postgres;

use std::{
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use bulla_server::testing::issuing::Issuing;
use postgres::{Postgres, program};
use uuid::Uuid;

const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_secs(6);

/// What bulla sends for one key: the reads before it is sealed, and the transaction. pgbench takes `:` before a letter
/// for a variable, in a text, too.
const SCRIPT: &str = r#"
\set app random(1, 1000000)
SELECT greatest((SELECT max(issued_before) FROM bulla.revocations AS rule WHERE kind = 'revoke_app' AND app_id = :app::text AND realm IS NULL), (SELECT max(issued_before) FROM bulla.revocations AS rule WHERE kind = 'revoke_app' AND app_id = :app::text AND realm = 'live'), (SELECT max(issued_before) FROM bulla.revocations AS rule WHERE kind = 'revoke_realm' AND app_id IS NULL AND realm = 'live'));
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SELECT mark, needs, key_seq + 1 AS key, revocation_seq AS revocation, secret_seq AS secret, CASE WHEN era IS DISTINCT FROM (SELECT system_identifier || '/' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) FROM pg_control_system()) THEN (SELECT system_identifier || '/' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) FROM pg_control_system()) END, set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN 'on' ELSE current_setting('synchronous_commit') END, true) FROM bulla.store WHERE id = 1 FOR UPDATE \gset
SELECT greatest((SELECT max(issued_before) FROM bulla.revocations AS rule WHERE kind = 'revoke_app' AND app_id = :app::text AND realm IS NULL), (SELECT max(issued_before) FROM bulla.revocations AS rule WHERE kind = 'revoke_app' AND app_id = :app::text AND realm = 'live'), (SELECT max(issued_before) FROM bulla.revocations AS rule WHERE kind = 'revoke_realm' AND app_id IS NULL AND realm = 'live'));
WITH key AS (INSERT INTO bulla.api_keys (seq, api_key_id, realm, app_id, version, name, issued_at, expires_at, scopes, audience, cidr, meta, issued_by, rerolled_from) VALUES (:key, 'live_' || substr(md5(random()::text), 1, 22), 'live', :app::text, 1, NULL, 1795000000, NULL, '', '[]', '[]', '{}', 'service', NULL) ON CONFLICT (api_key_id) DO NOTHING RETURNING realm, version) INSERT INTO bulla.seal_counts AS counts (realm, version, count) SELECT realm, version, 1 FROM key ON CONFLICT (realm, version) DO UPDATE SET count = counts.count + 1 RETURNING count;
INSERT INTO bulla.audit (seq, at, actor, address, action, target, detail) SELECT latest.seq + new.place, new.at, new.actor, new.address, new.action, new.target, new.detail FROM (SELECT coalesce(max(seq), 0) AS seq FROM bulla.audit) AS latest, unnest(ARRAY[1795000000::bigint], ARRAY['service'], ARRAY[NULL::text], ARRAY['api_key.issue'], ARRAY['live_0000000000000000000000'], ARRAY['{"app_id": "3f2b8c1e-9a7d-4d52-8a55-0123456789ab","expires_at": null, "scopes": []}']) WITH ORDINALITY AS new (at, actor, address, action, target, detail, place) ORDER BY new.place;
UPDATE bulla.store SET key_seq = :key, revocation_seq = :revocation, secret_seq = :secret WHERE id = 1;
COMMIT;
"#;

fn main() {
    let server = Postgres::start(&[]);
    let script = server.folder().join("issue.sql");
    fs::write(&script, SCRIPT).expect("written");
    println!("statements  clients  pgbench/s  bulla/s  ratio (median of {ROUNDS} rounds)");
    for (protocol, statement_cache) in [("extended", false), ("prepared", true)] {
        let (database, folder) = (server.new_database(), tempfile::tempdir().expect("a folder"));
        let issuing = Issuing::new(folder.path(), &server.url(&database), statement_cache).expect("a deployment");
        for clients in [1, 2, 4] {
            let mut rounds: Vec<(f64, f64)> = Vec::new();
            for _ in 0..ROUNDS {
                rounds.push((pgbench(&server, &database, &script, protocol, clients), bulla(&issuing, clients)));
            }
            rounds.sort_by(|one, other| (one.1 / one.0).total_cmp(&(other.1 / other.0)));
            let (pgbench, bulla) = rounds[ROUNDS / 2];
            println!("{protocol:10}  {clients:7}  {pgbench:9.0}  {bulla:7.0}  {:.2}", bulla / pgbench);
        }
    }
}

/// Transactions a second.
fn pgbench(server: &Postgres, database: &str, script: &Path, protocol: &str, clients: usize) -> f64 {
    let (clients, time) = (clients.to_string(), TIME.as_secs().to_string());
    let output = Command::new(program("pgbench"))
        .args(["--no-vacuum", "--protocol", protocol, "-U", "postgres", "-c", &clients, "-j", &clients, "-T", &time])
        .args(["-p", &server.port().to_string()])
        .arg("-h")
        .arg(server.folder())
        .arg("-f")
        .arg(script)
        .arg(database)
        .output()
        .expect("pgbench");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let tps = told.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok());
    tps.unwrap_or_else(|| panic!("{told} {}", String::from_utf8_lossy(&output.stderr)))
}

/// Keys a second.
fn bulla(issuing: &Issuing, clients: usize) -> f64 {
    let (stop, count, began) = (AtomicBool::new(false), AtomicU64::new(0), Instant::now());
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    issuing.issue(Uuid::new_v4()).expect("issued");
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        thread::sleep(TIME);
        stop.store(true, Ordering::Relaxed);
    });
    count.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}
