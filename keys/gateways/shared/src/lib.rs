//! What the modules in gateways have in common. A gateway calls their hooks from C or C++, through which no panic may
//! go: it would end the process, with every stream in it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::UNIX_EPOCH,
};

/// What `hook` returns, or `failed` if it panics: for a request that is the answer 503, and never a yes.
///
/// A caller that keeps state drops it after a panic, which may have left it half done.
pub fn guarded<T>(failed: T, hook: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(hook)).unwrap_or(failed)
}

/// The time in Unix seconds: the library reads no clock for a check.
pub fn now() -> u64 {
    UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]

    use super::*;

    #[test]
    fn a_panic_stays_in_its_hook() {
        assert_eq!(guarded(503, || 200), 200);
        assert_eq!(guarded(503, || panic!("on purpose")), 503);
    }

    #[test]
    fn the_time_is_not_the_epoch() {
        assert!(now() > 1_700_000_000);
    }
}
