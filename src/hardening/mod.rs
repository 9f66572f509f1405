//! Keys and API keys stay in this process's memory: no core dump, no debugger of the same user, no swap.

mod registers;

use rustix::{
    mm::{MlockAllFlags, mlockall},
    process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit},
};

pub(crate) use self::registers::forget_registers;

/// The memory in a core dump, as bits of core(5): none.
const NO_MEMORY: &str = "0";

const UNLOCKED: &str = "keys are not locked in memory and may be swapped out: raise the limit (LimitMEMLOCK=infinity, \
                        `ulimit -l unlimited`), or turn swap off";

/// Hardens the process, and warns of each measure that the system refuses. Called before any key is read.
pub(crate) fn harden() {
    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        tracing::warn!(%error, "core dumps cannot be turned off");
    }
    // Before the process becomes undumpable, after which only root may write there.
    if let Err(error) = std::fs::write("/proc/self/coredump_filter", NO_MEMORY) {
        tracing::warn!(%error, "memory cannot be kept out of core dumps that a debugger takes");
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "debuggers of the same user cannot be kept out");
    }
    if !may_lock_everything() {
        return tracing::warn!("{UNLOCKED}");
    }
    if let Err(error) = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT) {
        tracing::warn!(%error, "{UNLOCKED}");
    }
}

/// Under a finite limit a later allocation would fail instead of this call.
fn may_lock_everything() -> bool {
    const CAP_IPC_LOCK: u64 = 1 << 14;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let capable = effective.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0) & CAP_IPC_LOCK != 0;
    capable || getrlimit(Resource::Memlock).current.is_none()
}
