//! Failed calls of the admin plane, for log and audit: the first ones of each minute one by one, the others as a
//! number, so that a flood does not fill a disk. Metrics count every one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::{action::Actor, store::AuditRecord};

/// How many of a minute are recorded one by one.
const ONE_BY_ONE: usize = 30;
const WINDOW: SignedDuration = SignedDuration::from_mins(1);

/// The calls that are not in the audit yet.
#[derive(Default)]
pub(crate) struct FailedCalls(Mutex<Minute>);

#[derive(Default)]
struct Minute {
    begun: Option<Timestamp>,
    noted: usize,
    more: u64,
    pending: Vec<AuditRecord>,
}

impl FailedCalls {
    /// Notes a failed call. `record` is only called if the call is recorded by itself.
    pub(super) fn note(&self, now: Timestamp, record: impl FnOnce() -> AuditRecord) {
        let mut window = self.lock();
        window.begun.get_or_insert(now);
        if window.noted >= ONE_BY_ONE {
            window.more += 1;
            return;
        }
        window.noted += 1;
        let record = record();
        tracing::warn!(actor = record.actor, address = record.address, detail = %record.detail, "an admin call failed");
        window.pending.push(record);
    }

    /// The records for the audit at `now`.
    pub(super) fn take(&self, now: Timestamp) -> Vec<AuditRecord> {
        let mut window = self.lock();
        let mut records = std::mem::take(&mut window.pending);
        if let Some(begun) = window.begun.filter(|begun| now.duration_since(*begun) >= WINDOW) {
            records.extend(window.summary(begun, now));
            *window = Minute::default();
        }
        records
    }

    /// The records at the end of the process.
    pub(super) fn take_all(&self, now: Timestamp) -> Vec<AuditRecord> {
        let mut window = std::mem::take(&mut *self.lock());
        let summary = window.begun.and_then(|begun| window.summary(begun, now));
        window.pending.extend(summary);
        window.pending
    }

    /// Puts back records that could not be written. If there are too many, the latest ones only count.
    pub(super) fn put_back(&self, records: Vec<AuditRecord>) {
        let mut window = self.lock();
        let later = std::mem::replace(&mut window.pending, records);
        let kept = ONE_BY_ONE.saturating_sub(window.pending.len());
        window.more += later.len().saturating_sub(kept) as u64;
        window.pending.extend(later.into_iter().take(kept));
    }

    fn lock(&self) -> MutexGuard<'_, Minute> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Minute {
    fn summary(&self, begun: Timestamp, now: Timestamp) -> Option<AuditRecord> {
        let detail = json!({"failed_calls": self.more, "since": begun});
        (self.more > 0).then(|| {
            tracing::warn!(more = self.more, since = %begun, "further admin calls failed");
            Actor::service().record(now, "admin.refused_more", None, detail)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + seconds).expect("a time")
    }

    fn record(number: usize) -> AuditRecord {
        Actor::service().record(at(0), "admin.refused", None, json!({"number": number}))
    }

    #[test]
    fn a_flood_is_a_number() {
        let calls = FailedCalls::default();
        (0..1_000_000).for_each(|number| calls.note(at(0), || record(number)));
        let first = calls.take(at(1));
        assert_eq!(first.len(), ONE_BY_ONE);
        assert_eq!(calls.take(at(59)), []);
        let rest = calls.take(at(60));
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].detail["failed_calls"], 1_000_000 - ONE_BY_ONE);
        calls.note(at(61), || record(7));
        assert_eq!(calls.take(at(62)), [record(7)], "a new minute");
    }

    #[test]
    fn what_could_not_be_written_is_kept_and_bounded() {
        let calls = FailedCalls::default();
        for number in 0..20 {
            calls.note(at(0), || record(number));
        }
        let taken = calls.take(at(1));
        for number in 20..40 {
            calls.note(at(1), || record(number));
        }
        calls.put_back(taken);
        let again = calls.take_all(at(2));
        assert_eq!(again[..ONE_BY_ONE], (0..ONE_BY_ONE).map(record).collect::<Vec<_>>());
        assert_eq!(again[ONE_BY_ONE].detail["failed_calls"], 10, "those beyond are counted");
    }
}
