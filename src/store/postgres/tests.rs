//! What is PostgreSQL's own; what every store does is in `store/contract`.

use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use bulla::revocation::Change;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::{migrations::STEPS, *};
use crate::{
    action::Actor,
    config::{Span, StoreTls, StoreUrl},
    store::{AuditRecord, NewRevocation, test_postgres::Postgres, transact},
};

const ONE: &str = "acme_live_00000XzbyFf5rOyRXQyt8V";

fn opened(config: &StoreConfig, create: bool) -> Result<PostgresStore, StoreError> {
    config_opened(config, Path::new("/"), create)
}

fn config_opened(config: &StoreConfig, folder: &Path, create: bool) -> Result<PostgresStore, StoreError> {
    let Ok(StoreUrl::Postgres(url)) = config.parsed() else { panic!("it is a URL of PostgreSQL") };
    PostgresStore::open(*url, config, folder, create)
}

fn new_store() -> (String, StoreConfig, PostgresStore) {
    let database = Postgres::shared().new_database();
    let config = StoreConfig::at(&Postgres::shared().url(&database));
    let store = opened(&config, true).expect("a store");
    (database, config, store)
}

fn note(store: &dyn Store) -> Result<(), StoreError> {
    let record = record();
    transact(store, |transaction| transaction.append_audit(&record))
}

fn record() -> AuditRecord {
    Actor::service().record(Timestamp::UNIX_EPOCH, "test", None, serde_json::json!({}))
}

fn noted(store: &dyn Store) -> usize {
    store.audit_after(0, 100_000).expect("the audit").len()
}

fn suspension() -> NewRevocation {
    NewRevocation {
        change: Change::Suspend { id: ONE.parse().expect("an id"), expires_at: None },
        effective_at: None,
        reason: None,
        recorded_at: Timestamp::UNIX_EPOCH,
        recorded_by: "test".to_owned(),
    }
}

#[test]
fn a_number_that_no_follower_can_read_is_not_counted_on_from() {
    let (database, _, store) = new_store();
    let row = "INSERT INTO bulla.revocations (seq, kind, api_key_id, effective_at, recorded_at, recorded_by)
               VALUES (9007199254740992, 'suspend', 'no id', 1, 1, 'somebody')";
    Postgres::shared().psql(&database, row);
    let append = || transact::<_, StoreError>(&store, |transaction| transaction.append_revocation(&suspension()));
    assert!(matches!(append(), Err(StoreError::Damaged("the revocation log", row)) if row == "9007199254740992"));
    Postgres::shared().psql(&database, "DELETE FROM bulla.revocations");
    append().expect("as before");
}

#[test]
fn nodes_that_start_at_once_on_an_empty_schema_make_it_once() {
    let database = Postgres::shared().new_database();
    Postgres::shared().psql(&database, "CREATE SCHEMA bulla");
    let config = StoreConfig::at(&Postgres::shared().url(&database));
    let mut marks: Vec<String> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..6).map(|_| scope.spawn(|| opened(&config, false).expect("started").mark.0)).collect();
        starts.into_iter().map(|start| start.join().expect("no panic")).collect()
    });
    marks.dedup();
    assert_eq!(marks.len(), 1, "{marks:?}");
    assert_eq!(Postgres::shared().psql(&database, "SELECT count(*) FROM bulla.schema_steps"), STEPS.len().to_string());
}

#[test]
fn a_database_without_the_schema_is_not_taken_for_a_new_store() {
    let database = Postgres::shared().new_database();
    let config = StoreConfig::at(&Postgres::shared().url(&database));
    let error = opened(&config, false).err().expect("refused");
    assert!(matches!(error, StoreError::NoSchema(_)) && error.to_string().contains(&database), "{error}");
    opened(&config, true).expect("made");
    opened(&config, false).expect("there");
}

#[test]
fn an_older_node_works_on_beside_a_newer_one_unless_a_step_says_no() {
    let (database, config, store) = new_store();
    Postgres::shared().psql(
        &database,
        "INSERT INTO bulla.schema_steps (step) VALUES (99); ALTER TABLE bulla.audit ADD COLUMN more text",
    );
    note(&store).expect("the running one works on");
    note(&opened(&config, false).expect("started")).expect("and one that starts");
    Postgres::shared().psql(&database, "UPDATE bulla.store SET needs = 99");
    for error in [
        note(&store).expect_err("refused"),
        store.check_files().expect_err("refused"),
        store.revocations_after(0, 1).expect_err("refused"),
        opened(&config, false).err().expect("refused"),
    ] {
        assert!(matches!(error, StoreError::Newer(_, 99)), "{error}");
    }
    Postgres::shared().psql(&database, "UPDATE bulla.store SET needs = 1");
    note(&store).expect("again");
    assert_eq!(noted(&store), 3);
}

#[test]
fn another_database_behind_the_same_url_acknowledges_nothing() {
    let (database, config, store) = new_store();
    note(&store).expect("noted");
    let mark = Postgres::shared().psql(&database, "SELECT mark FROM bulla.store");
    Postgres::shared().psql(&database, "UPDATE bulla.store SET mark = 'another'");
    for error in [
        note(&store).expect_err("refused"),
        store.check_files().expect_err("refused"),
        store.revocations_after(0, 1).expect_err("refused"),
        store.secret_changes(0).expect_err("refused"),
        store.note_uses(&[]).expect_err("refused"),
    ] {
        assert!(matches!(error, StoreError::Exchanged(_)), "{error}");
    }
    note(&opened(&config, false).expect("another one is meant")).expect("noted");
    Postgres::shared().psql(&database, &format!("UPDATE bulla.store SET mark = '{mark}'"));
    note(&store).expect("it is the store again");
    assert_eq!(noted(&store), 3);
}

#[test]
fn connections_that_the_server_ended_are_replaced() {
    let (database, _, store) = new_store();
    note(&store).expect("noted");
    assert_eq!(noted(&store), 1);
    let end = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()"
    );
    for round in 1..4 {
        let ended: u32 = Postgres::shared().psql(&database, &end).parse().expect("a number");
        assert!(ended >= 2, "{ended}");
        note(&store).expect("noted");
        assert_eq!(noted(&store), 1 + round);
    }
}

#[test]
fn a_server_that_is_gone_is_told_at_once_between_attempts_and_found_again() {
    let mut server = Postgres::start(&["fsync=off"]);
    let database = server.new_database();
    let config = StoreConfig::at(&server.tcp_url("postgres", &database));
    let store = opened(&config, true).expect("a store");
    note(&store).expect("noted");
    server.stop("fast");
    let first = note(&store).expect_err("gone").to_string();
    assert!(first.contains("postgres") && first.contains(&server.port().to_string()), "{first}");
    let began = Instant::now();
    for _ in 0..50 {
        note(&store).expect_err("gone");
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    server.run();
    let deadline = Instant::now() + Duration::from_secs(90);
    while note(&store).is_err() {
        assert!(Instant::now() < deadline, "it is not found again");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(noted(&store), 2);
}

#[test]
fn a_wait_for_the_lock_ends_in_time_and_its_holder_loses_it() {
    let (database, mut config, store) = new_store();
    config.statement_timeout = Span(Duration::from_secs(3));
    let hasty = opened(&config, false).expect("opened");
    let (begun, begins) = std::sync::mpsc::channel();
    let (tried, goes_on) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let (holder, record) = (&store, record());
        let held = scope.spawn(move || {
            transact::<_, StoreError>(holder, |transaction| {
                begun.send(()).expect("the test waits");
                goes_on.recv().expect("the test goes on");
                transaction.append_audit(&record)
            })
        });
        begins.recv().expect("it began");
        let refused = note(&hasty).expect_err("the lock is held").to_string();
        assert!(refused.contains("statement_timeout"), "{refused}");
        tried.send(()).expect("it waits");
        held.join().expect("no panic").expect("noted");
    });
    // One that stands still in its transaction loses the lock, and nothing of it is done.
    let lost = transact::<_, StoreError>(&hasty, |transaction| {
        transaction.append_revocation(&suspension())?;
        let idle = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = ";
        while Postgres::shared().psql("postgres", &format!("{idle}'{database}'")) != "0" {}
        transaction.append_audit(&record())
    });
    assert!(lost.is_err());
    assert_eq!((noted(&store), store.revocations_after(0, 9).expect("the log").end), (1, 0));
    note(&hasty).expect("noted");
}

#[test]
fn a_step_of_the_schema_may_take_longer_than_a_statement() {
    let database = Postgres::shared().new_database();
    let mut config = StoreConfig::at(&Postgres::shared().url(&database));
    config.statement_timeout = Span(Duration::from_secs(4));
    // It waits for another process that takes steps, for longer than for an answer of a usual statement.
    let waits = "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
                 WHERE locktype = 'advisory' AND NOT granted AND datname = ";
    let mut other = Postgres::shared().psql_open(&database);
    let mut stdin = other.stdin.take().expect("its standard input");
    writeln!(stdin, "SET statement_timeout = 0; SELECT pg_advisory_lock(4127316920118431);").expect("written");
    let held = format!("{} '{database}'", waits.replace("NOT granted", "granted"));
    while Postgres::shared().psql("postgres", &held) == "0" {}
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| opened(&config, true));
        let waits = format!("{waits} '{database}'");
        while !opening.is_finished() && Postgres::shared().psql("postgres", &waits) == "0" {}
        std::thread::sleep(Duration::from_secs(8));
        drop(stdin);
        note(&opening.join().expect("no panic").expect("a store")).expect("noted");
    });
    other.wait().expect("it ends");
}

#[test]
fn a_refused_statement_undoes_the_transaction_even_if_nobody_minds() {
    let (_, _, store) = new_store();
    let done = transact::<_, StoreError>(&store, |transaction| {
        transaction.append_audit(&record())?;
        let nul = AuditRecord { action: "a\0b".to_owned(), ..record() };
        transaction
            .remember_answer(
                "a\0b",
                "k",
                &crate::store::IdempotentAnswer { request: String::new(), api_key_ids: Vec::new(), at: nul.at },
            )
            .expect_err("PostgreSQL stores no NUL");
        Ok(())
    });
    assert!(done.is_err());
    assert_eq!(noted(&store), 0);
    note(&store).expect("the connection is good");
}

#[test]
fn numbers_of_what_was_undone_are_given_again() {
    let (_, _, store) = new_store();
    let append = |fail: bool| {
        transact(&store, |transaction| {
            transaction.append_revocation(&suspension())?;
            if fail { Err(StoreError::Duplicate) } else { Ok(()) }
        })
    };
    append(true).expect_err("undone");
    append(false).expect("done");
    append(false).expect("done");
    let part = store.revocations_after(0, 9).expect("the log");
    assert_eq!((part.events.len(), part.events[0].seq, part.end), (1, 2, 2));
}

#[test]
fn writers_of_many_nodes_leave_no_gap_and_readers_miss_nothing() {
    const NODES: usize = 4;
    const EACH: usize = 40;
    let (_, config, store) = new_store();
    let nodes: Vec<_> = (0..NODES).map(|_| opened(&config, false).expect("a node")).collect();
    let mut seen = Vec::new();
    std::thread::scope(|scope| {
        let writers: Vec<_> = nodes
            .iter()
            .map(|node| {
                scope.spawn(move || {
                    for _ in 0..EACH {
                        transact::<_, StoreError>(node, |transaction| {
                            transaction.append_audit(&record())?;
                            let realm = "acme_live".parse().expect("a realm");
                            // Later rules do not supersede it: each stays a row.
                            let change =
                                Change::RevokeApp { app_id: Uuid::new_v4(), realm: Some(realm), issued_before: 1 };
                            transaction.append_revocation(&NewRevocation { change, ..suspension() })
                        })
                        .expect("written");
                    }
                })
            })
            .collect();
        // A follower that goes on from the last number it saw.
        while seen.len() < NODES * EACH {
            let after = seen.last().copied().unwrap_or(0);
            let part = store.revocations_after(after, 1_000).expect("the log");
            seen.extend(part.events.iter().map(|event| event.seq));
            assert_eq!(part.through, seen.last().copied().unwrap_or(0), "nothing is behind what was read");
        }
        writers.into_iter().for_each(|writer| writer.join().expect("no panic"));
    });
    assert_eq!(seen, (1..=(NODES * EACH) as u64).collect::<Vec<_>>());
    let numbers: Vec<u64> = store.audit_after(0, 1_000).expect("the audit").iter().map(|entry| entry.seq).collect();
    assert_eq!(numbers, seen, "the audit has no gap");
}

#[test]
fn statements_can_be_prepared_once() {
    let (_, mut config, _) = new_store();
    config.statement_cache = true;
    let store = opened(&config, false).expect("opened");
    // By the connection that writes, which counts the statement that asks as well.
    let prepared = || -> i64 {
        let count = "SELECT count(*) FROM pg_prepared_statements";
        let counted = store.pool.run(Lane::Write, |_| Ok(()), |session, ()| session.only(count, &[]));
        counted.expect("counted").get(0)
    };
    let mut counts = Vec::new();
    for round in 1..4 {
        note(&store).expect("noted");
        assert_eq!(noted(&store), round);
        counts.push(prepared());
    }
    assert!(counts[0] > 1 && counts[1] == counts[2], "none is prepared again: {counts:?}");
}

/// A file that only we may read.
fn secret(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    path
}

#[test]
fn a_server_with_tls_and_passwords_is_reached_as_configured() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = |name: &str| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
    };
    let (ours, other) = (authority("ours"), authority("other"));
    let issue = |params: CertificateParams| {
        let key = KeyPair::generate().expect("a key");
        (params.signed_by(&key, &ours).expect("a certificate").pem(), key.serialize_pem())
    };
    let server = Postgres::start(&["fsync=off", "ssl=off", "password_encryption=scram-sha-256"]);
    let (certificate, key) = issue(CertificateParams::new(["localhost".to_owned()]).expect("names"));
    server.replace("server.crt", &certificate);
    server.replace("server.key", &key);
    server.replace("ca.crt", &ours.pem());
    server.configure("postgresql.conf", "ssl = on\nssl_ca_file = 'ca.crt'\n");
    server.replace(
        "pg_hba.conf",
        "local all postgres trust\nhostssl all by_password 127.0.0.1/32 scram-sha-256\n\
         hostssl all by_certificate 127.0.0.1/32 cert\nhost all plain 127.0.0.1/32 scram-sha-256\n",
    );
    server.reload();
    let database = server.new_database();
    server.psql(
        &database,
        &format!(
            "CREATE ROLE by_password LOGIN PASSWORD 'right one'; CREATE ROLE by_certificate LOGIN; CREATE ROLE plain LOGIN \
             PASSWORD 'right one'; CREATE SCHEMA bulla; GRANT ALL ON SCHEMA bulla TO PUBLIC; \
             GRANT CREATE ON DATABASE {database} TO by_certificate"
        ),
    );
    let ca = secret(folder.path(), "ca.crt", &ours.pem());
    let wrong_ca = secret(folder.path(), "other.crt", &other.pem());
    let config = |role: &str, host: &str, password: Option<&str>, tls: StoreTls| StoreConfig {
        password: password.map(|text| {
            secret(folder.path(), "password", &format!("{text}\n"));
            "file:password".to_owned()
        }),
        tls: Some(tls),
        ..StoreConfig::at(&format!("postgres://{role}@{host}:{}/{database}?sslmode=verify-full", server.port()))
    };
    let tls = || StoreTls { ca: Some(ca.clone()), ..StoreTls::default() };
    let open = |config: &StoreConfig| config_opened(config, folder.path(), false).map(drop);
    let told = |config: &StoreConfig| {
        let told = open(config).expect_err("refused").to_string();
        assert!(!told.contains("wrong one") && !told.contains("right one"), "{told}");
        told
    };

    // It makes the schema, so that the others only read it.
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "by_certificate");
    let (certificate, key) = issue(params);
    let certificate = Some(secret(folder.path(), "client.crt", &certificate));
    let key = Some(secret(folder.path(), "client.key", &key));
    let with_certificate = StoreTls { certificate, key, ..tls() };
    open(&config("by_certificate", "localhost", None, with_certificate.clone())).expect("by its certificate");
    server.psql(&database, "GRANT SELECT ON ALL TABLES IN SCHEMA bulla TO PUBLIC");
    assert!(told(&config("by_certificate", "localhost", None, tls())).contains("pg_hba.conf"));

    open(&config("by_password", "localhost", Some("right one"), tls())).expect("by its password, bound to the channel");
    let refused = told(&config("by_password", "localhost", Some("wrong one"), tls()));
    assert!(refused.contains("role by_password") && refused.contains("store.password"), "{refused}");
    let missing = told(&config("by_password", "localhost", None, tls()));
    assert!(missing.contains("store.password"), "{missing}");
    for (host, ca) in [("localhost", &wrong_ca), ("127.0.0.1", &ca)] {
        let tls = StoreTls { ca: Some(ca.clone()), ..StoreTls::default() };
        let refused = told(&config("by_password", host, Some("right one"), tls));
        assert!(refused.contains("certificate"), "{refused}");
    }

    // The password is read for each connection, and may be anywhere but in the URL.
    let plain =
        StoreConfig { password: Some("file:plain".to_owned()), ..StoreConfig::at(&server.tcp_url("plain", &database)) };
    secret(folder.path(), "plain", "wrong one");
    assert!(told(&plain).contains("store.password"));
    secret(folder.path(), "plain", "right one");
    open(&plain).expect("without TLS on this machine");
    std::fs::set_permissions(folder.path().join("plain"), std::fs::Permissions::from_mode(0o644)).expect("its mode");
    assert!(told(&plain).contains("store.password"), "others may read it");
}

#[test]
fn a_server_that_is_too_little_is_refused() {
    let server = Postgres::shared();
    server.psql("postgres", "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0");
    let error = opened(&StoreConfig::at(&server.url("latin")), true).err().expect("refused").to_string();
    assert!(error.contains("UTF8"), "{error}");
    let error = opened(&StoreConfig::at(&server.url("nowhere")), true).err().expect("refused").to_string();
    assert!(error.contains("CREATE DATABASE"), "{error}");
}
