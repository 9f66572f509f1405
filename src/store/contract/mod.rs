//! What every store does: one set of tests, run over each.

mod ended;
mod fleet;
mod imported;
mod ledger;
mod records;
mod revocation;
mod test_store;

use std::collections::HashMap;

use bulla::{
    ApiKeyId,
    keyring::{KeyVersion, KeyringId, KeyringMemory},
    revocation::{Change, RevocationEvent},
};
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use self::test_store::TestStore;
use super::*;
use crate::clock::KeyTime;

const ONE: &str = "acme_live_00000XzbyFf5rOyRXQyt8V";
const TWO: &str = "acme_live_00000YHqiQd7Eu4eUpRFdL";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + seconds).expect("a time")
}

fn id(text: &str) -> ApiKeyId {
    text.parse().expect("an id")
}

fn row(text: &str) -> LedgerRow {
    LedgerRow {
        id: id(text),
        app_id: Uuid::from_u128(7),
        name: Some("a name".to_owned()),
        issued_at: at(0),
        expires_at: None,
        scopes: vec!["a".to_owned(), "b".to_owned()],
        restrictions: Some(Restrictions { audience: vec!["shop".to_owned()], cidr: Vec::new() }),
        meta: [("k".to_owned(), "v".to_owned())].into(),
        issued_by: "test".to_owned(),
        rerolled_from: None,
    }
}

fn escrow(text: &str, ends_at: Option<Timestamp>) -> EscrowRow {
    EscrowRow {
        id: id(text),
        recipient: "age1".to_owned(),
        ciphertext: "sealed".to_owned(),
        ending: None,
        created_at: at(0),
        ends_at,
    }
}

fn record(store: &dyn Store, rows: &[LedgerRow], budget: Option<u64>) -> Result<(), StoreError> {
    transact(store, |transaction| rows.iter().try_for_each(|row| transaction.insert_api_key(row, budget)))
}

fn revocation(change: Change, effective_at: i64) -> NewRevocation {
    NewRevocation {
        change,
        effective_at: (effective_at > 0).then(|| KeyTime::up(at(effective_at)).expect("it fits")),
        reason: Some("why".to_owned()),
        recorded_at: at(0),
        recorded_by: "test".to_owned(),
    }
}

fn append(store: &dyn Store, change: Change, effective_at: i64) {
    let new = revocation(change, effective_at);
    transact(store, |transaction| transaction.append_revocation(&new)).expect("appended");
}

/// Sweeps keys that expired before the first time, answers from before the second, and what ended by the third.
fn sweep(store: &dyn Store, [expired, answered, now]: [i64; 3], destroyed: &[u32]) -> Result<(), StoreError> {
    store.sweep(&Sweep { now: at(now), expired_before: at(expired), destroyed, answered_before: at(answered) })
}

fn log_after(store: &dyn Store, seq: u64, limit: u32) -> Vec<RevocationEvent> {
    store.revocations_after(seq, limit).expect("the log").events
}

/// Runs each test over each store. The service's own role in PostgreSQL does all of it, except what is its owner's.
macro_rules! over_each_store {
    ({ $($folder:ident::$test:ident),* $(,)? } and as the owner { $($owned:ident::$by_owner:ident),* $(,)? }) => {
        mod in_sqlite {
            $(#[test] fn $test() { super::$folder::$test(&super::TestStore::sqlite()); })*
            $(#[test] fn $by_owner() { super::$owned::$by_owner(&super::TestStore::sqlite()); })*
        }
        mod in_postgres {
            $(#[test] fn $test() { super::$folder::$test(&super::TestStore::postgres()); })*
            $(#[test] fn $by_owner() { super::$owned::$by_owner(&super::TestStore::postgres()); })*
        }
        mod in_postgres_as_the_service {
            $(#[test] fn $test() { super::$folder::$test(&super::TestStore::postgres_as_the_service()); })*
        }
    };
}

over_each_store!(
    {
        ledger::rows_are_recorded_all_or_none,
        ledger::a_budget_is_counted_per_realm_and_version_and_never_exceeded,
        ledger::a_damaged_seal_count_stops_no_other,
        ledger::active_keys_are_counted_by_version_in_one_go,
        ledger::lists_are_filtered_and_damaged_rows_left_out,
        ledger::rules_and_realms_are_counted,
        ledger::uses_add_up,
        ledger::a_count_of_uses_that_is_full_stops_no_other,
        revocation::the_log_keeps_what_still_says_something,
        revocation::what_ended_is_ended_for_good_whatever_a_clock_says_later,
        revocation::what_the_log_lost_is_found_page_by_page,
        revocation::a_suspension_in_a_grace_period_is_found_where_the_log_lost_it,
        revocation::a_damaged_row_rejects_what_it_names,
        revocation::no_sweep_drops_a_damaged_row,
        revocation::a_revocation_is_put_in_effect_under_a_new_number,
        revocation::a_row_that_was_added_with_sql_hides_nothing_that_is_appended_later,
        records::a_hash_is_replaced_only_as_it_was_read,
        records::changed_hashes_are_told_by_their_numbers,
        records::the_audit_has_no_gap_and_is_never_changed,
        records::an_answer_is_remembered_for_its_caller,
        records::a_damaged_answer_is_named_and_not_taken_for_one_without_keys,
        records::a_damaged_row_is_named_by_its_key,
        records::what_is_in_escrow_goes_with_its_key,
        records::what_is_remembered_of_a_keyring_only_grows,
        fleet::the_fleet_is_kept,
        fleet::what_a_revoked_key_registered_is_removed,
        fleet::a_damaged_member_hides_no_other_and_counts_as_the_worst,
        imported::keys_are_imported_once_and_read_page_by_page,
        imported::migrations_count_what_is_taken_over,
        imported::a_damaged_row_keeps_no_other_key_from_being_retired,
        ended::an_ended_key_that_is_corrected_stays_ended,
        ended::a_key_that_a_rule_revoked_is_revoked_by_its_id_once_it_is_not_under_the_rule,
    } and as the owner {
        imported::imported_keys_are_corrected_and_unused_sets_removed,
        ended::ended_keys_of_a_removed_set_are_kept,
    }
);
