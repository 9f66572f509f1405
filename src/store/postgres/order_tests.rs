//! Numbers become visible in their order, and are never given twice.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use bulla::{ApiKeyId, revocation::Change};

use super::*;
use crate::{
    config::{Span, StoreUrl},
    store::{LogTail, NewRevocation, test_postgres::Postgres, transact},
};

/// So many write at a time, in so many stores.
const WRITERS: usize = 200;
const STORES: usize = 4;
const EACH: usize = 3;

/// Makes the commits of a table slow: between the moment in which a row has its number, and that in which others see
/// it.
const SLOW: &str = "CREATE FUNCTION bulla.slow() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN PERFORM pg_sleep(random() * 0.01); RETURN NULL; END $$;
    CREATE TABLE bulla.plain (seq bigserial PRIMARY KEY);
    CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON bulla.plain DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION bulla.slow();
    CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON bulla.revocations DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION bulla.slow();";

fn opened(config: &StoreConfig) -> PostgresStore {
    let Ok(StoreUrl::Postgres(url)) = config.parsed() else { panic!("it is a URL of PostgreSQL") };
    PostgresStore::open(*url, config, Path::new("/"), true).expect("a store")
}

fn id(number: usize) -> ApiKeyId {
    format!("live_00000X{number:016}").parse().expect("an id")
}

fn revoke(store: &dyn Store, number: usize) {
    let revocation = NewRevocation {
        change: Change::Revoke { id: id(number), expires_at: None },
        effective_at: None,
        reason: None,
        recorded_at: Timestamp::UNIX_EPOCH,
        recorded_by: "test".to_owned(),
    };
    transact(store, |transaction| transaction.append_revocation(&revocation)).expect("revoked");
}

/// Lets all writers write, each in its own thread, while `follow` is called again and again, and once more at the end.
fn race(write: impl Fn(usize, usize) + Sync, follow: impl Fn() + Sync) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let following = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                follow();
            }
            follow();
        });
        let write = &write;
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| scope.spawn(move || (0..EACH).for_each(|turn| write(writer, turn)))).collect();
        for writer in writers {
            writer.join().expect("it has written");
        }
        done.store(true, Ordering::Release);
        following.join().expect("it has followed");
    });
}

#[test]
fn hundreds_of_writers_with_slow_commits_hide_no_revocation_and_with_a_plain_sequence_they_would() {
    let server = Postgres::start(&["fsync=off", "max_connections=500"]);
    let mut config = StoreConfig::at(&server.url("postgres"));
    (config.connections, config.statement_timeout) = (WRITERS / STORES * 2 + 2, Span(Duration::from_secs(120)));
    let stores: Vec<_> = (0..STORES).map(|_| opened(&config)).collect();
    server.psql("postgres", SLOW);

    let following = std::sync::Mutex::new(LogTail::default());
    race(
        |writer, turn| revoke(&stores[writer % STORES], writer * EACH + turn),
        || {
            following.lock().expect("alone").poll(&stores[0], 0).expect("read");
        },
    );
    let following = following.into_inner().expect("alone");
    assert_eq!(following.log.revocations().len(), WRITERS * EACH, "the follower missed some");
    assert_eq!(following.place(), (WRITERS * EACH) as u64);

    // The same with numbers of a sequence, and a reader that goes on behind the highest number that it saw.
    let seen = std::sync::Mutex::new((0, 0));
    let reader = std::sync::Mutex::new(Session::connect(&stores[0].pool.server).expect("connected"));
    let sessions: Vec<_> = (0..WRITERS)
        .map(|_| std::sync::Mutex::new(Session::connect(&stores[0].pool.server).expect("connected")))
        .collect();
    race(
        |writer, _| {
            let session = sessions[writer].lock().expect("alone");
            session.execute("INSERT INTO bulla.plain DEFAULT VALUES", &[]).expect("written");
        },
        || {
            let mut seen = seen.lock().expect("alone");
            let (last, count): (i64, usize) = *seen;
            let rows = reader
                .lock()
                .expect("alone")
                .query("SELECT seq FROM bulla.plain WHERE seq > $1 ORDER BY seq", &params::params![last]);
            let rows = rows.expect("read");
            *seen = (rows.last().map_or(last, |row| row.get(0)), count + rows.len());
        },
    );
    let (_, seen) = seen.into_inner().expect("alone");
    println!("of {} rows with numbers of a sequence the reader missed {}", WRITERS * EACH, WRITERS * EACH - seen);
    assert!(seen < WRITERS * EACH, "a plain sequence would do, and the lock is not needed");
}

#[test]
fn in_a_new_era_no_number_is_given_again_and_a_lost_place_is_known() {
    let database = Postgres::shared().new_database();
    let store = opened(&StoreConfig::at(&Postgres::shared().url(&database)));
    (1..=5).for_each(|number| revoke(&store, number));
    let log_id = store.revocations_after(0, 10).expect("read").log_id;
    // A standby that has entries 1 to 3 was promoted.
    let sql = "DELETE FROM bulla.revocations WHERE seq > 3; UPDATE bulla.store SET era = 'it was/00000001', revocation_seq = 3";
    Postgres::shared().psql(&database, sql);
    let looked = |place| store.revocations_after(place, 10).map(|part| (part.kept, part.end)).expect("read");
    assert_eq!((looked(5), looked(3), looked(2)), ((3, 3), (3, 3), (2, 3)));
    let mut following = LogTail::default();
    following.poll(&store, 0).expect("read");

    revoke(&store, 6);
    let first = 1_000_000_001;
    assert_eq!((looked(5), looked(4), looked(3), looked(first)), ((3, first), (3, first), (3, first), (first, first)));
    assert_eq!(looked(first + 1), (first, first), "nobody has read so far");
    following.poll(&store, 0).expect("read");
    assert_eq!((following.place(), following.lost()), (first, None), "it had read nothing that was lost");
    revoke(&store, 7);
    assert_eq!(looked(0), (0, first + 1), "one gap for one era");

    let of_earlier_log = |place| store.revocations_after(place, 10).map(|part| part.of_earlier_log).expect("read");
    assert!(!of_earlier_log(5) && !of_earlier_log(first + 40));
    assert!(store.begin_new_log(&log_id, 5).expect("begun"));
    assert!(of_earlier_log(5) && !of_earlier_log(3) && !of_earlier_log(first) && !of_earlier_log(first + 40));
    let begun = store.revocations_after(0, 10).expect("read");
    assert!(begun.log_id != log_id && begun.end == first + 1, "{begun:?}");
    assert!(store.begin_new_log(&log_id, 5).expect("begun before"));
    assert_eq!(store.revocations_after(0, 10).expect("read"), begun);
    // A disk that was set back, without a new era: nobody gives the numbers again that somebody has read.
    assert!(store.begin_new_log(&begun.log_id, first + 40).expect("begun"));
    revoke(&store, 8);
    assert_eq!(looked(first + 40), (first + 1, 2_000_000_001));
}
