//! The clock: the one place that asks the operating system for the time.

mod key_time;
mod time_text;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

pub(crate) use self::{
    key_time::{KeyTime, KeyTimeError},
    time_text::{names_leap_second, optional_time, parse_time},
};

/// The cheapest clock that never goes backwards.
#[cfg(target_os = "linux")]
const COARSE: ClockId = ClockId::MonotonicCoarse;
#[cfg(not(target_os = "linux"))]
const COARSE: ClockId = ClockId::Monotonic;

/// The last second that a timestamp has.
pub(crate) const LAST_SECOND: u64 = 253_402_207_200;

/// Now, rounded down to the second, as in records and keys.
#[allow(clippy::disallowed_methods, reason = "the one place that may")]
pub(crate) fn now() -> Timestamp {
    #[cfg(test)]
    if let Some(simulated) = simulated::now() {
        return simulated;
    }
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or(Timestamp::MAX)
}

/// Now in whole Unix seconds, as the library takes it.
#[allow(clippy::disallowed_methods, reason = "the one place that may")]
pub(crate) fn now_seconds() -> u64 {
    #[cfg(test)]
    if let Some(simulated) = simulated::now() {
        return seconds(simulated);
    }
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Milliseconds of a clock that never goes backwards. It begins anywhere, and is some milliseconds behind.
pub(crate) fn coarse_millis() -> u64 {
    let now = clock_gettime(COARSE);
    let (seconds, nanos) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    seconds * 1_000 + nanos / 1_000_000
}

/// A length of time in whole seconds, rounded up: one that is greater than zero stays so.
pub(crate) fn seconds_up(length: Duration) -> u64 {
    length.as_secs().saturating_add(u64::from(length.subsec_nanos() > 0))
}

/// A timestamp in whole Unix seconds, as the library takes it.
pub(crate) fn seconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_second()).unwrap_or(0)
}

/// Unix seconds as a timestamp; all times in API keys fit.
pub(crate) fn timestamp(seconds: u64) -> Timestamp {
    i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or(Timestamp::MAX)
}

/// Appends a time in Unix seconds, as a timestamp shows it.
pub(crate) fn write_time(text: &mut String, seconds: u64) {
    let Ok(seconds) = u32::try_from(seconds) else {
        text.push_str(&timestamp(seconds).to_string());
        return;
    };
    let mut room = [0; 20];
    bulla::gateway::rfc_3339(seconds, &mut room);
    text.push_str(std::str::from_utf8(&room).unwrap_or_default());
}

#[cfg(test)]
#[path = "../../tests/support/hard_values.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests of the command and the service use it, too")]
pub(crate) mod hard_values;

/// A clock that a test sets, for the threads it starts: other tests run in the same process and keep the real one.
#[cfg(test)]
pub(crate) mod simulated {
    use std::{
        cell::RefCell,
        sync::{
            Arc,
            atomic::{AtomicI64, Ordering},
        },
    };

    use jiff::Timestamp;

    thread_local! {
        static CLOCK: RefCell<Option<Arc<AtomicI64>>> = const { RefCell::new(None) };
    }

    /// From now on this thread reads `clock`, in Unix seconds.
    pub(crate) fn set(clock: &Arc<AtomicI64>) {
        CLOCK.with(|current| *current.borrow_mut() = Some(Arc::clone(clock)));
    }

    pub(super) fn now() -> Option<Timestamp> {
        let seconds = CLOCK.with(|current| current.borrow().as_ref().map(|clock| clock.load(Ordering::SeqCst)));
        seconds.map(|seconds| Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_above_zero_is_at_least_a_second() {
        let up = |millis| seconds_up(Duration::from_millis(millis));
        assert_eq!([0, 1, 999, 1_000, 1_001].map(up), [0, 1, 1, 1, 2]);
        assert_eq!(seconds_up(Duration::MAX), u64::MAX);
    }

    #[test]
    fn times_are_written_as_timestamps_show_them() {
        let days = (0..2_932_895).step_by(13).map(|day| day * 86_400 + day % 86_400);
        for seconds in days.chain([0, 951_782_399, 951_782_400, 4_107_542_399, 253_402_207_200, u32::MAX.into()]) {
            let mut text = "at ".to_owned();
            write_time(&mut text, seconds);
            assert_eq!(text, format!("at {}", timestamp(seconds)));
        }
        let mut text = String::new();
        write_time(&mut text, u64::MAX);
        assert_eq!(text, Timestamp::MAX.to_string());
    }
}
