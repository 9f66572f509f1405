//! How a node or follower is, by what it reported last, and why it is not current.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    clock,
    store::{FollowerRow, LogPlace, Role},
};

/// From when on a member that does not report is one to look at. Nodes and followers report every ten seconds, and of
/// what has not changed the store hears every twenty.
pub(crate) const SILENCE: SignedDuration = SignedDuration::from_secs(60);
/// How far ahead a report may be: so much the clocks of two nodes may differ.
const AHEAD: SignedDuration = SignedDuration::from_secs(bulla::CLOCK_DIFFERENCE as i64);
/// How long a revocation may take to reach a member before that is one to look at.
const DELAY: SignedDuration = SignedDuration::from_secs(5);
/// The age at which a state is old, even where the log goes on all the time.
const OLD: SignedDuration = SignedDuration::from_secs(60);

/// How a member of the fleet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Condition {
    /// All is well.
    Current,
    /// It has not read the end of the log, and had the time to.
    Behind,
    /// Its last question failed, or it refused the answer.
    Failing,
    /// It has not applied a message yet.
    Starting,
    /// It follows another log.
    OtherLog,
    /// It has read more of the log than this store has.
    Ahead,
    /// It cannot open the API keys that are issued now.
    LacksVersion,
    /// Two processes report under its name.
    Duplicate,
    /// It has not reported for a minute.
    Silent,
}

impl Condition {
    pub(crate) const ALL: [Condition; 9] = [
        Condition::Current,
        Condition::Behind,
        Condition::Failing,
        Condition::Starting,
        Condition::OtherLog,
        Condition::Ahead,
        Condition::LacksVersion,
        Condition::Duplicate,
        Condition::Silent,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Condition::Current => "current",
            Condition::Behind => "behind",
            Condition::Failing => "failing",
            Condition::Starting => "starting",
            Condition::OtherLog => "other_log",
            Condition::Ahead => "ahead",
            Condition::LacksVersion => "lacks_version",
            Condition::Duplicate => "duplicate",
            Condition::Silent => "silent",
        }
    }
}

/// How a member is at `now`, where the log ends at `end` and keys are sealed with `active`; and why it is not current.
pub(crate) fn condition(
    row: &FollowerRow,
    end: &LogPlace,
    active: Option<u32>,
    now: Timestamp,
) -> (Condition, Option<String>) {
    let behind = end.seq.saturating_sub(row.seq);
    let is_old = |at: Timestamp, limit| now.duration_since(at) > limit;
    let signed_at = clock::timestamp(row.this_update);
    let late = behind > 0 && (end.newest_at.is_none_or(|at| is_old(at, DELAY)) || is_old(signed_at, OLD));
    let (condition, why) = if let Some(trouble) = tells_nothing(row, now) {
        trouble
    } else if row.log_id.is_none() {
        (Condition::Starting, "it has not applied a message of the feed yet".to_owned())
    } else if row.log_id.as_deref() != Some(&end.log_id) {
        (
            Condition::OtherLog,
            "it follows another log than this store's, and starts again once it hears of this one".to_owned(),
        )
    } else if row.is_ahead_of(end) {
        (
            Condition::Ahead,
            format!(
                "it says that it has read the log up to {}, and this store's ends at {}: check whether the store is an older copy, or has \
                 lost its end, and what others report; see `An older disk` in docs/RECOVERY.md",
                row.seq, end.seq
            ),
        )
    } else if late {
        (Condition::Behind, format!("it is at {} of {}, and had the time to go on: look at its log", row.seq, end.seq))
    } else if let Some(active) = active.filter(|active| row.role != Role::Relay && !row.versions.contains(active)) {
        (
            Condition::LacksVersion,
            format!("it has not loaded key version {active}, which is active, and rejects its API keys"),
        )
    } else {
        return (Condition::Current, None);
    };
    (condition, Some(why))
}

/// Why what a member reported says nothing about how it is, if it does not.
pub(crate) fn tells_nothing(row: &FollowerRow, now: Timestamp) -> Option<(Condition, String)> {
    let silent_for = now.duration_since(row.last_contact);
    if silent_for < -AHEAD {
        let why = format!(
            "its last report is of {}, which is ahead of this clock: a clock was wrong, and nobody knows whether it reports \
             still; if it is gone for good, `bulla fleet forget {}`",
            row.last_contact, row.name
        );
        return Some((Condition::Silent, why));
    }
    if silent_for > SILENCE {
        let from = if row.role == Role::Node { "reach the store" } else { "reach a node" };
        let why = format!(
            "it has not reported since {}: it stopped, or cannot {from}. Until it is back it accepts what it accepted then; if it \
             is gone for good, `bulla fleet forget {}`",
            row.last_contact, row.name
        );
        return Some((Condition::Silent, why));
    }
    if row.is_doubled() {
        let setting = if row.role == Role::Node { "fleet.name" } else { "follow.name" };
        let why = format!(
            "two processes report under this name, so the place of each is unknown: give each a name of its own (`{setting}`), \
             or end one of them"
        );
        return Some((Condition::Duplicate, why));
    }
    let error = row.last_error.as_ref()?;
    Some((Condition::Failing, format!("it reports trouble: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + seconds).expect("a time")
    }

    /// One that reported at 0 that it is at 5 of the log `a`, by a message of that time.
    fn row() -> FollowerRow {
        FollowerRow {
            log_id: Some("a".to_owned()),
            seq: 5,
            this_update: clock::seconds(at(0)),
            versions: vec![1],
            ..FollowerRow::edge("edge-1", at(0))
        }
    }

    fn end(seq: u64, newest: i64) -> LogPlace {
        LogPlace { log_id: "a".to_owned(), seq, newest_at: Some(at(newest)) }
    }

    fn is(row: &FollowerRow, end: &LogPlace, active: u32, now: i64) -> Condition {
        let (condition, why) = condition(row, end, Some(active), at(now));
        assert_eq!(condition == Condition::Current, why.is_none(), "{why:?}");
        condition
    }

    #[test]
    fn a_follower_is_late_once_it_had_the_time_to_go_on() {
        assert_eq!(is(&row(), &end(5, -100), 1, 30), Condition::Current);
        assert_eq!(is(&row(), &end(6, 30), 1, 35), Condition::Current, "it is on its way");
        assert_eq!(is(&row(), &end(6, 30), 1, 36), Condition::Behind);
        let stuck = FollowerRow { last_contact: at(90), ..row() };
        assert_eq!(is(&stuck, &end(900, 60), 1, 60), Condition::Current);
        assert_eq!(is(&stuck, &end(900, 61), 1, 61), Condition::Behind, "a log that always goes on hides nobody");
        let nothing = LogPlace { newest_at: None, ..end(6, 0) };
        assert_eq!(is(&row(), &nothing, 1, 1), Condition::Behind, "what was there has been dropped long ago");
    }

    #[test]
    fn the_worst_trouble_is_told() {
        let well = end(5, 0);
        assert_eq!(is(&row(), &well, 2, 1), Condition::LacksVersion);
        let other = FollowerRow { log_id: Some("b".to_owned()), ..row() };
        assert_eq!(is(&other, &well, 2, 1), Condition::OtherLog);
        assert_eq!(is(&FollowerRow { seq: 6, ..row() }, &well, 2, 1), Condition::Ahead);
        let new = FollowerRow { log_id: None, ..row() };
        assert_eq!(is(&new, &well, 2, 1), Condition::Starting);
        let failing = FollowerRow { last_error: Some("no route".to_owned()), ..new };
        assert_eq!(is(&failing, &well, 2, 60), Condition::Failing);
        assert_eq!(is(&failing, &well, 2, 61), Condition::Silent);
        // A clock that was ahead hides nobody who is gone.
        let of_later = FollowerRow { last_contact: at(301), ..row() };
        assert_eq!(is(&of_later, &well, 1, 1), Condition::Current, "by another node's clock");
        assert_eq!(is(&of_later, &well, 1, 0), Condition::Silent);
        let doubled = FollowerRow { doubled_at: clock::seconds(at(-60)), ..failing.clone() };
        assert_eq!(is(&doubled, &well, 2, 1), Condition::Duplicate);
        assert_eq!(
            is(&FollowerRow { doubled_at: clock::seconds(at(-61)), ..failing }, &well, 2, 1),
            Condition::Failing
        );
        let (_, told) = condition(&FollowerRow { role: Role::Node, ..row() }, &well, None, at(61));
        assert!(told.expect("why").contains("cannot reach the store"));
    }
}
