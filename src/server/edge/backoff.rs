//! How long an edge waits before it asks a source again: the whole of the time is jitter, so that the edges of a server
//! that was away do not all return in one second.

use std::time::Duration;

/// The longest wait after one failure. A thousand edges that lose a server at once come back two hundred a second.
const FIRST: u64 = 5_000;
/// The longest wait at all, in milliseconds.
const LONGEST: u64 = 60_000;
/// Before a source is asked again that answered without news and without waiting, or that is behind.
const SHORT: u64 = 1_000;

/// The wait after `failures` in a row; `random` picks.
pub(super) fn after_failures(failures: u32, random: u32) -> Duration {
    let most =
        FIRST.checked_shl(failures.saturating_sub(1)).filter(|most| *most >> failures.saturating_sub(1) == FIRST);
    part(most.unwrap_or(LONGEST).min(LONGEST), random)
}

/// Before the next question to a source that answers.
pub(super) fn short(random: u32) -> Duration {
    Duration::from_millis(SHORT / 2) + part(SHORT / 2, random)
}

fn part(most: u64, random: u32) -> Duration {
    Duration::from_millis((most * u64::from(random)) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_spread_over_all_of_a_time_that_doubles() {
        let span = |failures| (after_failures(failures, 0).as_millis(), after_failures(failures, u32::MAX).as_millis());
        assert_eq!([1, 2, 3, 4].map(span), [(0, 4_999), (0, 9_999), (0, 19_999), (0, 39_999)]);
        for many in [5, 6, 63, 64, 65, u32::MAX] {
            assert_eq!(span(many), (0, 59_999), "{many}");
        }
        assert_eq!((short(0).as_millis(), short(u32::MAX).as_millis()), (500, 999));
    }

    #[test]
    fn a_thousand_edges_do_not_come_back_in_one_second() {
        // The generator is even; so is its image.
        let random = |edge: u32| edge.wrapping_mul(0x9e37_79b9);
        let mut in_second = [0; 5];
        for edge in 0..1_000 {
            in_second[after_failures(1, random(edge)).as_secs() as usize] += 1;
        }
        assert!(in_second.iter().all(|count| (150..250).contains(count)), "{in_second:?}");
    }
}
