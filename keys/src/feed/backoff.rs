//! How long a follower waits after an answer that did not help.

use std::time::Duration;

/// Doubled with every failure, from one second up to this.
const LONGEST: u64 = 60;

/// The pause after so many failures in a row, at least one: half as much less or more, as `random` has it out of all its
/// values, so that the followers of a server that was away do not come back in one second.
pub(super) fn after(failures: u32, random: u32) -> Duration {
    let seconds = 1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(LONGEST).clamp(1, LONGEST);
    let millis = seconds * 1000;
    Duration::from_millis(millis / 2 + ((millis * u64::from(random)) >> 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_differ_by_half() {
        let pauses = |failures| (after(failures, 0).as_millis(), after(failures, 1 << 31), after(failures, u32::MAX));
        let seconds = Duration::from_secs;
        assert_eq!(pauses(1), (500, seconds(1), Duration::from_millis(1499)));
        assert_eq!(pauses(2), (1000, seconds(2), Duration::from_millis(2999)));
        assert_eq!(pauses(6), (16_000, seconds(32), Duration::from_millis(47_999)));
        for many in [7, 8, 64, 65, u32::MAX] {
            assert_eq!(pauses(many), (30_000, seconds(60), Duration::from_millis(89_999)), "{many}");
        }
        assert_eq!(after(0, 1 << 31), seconds(1));
    }
}
