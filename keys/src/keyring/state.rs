//! The states of a key version.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of a key version; the last four are the words of NIST SP 800-57.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum VersionState {
    /// Every verifier has it and opens with it; nothing seals with it yet.
    Staged,
    /// Seals and opens; at most one version is active.
    Active,
    /// Opens only.
    Deactivated,
    /// Neither seals nor opens; kept on record.
    Compromised,
    /// Neither seals nor opens; the material is gone.
    Destroyed,
}

impl VersionState {
    /// Every state, in the order of a version's life.
    pub const ALL: [VersionState; 5] = [
        VersionState::Staged,
        VersionState::Active,
        VersionState::Deactivated,
        VersionState::Compromised,
        VersionState::Destroyed,
    ];

    /// Returns whether API keys of a version in this state still verify.
    pub const fn opens(self) -> bool {
        matches!(self, VersionState::Staged | VersionState::Active | VersionState::Deactivated)
    }

    /// The state's name.
    pub const fn name(self) -> &'static str {
        match self {
            VersionState::Staged => "staged",
            VersionState::Active => "active",
            VersionState::Deactivated => "deactivated",
            VersionState::Compromised => "compromised",
            VersionState::Destroyed => "destroyed",
        }
    }
}

impl fmt::Display for VersionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
