//! Backoff: how long a follower waits after a failure, with jitter.

use std::time::Duration;

/// The delay doubles with every failure, from one second up to this.
const MAX_SECONDS: u64 = 60;

/// The delay after so many failures in a row, at least one, with up to half of it less or more: `random` picks, so that the
/// followers of a server that was away do not all return in one second.
pub(super) fn after(failures: u32, random: u32) -> Duration {
    let seconds = 1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(MAX_SECONDS).clamp(1, MAX_SECONDS);
    let millis = seconds * 1000;
    Duration::from_millis(millis / 2 + ((millis * u64::from(random)) >> 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_minute_and_vary_by_half() {
        let delays = |failures| (after(failures, 0).as_millis(), after(failures, 1 << 31), after(failures, u32::MAX));
        let seconds = Duration::from_secs;
        assert_eq!(delays(1), (500, seconds(1), Duration::from_millis(1499)));
        assert_eq!(delays(2), (1000, seconds(2), Duration::from_millis(2999)));
        assert_eq!(delays(6), (16_000, seconds(32), Duration::from_millis(47_999)));
        for many in [7, 8, 64, 65, u32::MAX] {
            assert_eq!(delays(many), (30_000, seconds(60), Duration::from_millis(89_999)), "{many}");
        }
        assert_eq!(after(0, 1 << 31), seconds(1));
    }
}
