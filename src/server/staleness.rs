//! When a node's revocations are too old to accept any key by. An edge decides in `edge/staleness.rs`, by the age of
//! its feed.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Returns whether the reading of the log has failed for `max`, or has not come to its end for so long. The second goes
/// by a monotonic clock. Without `max` nothing is stale.
pub(super) fn is_stale(
    max: Option<Duration>,
    failing_since: Option<Timestamp>,
    unread_for: Duration,
    now: Timestamp,
) -> bool {
    let Some(max) = max else { return false };
    let failed_for = failing_since.map(|since| now.duration_since(since));
    let fails = failed_for.is_some_and(|so_far| SignedDuration::try_from(max).is_ok_and(|max| so_far >= max));
    fails || unread_for >= max
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revocations_are_stale_once_reading_failed_or_hung_for_the_limit() {
        let (minute, second) = (Duration::from_secs(60), Duration::from_secs(1));
        let now = Timestamp::from_second(1_000_000).expect("a time");
        let ago = |seconds: i64| Timestamp::from_second(1_000_000 - seconds).ok();
        for (max, failing_since, unread_for, expected) in [
            (None, ago(100_000), minute * 1_000, false),
            (Some(minute), None, second, false),
            (Some(minute), ago(59), second, false),
            (Some(minute), ago(60), second, true),
            (Some(minute), None, minute - second, false),
            (Some(minute), None, minute, true),
            // The clock was set back since it began to fail.
            (Some(minute), ago(-100), second, false),
            (Some(minute), ago(-100), minute, true),
        ] {
            assert_eq!(
                is_stale(max, failing_since, unread_for, now),
                expected,
                "{max:?} {failing_since:?} {unread_for:?}"
            );
        }
    }
}
