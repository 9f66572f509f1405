//! A store that is older than what its followers have read: one of them reports a place in this very log that the log
//! does not have. The store was put back to an older copy, or lost its end, while no service ran that remembers it.
//!
//! A report alone is a claim: everybody who may read the feed may make it. It is shown with its author, and ends with
//! it. A message that a node signed proves that the log was longer, up to the place of the message. Then what was
//! revoked there is not known here, and no application's key is accepted until another log begins.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::failures::Failures;
use crate::store::{FollowerRow, LogPlace, Store, StoreError};

/// What [`Failures`] calls it.
const HEALTH: &str = "revocation log";
/// The most claims that are remembered.
const MAX_CLAIMS: usize = 100;
/// A report is in the store by then.
const WRITTEN: Duration = Duration::from_secs(5);

/// Up to which place of its log a report is proven.
type Proves<'a> = &'a dyn Fn(&FollowerRow) -> Option<u64>;

/// What reports said about the log's end.
#[derive(Default)]
pub(super) struct LogBehind(Mutex<ReportedEnd>);

#[derive(Default)]
struct ReportedEnd {
    /// The end of the log when it was read last.
    end: Option<LogPlace>,
    /// The log that lacks its end, and what is said of it.
    lacking: Option<(String, String)>,
    /// What followers say and do not prove, by their names.
    claims: BTreeMap<String, Claim>,
}

/// What one follower says.
struct Claim {
    owner: String,
    place: u64,
    ends_at: u64,
    heard: Instant,
}

impl ReportedEnd {
    /// Returns whether the known end does not settle what a report says, or it may take something back.
    fn is_open(&self, row: &FollowerRow) -> bool {
        let Some(log_id) = &row.log_id else { return false };
        self.claims.contains_key(&row.name)
            || self.end.as_ref().is_none_or(|end| end.log_id != *log_id || end.seq < row.seq)
    }

    /// Forgets what was said of another log than this one.
    fn read(&mut self, end: LogPlace) {
        if self.end.as_ref().is_some_and(|before| before.log_id != end.log_id) {
            self.claims.clear();
        }
        if self.lacking.take_if(|(lacking, _)| *lacking != end.log_id).is_some() {
            tracing::info!("another revocation log has begun");
        }
        self.end = Some(end);
    }

    fn note_proven(&mut self, row: &FollowerRow, place: u64, end: &LogPlace) {
        if self.lacking.is_some() {
            return;
        }
        let (name, ends_at) = (&row.name, end.seq);
        tracing::error!(
            follower = name,
            place,
            end = ends_at,
            "a follower has read more of the revocation log than there is: the store is an older copy, or has lost its end"
        );
        let message = format!(
            "{name} has read this log up to {place}, which a node signed, and it ended at {ends_at}: the store is an older copy, or has \
             lost its end, and what was revoked there is not known here, so that no application's key is accepted. Followers keep what \
             they know. Put the newer store back; or give the log a new id and repeat what was done since, as `A restored backup` in \
             docs/RECOVERY.md says"
        );
        self.lacking = Some((end.log_id.clone(), message));
    }

    fn note_claim(&mut self, row: &FollowerRow, end: &LogPlace) {
        let (owner, place, ends_at) = (row.owner.clone(), row.seq, end.seq);
        if !self.claims.contains_key(&row.name) {
            if self.claims.len() >= MAX_CLAIMS {
                return;
            }
            tracing::warn!(
                follower = row.name,
                app = owner,
                place,
                end = ends_at,
                "a follower says that it has read more of the revocation log than there is, and does not prove it"
            );
        }
        self.claims.insert(row.name.clone(), Claim { owner, place, ends_at, heard: Instant::now() });
    }

    /// Shows what holds now.
    fn show(&self, health: &Failures, now: Timestamp) {
        let proven = self.lacking.as_ref().map(|(_, message)| message.clone());
        health.note(HEALTH, proven.or_else(|| self.claimed()), now);
    }

    fn claimed(&self) -> Option<String> {
        let (name, Claim { owner, place, ends_at, .. }) = self.claims.first_key_value()?;
        let others = match self.claims.len() {
            1 => String::new(),
            count => format!(" {} more say the like.", count - 1),
        };
        Some(format!(
            "{name}, which the app {owner} registered, says that it has read this log up to {place}, and it ended at {ends_at}.{others} \
             Nothing proves it, and who has an API key of the feed can say so. Check first whether the store was put back to an older \
             copy, and what `bulla fleet` shows of other followers. If it was not, revoke the API key of that app, and let `bulla fleet \
             forget` forget all that the app registered. If it was, what was revoked since is accepted here: see `An older disk` in docs/RECOVERY.md"
        ))
    }
}

impl LogBehind {
    /// The reports that the end of the log, as it was read last, does not settle.
    pub(super) fn open(&self, rows: &[FollowerRow]) -> Vec<FollowerRow> {
        let seen = self.seen();
        rows.iter().filter(|row| seen.is_open(row)).cloned().collect()
    }

    /// Compares reports, which were accepted, with the end of the log. What is proven stays until another log begins:
    /// events that were appended since say nothing about those that are lost. A claim ends when its follower says
    /// something else.
    pub(super) fn look(
        &self,
        store: &dyn Store,
        (rows, proves): (&[FollowerRow], Proves<'_>),
        health: &Failures,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        // Read behind the reports, so that no follower of a moment ago is ahead of it.
        let end = store.log_end()?;
        let mut seen = self.seen();
        seen.read(end.clone());
        for row in rows {
            if !row.is_ahead_of(&end) {
                seen.claims.remove(&row.name);
            } else if let Some(place) = proves(row).map(|place| place.min(row.seq)).filter(|place| *place > end.seq) {
                seen.claims.remove(&row.name);
                seen.note_proven(row, place, &end);
            } else {
                seen.note_claim(row, &end);
            }
        }
        seen.show(health, now);
        Ok(())
    }

    /// Returns whether it is proven that this log, which is in force, has lost its end.
    pub(super) fn lost_the_end_of(&self, log_id: Option<&str>) -> bool {
        self.seen().lacking.as_ref().is_some_and(|(lacking, _)| Some(lacking.as_str()) == log_id)
    }

    /// Ends the claims of followers that are not registered any more.
    pub(super) fn look_again(
        &self,
        store: &dyn Store,
        heard_after: Timestamp,
        health: &Failures,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let names: Vec<String> = self.seen().claims.keys().cloned().collect();
        if names.is_empty() {
            return Ok(());
        }
        let owners: HashMap<_, _> = store.follower_owners(&names, heard_after)?.into_iter().collect();
        let mut seen = self.seen();
        seen.claims.retain(|name, claim| claim.heard.elapsed() < WRITTEN || owners.get(name) == Some(&claim.owner));
        seen.show(health, now);
        Ok(())
    }

    fn seen(&self) -> MutexGuard<'_, ReportedEnd> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock,
        config::StoreConfig,
        store::{open, transact},
    };

    fn row(log_id: &str, seq: u64) -> FollowerRow {
        FollowerRow { log_id: Some(log_id.to_owned()), seq, ..FollowerRow::edge("edge", clock::now()) }
    }

    #[test]
    fn what_nobody_proves_ends_with_who_says_it_and_what_is_proven_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = open(&StoreConfig::at("sqlite:bulla.db"), folder.path(), true).expect("a store");
        let log = store.log_end().expect("the end").log_id;
        let (behind, health, now) = (LogBehind::default(), Failures::default(), clock::now());
        let report = |seq: u64, proven: Option<u64>| {
            let open = behind.open(&[row(&log, seq)]);
            behind.look(&*store, (&open, &|_| proven), &health, now).expect("looked");
            health.detail(HEALTH).unwrap_or_default()
        };
        let look_again = || {
            behind.look_again(&*store, Timestamp::MIN, &health, now).expect("looked");
            health.detail(HEALTH).is_some()
        };
        let is_claim =
            |told: &str| told.contains("edge, which the app an app registered, says") && told.contains("Check");
        assert_eq!(report(0, None), "");
        assert!(is_claim(&report(9, None)));
        assert!(!behind.lost_the_end_of(Some(&log)), "nothing proves it");
        assert_eq!(report(0, None), "", "it takes it back");
        assert!(is_claim(&report(9, Some(0))), "a node signed what the log has");
        assert!(look_again(), "its report may not be written yet");
        for claim in behind.seen().claims.values_mut() {
            claim.heard = claim.heard.checked_sub(WRITTEN).expect("the machine runs for longer");
        }
        store.note_followers(&[row(&log, 9)], Timestamp::MIN).expect("noted");
        assert!(look_again());
        transact(&*store, |transaction| transaction.forget_follower("edge")).expect("forgotten");
        assert!(!look_again());

        let told = report(9, Some(7));
        assert!(told.contains("edge has read this log up to 7, which a node signed"), "{told}");
        assert!(behind.lost_the_end_of(Some(&log)));
        assert!(!behind.lost_the_end_of(Some("another log")) && !behind.lost_the_end_of(None));
        assert_eq!(report(0, None), told, "what is lost is lost, whatever the follower does");
        assert!(look_again());
    }

    #[test]
    fn claims_do_not_pile_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = open(&StoreConfig::at("sqlite:bulla.db"), folder.path(), true).expect("a store");
        let log = store.log_end().expect("the end").log_id;
        let (behind, health) = (LogBehind::default(), Failures::default());
        let rows: Vec<_> =
            (0..2 * MAX_CLAIMS).map(|at| FollowerRow { name: format!("e{at:03}"), ..row(&log, 9) }).collect();
        behind.look(&*store, (&rows, &|_| None), &health, clock::now()).expect("looked");
        assert_eq!(behind.seen().claims.len(), MAX_CLAIMS);
        assert!(health.detail(HEALTH).is_some_and(|told| told.contains("99 more say the like")));
    }
}
