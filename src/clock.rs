//! The one place that asks the operating system for the time.

use jiff::Timestamp;

/// Now, floored to the second, as everything that is recorded or sealed has it.
#[allow(clippy::disallowed_methods, reason = "the one place that may")]
pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or(Timestamp::MAX)
}

/// Now in whole Unix seconds, as the library takes it.
pub(crate) fn now_seconds() -> u64 {
    u64::try_from(now().as_second()).unwrap_or(0)
}

/// Unix seconds as a timestamp; API keys hold none that does not fit.
pub(crate) fn timestamp(seconds: u64) -> Timestamp {
    i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or(Timestamp::MAX)
}
