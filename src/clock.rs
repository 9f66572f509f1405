//! The clock: the one place that asks the operating system for the time.

use jiff::Timestamp;

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
pub(crate) fn now_seconds() -> u64 {
    seconds(now())
}

/// A timestamp in whole Unix seconds, as the library takes it.
pub(crate) fn seconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_second()).unwrap_or(0)
}

/// Unix seconds as a timestamp; all times in API keys fit.
pub(crate) fn timestamp(seconds: u64) -> Timestamp {
    i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or(Timestamp::MAX)
}

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
