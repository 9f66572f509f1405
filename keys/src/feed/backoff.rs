//! How long a follower waits before it asks again, as the page of the feed says. The caller brings the random number.
//!
//! ```
//! use bulla::feed::backoff;
//!
//! let (failures, random) = (1, u32::MAX / 2);
//! assert!(backoff::after_failures(failures, random).as_secs() < 4);
//! ```

use std::time::Duration;

/// The bound of the first delay in seconds; it doubles with every failure up to the last.
const FIRST: u64 = 4;
const LAST: u64 = 60;

/// The delay after `failures` in a row, at least one: anything between 0 and the bound, as `random` picks. So the
/// followers of a server that was away do not all return in one second.
pub fn after_failures(failures: u32, random: u32) -> Duration {
    let doubled = FIRST.saturating_mul(1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(LAST));
    up_to(Duration::from_secs(doubled.min(LAST)), random)
}

/// The delay before a server is asked again that had nothing new and did not wait for it: a second or so.
pub fn without_news(random: u32) -> Duration {
    Duration::from_millis(500) + if_behind(random)
}

/// The delay before a server is asked again that is behind the others: less than a second, as another node may know
/// already.
pub fn if_behind(random: u32) -> Duration {
    up_to(Duration::from_secs(1), random)
}

fn up_to(bound: Duration, random: u32) -> Duration {
    Duration::from_millis((bound.as_secs() * 1000 * u64::from(random)) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_anything_up_to_a_bound_that_doubles_up_to_a_minute() {
        let delays = |failures| [0, 1 << 31, u32::MAX].map(|random| after_failures(failures, random).as_millis());
        assert_eq!(delays(1), [0, 2_000, 3_999]);
        assert_eq!(delays(2), [0, 4_000, 7_999]);
        assert_eq!(delays(4), [0, 16_000, 31_999]);
        for many in [5, 8, 62, 64, 65, u32::MAX] {
            assert_eq!(delays(many), [0, 30_000, 59_999], "{many}");
        }
        assert_eq!(delays(0), delays(1));
        assert_eq!([0, 1 << 31].map(without_news), [Duration::from_millis(500), Duration::from_secs(1)]);
    }

    #[test]
    fn a_thousand_followers_do_not_come_back_in_one_second() {
        let mut seconds = [0; 4];
        for follower in 0..1_000_u32 {
            seconds[after_failures(1, follower.wrapping_mul(0x9e37_79b9)).as_secs() as usize] += 1;
        }
        assert!(seconds.iter().all(|come| (200..300).contains(come)), "{seconds:?}");
    }
}
