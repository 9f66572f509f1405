//! Which writes are notified of: those that append to the revocation log, and no other. A commit with a notification
//! takes a lock over the whole cluster, and keys are issued and used far more often than revoked.

use bulla::{
    Realm,
    keyring::{KeyVersion, KeyringId, KeyringMemory},
    revocation::Change,
};
use serde_json::json;

use super::*;
use crate::{
    action::Actor,
    clock::KeyTime,
    imported::{Check, KeyLayout, Scheme},
    store::{
        AuditRecord, EscrowRow, FollowerStore, IdempotentAnswer, LedgerRow, NewImported, NewRevocation, NewSecretRow,
        followers, test_postgres::Postgres, transact,
    },
};

const ONE: &str = "acme_live_00000XzbyFf5rOyRXQyt8V";
const TWO: &str = "acme_live_00000YHqiQd7Eu4eUpRFdL";
const THREE: &str = "acme_live_0000000000000000000000";

/// A store, and a connection beside it that listens.
struct Heard {
    store: PostgresStore,
    database: String,
    listener: Session,
    marks: std::cell::Cell<u32>,
}

impl Heard {
    fn new() -> Self {
        let database = Postgres::shared().new_database();
        let config = StoreConfig::at(&Postgres::shared().url(&database));
        let Ok(crate::config::StoreUrl::Postgres(url)) = config.parsed() else { panic!("it is a URL of PostgreSQL") };
        let store = PostgresStore::open(*url, &config, Path::new("/"), true).expect("a store");
        let listener = Session::connect(&store.listen).expect("connected");
        listener.batch("LISTEN bulla_revocations").expect("it listens");
        Heard { store, database, listener, marks: std::cell::Cell::new(0) }
    }

    /// The notifications of everything that was committed since the last call. They arrive in the order of commits, so
    /// one of our own marks the end.
    fn since(&self) -> Vec<String> {
        self.marks.set(self.marks.get() + 1);
        let mark = format!("mark {}", self.marks.get());
        Postgres::shared().psql(&self.database, &format!("SELECT pg_notify('bulla_revocations', '{mark}')"));
        let (mut heard, deadline) = (Vec::new(), std::time::Instant::now() + Duration::from_secs(60));
        loop {
            assert!(std::time::Instant::now() < deadline, "the listener hears nothing: {heard:?}");
            for payload in self.listener.notifications(Duration::from_secs(1)).expect("connected") {
                if payload == mark {
                    return heard;
                }
                heard.push(payload);
            }
        }
    }

    /// Holds that a write is notified of, with the new end of the log, or is not.
    fn expect(&self, what: &str, is_notified: bool, write: impl FnOnce(&PostgresStore)) {
        let end = || self.store.log_end().expect("the end").seq;
        let before = end();
        write(&self.store);
        let expected = if is_notified { vec![end().to_string()] } else { Vec::new() };
        assert_eq!(self.since(), expected, "{what}");
        assert_eq!(end() > before, is_notified, "{what}: the end of the log");
    }

    /// The same, of a write in a transaction, which may write more.
    fn expect_in(&self, what: &str, is_notified: bool, mut write: impl FnMut(&mut dyn Transaction)) {
        self.expect(what, is_notified, |store| {
            let wrote = transact::<_, StoreError>(store, |transaction| {
                write(transaction);
                Ok(())
            });
            wrote.expect(what);
        });
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + seconds).expect("a time")
}

fn id(text: &str) -> ApiKeyId {
    text.parse().expect("an id")
}

fn realm() -> Realm {
    id(ONE).realm()
}

fn row(text: &str) -> LedgerRow {
    LedgerRow {
        id: id(text),
        app_id: Uuid::from_u128(7),
        name: None,
        issued_at: at(0),
        expires_at: None,
        scopes: Vec::new(),
        restrictions: None,
        meta: [].into(),
        issued_by: "test".to_owned(),
        rerolled_from: None,
    }
}

fn revocation(change: Change, effective_at: Option<i64>) -> NewRevocation {
    NewRevocation {
        change,
        effective_at: effective_at.map(|after| KeyTime::up(at(after)).expect("it fits")),
        reason: None,
        recorded_at: at(0),
        recorded_by: "test".to_owned(),
    }
}

fn secret(text: &str) -> NewSecretRow {
    NewSecretRow {
        id: id(text),
        phc: "p".to_owned(),
        binding: "b".to_owned(),
        mac: "m".to_owned(),
        created_at: at(0),
        retires_at: None,
    }
}

fn record() -> AuditRecord {
    Actor::service().record(at(0), "test", None, json!({}))
}

fn imported(text: &str, set: i64) -> NewImported {
    let check = Check::Fast { digest: [1; 32].into(), salt: [1].as_slice().into() };
    NewImported { set, row: row(text), dated: true, public: Some([1, 1].as_slice().into()), check }
}

fn sweep_at(now: i64) -> Sweep<'static> {
    Sweep { now: at(now), expired_before: at(0), destroyed: &[], answered_before: at(now) }
}

#[test]
fn what_changes_which_keys_are_accepted_is_notified_of() {
    let heard = Heard::new();
    let revoke = |text| Change::Revoke { id: id(text), expires_at: None };
    for (what, new) in [
        ("revoke", revocation(revoke(ONE), None)),
        ("suspend", revocation(Change::Suspend { id: id(TWO), expires_at: None }, None)),
        ("resume", revocation(Change::Resume { id: id(TWO) }, None)),
        ("a reroll, which ends the old key later", revocation(revoke(TWO), Some(60))),
        ("revoke an app", revocation(Change::RevokeApp { app_id: Uuid::nil(), realm: None, issued_before: 1 }, None)),
        ("revoke a realm", revocation(Change::RevokeRealm { realm: realm(), issued_before: 1 }, None)),
    ] {
        heard.expect_in(what, true, |transaction| {
            transaction.append_audit(&record()).expect("noted");
            transaction.append_revocation(&new).expect("appended");
        });
    }
    heard.expect_in("end a grace period", true, |transaction| {
        transaction.put_in_effect(&id(TWO)).expect("put in effect");
    });
    heard.expect_in("a reroll for another time", true, |transaction| {
        transaction.append_revocation(&revocation(revoke(THREE), Some(60))).expect("appended");
    });
    heard.expect("settle before its time", false, |store| assert!(!store.settle(at(59)).expect("settled")));
    heard.expect("settle", true, |store| assert!(store.settle(at(60)).expect("settled")));
    heard.expect_in("one more", true, |transaction| {
        transaction.append_revocation(&revocation(revoke(ONE), Some(90))).expect("appended");
    });
    heard.expect("a sweep that makes it final", true, |store| store.sweep(&sweep_at(90)).expect("swept"));
    heard.expect("a sweep without news", false, |store| store.sweep(&sweep_at(91)).expect("swept"));
    // What is undone is not notified of.
    heard.expect("undone", false, |store| {
        let undone = transact(store, |transaction| {
            transaction.append_revocation(&revocation(revoke(ONE), None))?;
            Err::<(), _>(StoreError::Duplicate)
        });
        undone.expect_err("undone");
    });
}

#[test]
fn all_other_writes_are_not_notified_of() {
    let heard = Heard::new();
    heard.expect_in("issue", false, |transaction| {
        transaction.insert_api_key(&row(ONE), Some(9)).expect("issued");
        transaction.insert_secret(&secret(ONE)).expect("stored");
        let escrow = EscrowRow {
            id: id(ONE),
            recipient: "age1".to_owned(),
            ciphertext: "sealed".to_owned(),
            ending: None,
            created_at: at(0),
            ends_at: None,
        };
        transaction.insert_escrow(&escrow).expect("stored");
        let answer = IdempotentAnswer { request: "r".to_owned(), api_key_ids: vec![id(ONE)], at: at(0) };
        transaction.remember_answer("me", "k", &answer).expect("remembered");
        transaction.append_audit(&record()).expect("noted");
    });
    heard.expect("a budget that is spent", false, |store| {
        let refused = transact::<_, StoreError>(store, |transaction| transaction.insert_api_key(&row(TWO), Some(1)));
        refused.expect_err("refused");
    });
    heard.expect_in("a secret half made anew", false, |transaction| {
        let old = transaction.secret_hashes(&id(ONE), at(0)).expect("read").remove(0);
        assert!(transaction.replace_secret(&old, &secret(ONE)).expect("replaced"));
    });
    heard.expect_in("reroll-secret", false, |transaction| {
        let old = transaction.secret_hashes(&id(ONE), at(0)).expect("read").remove(0);
        transaction.insert_secret(&secret(ONE)).expect("stored");
        assert!(transaction.retire_secret(old.seq, Some(at(5))).expect("retired"));
        transaction.renew_escrow(&id(ONE), "an ending").expect("renewed");
    });
    heard.expect_in("end escrow", false, |transaction| {
        transaction.end_escrow(&id(ONE), at(9), at(0)).expect("ended");
    });
    heard.expect_in("import", false, |transaction| {
        let layout = KeyLayout { prefix: "a".to_owned(), ..KeyLayout::new(Scheme::Sha256SaltKey) };
        let set = transaction.imported_set(realm(), &layout, [7; 16]).expect("a set");
        transaction.insert_imported(&imported(TWO, set.number)).expect("imported");
    });
    heard.expect_in("correct an imported key", false, |transaction| {
        let corrected = NewImported { row: LedgerRow { name: Some("new".to_owned()), ..row(TWO) }, ..imported(TWO, 1) };
        transaction.correct_imported(&corrected).expect("corrected");
    });
    heard.expect_in("remove a set", false, |transaction| {
        transaction.remove_imported_set(1).expect("looked").expect("removed");
    });
    heard.expect_in("import again, and replace", false, |transaction| {
        transaction.insert_imported(&imported(TWO, 1)).expect("imported");
        assert!(transaction.replace_imported(&id(TWO), &id(ONE)).expect("replaced"));
    });
    let used = Use { id: id(ONE), last_used: 1_795_000_001, count: 1 };
    heard.expect("uses", false, |store| store.note_uses(&[used]).expect("noted"));
    heard.expect_in("audit", false, |transaction| transaction.append_audit(&record()).expect("noted"));
    heard.expect("the memory of a keyring", false, |store| {
        let seen = KeyringMemory { serial: 5, closed: vec![KeyVersion::FIRST] };
        store.remember_keyring(KeyringId::from_bytes([1; 16]), &seen).expect("remembered");
    });
    let (log, always) = (heard.store.log_end().expect("the end").log_id, at(-1_000));
    let follower = followers::tests::row("a", &log, 0, 0);
    heard.expect("reports", false, |store| store.note_followers(&[follower], always).expect("noted"));
    heard.expect("a member that stops", false, |store| store.remove_follower("a", "an app", "x").expect("removed"));
    heard.expect_in("forget a member", false, |transaction| {
        transaction.forget_follower("a").expect("forgotten");
    });
    heard.expect("silent members", false, |store| store.drop_followers(at(9)).expect("dropped"));
    heard.expect("the sweep clock", false, |store| store.remember_sweep_clock(at(1)).expect("remembered"));
    heard.expect("retired secret halves", false, |store| assert!(store.settle(at(6)).expect("settled")));
    heard.expect("a sweep", false, |store| store.sweep(&sweep_at(10)).expect("swept"));
    heard.expect("another log", false, |store| {
        assert!(store.begin_new_log(&log, 0).expect("begun"));
    });
}
