//! Reloads keyring, configuration and certificates. A part that cannot be loaded again stays in force as it was.
//!
//! `trigger.rs` decides when to look. A look has two parts, each on a thread of its own. The first puts configuration
//! and keyring in force, with the keys that are loaded (`first.rs`, `publish.rs`). The second asks key sources, and takes
//! the next step of rotation (`sources.rs`). While one hangs the other goes on, and `/readyz` shows it.
//!
//! An edge and a relay have no keyring, and look at their files alone (`file_looks.rs`).

mod file_looks;
mod first;
mod job;
mod publish;
mod sources;
#[cfg(test)]
mod tests;
mod trigger;

pub(super) use self::{
    file_looks::FileLooks,
    publish::{Reloader, report},
    trigger::ReloadLoop,
};

/// Why a look is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trigger {
    Signal,
    File,
    Interval,
    UnknownVersion,
    Retry,
}

/// How the first part ended.
struct FirstOutcome {
    changed: bool,
    failed: Vec<String>,
    /// The document may be under another MAC key than the loaded one.
    wants_mac_key: bool,
    /// Whether configuration and keyring could be read. Otherwise those in force count.
    loaded: bool,
}

/// The work of the second part.
struct SecondPart {
    trigger: Trigger,
    first: FirstOutcome,
}

/// How the second part ended, and so the look.
struct LookOutcome {
    trigger: Trigger,
    /// Whether configuration and keyring could be read.
    loaded: bool,
    changed: bool,
    failed: Vec<String>,
}

impl Trigger {
    /// Returns whether sources are asked for keys that are loaded, too.
    fn asks_all(self) -> bool {
        matches!(self, Trigger::Signal | Trigger::Retry)
    }

    /// One look for both reasons.
    fn or(self, other: Option<Trigger>) -> Trigger {
        other.filter(|other| other.asks_all()).unwrap_or(self)
    }
}
