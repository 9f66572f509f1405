//! The table `[fleet]`: nodes on one store, and followers that report to them.

use std::time::Duration;

use bulla::feed::Format;
use serde::Deserialize;

use super::Span;

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FleetConfig {
    /// The name of this node; empty for the host's name and the data plane's port.
    pub(crate) name: String,
    /// How long a node or follower that does not report stays registered.
    pub(crate) forget_after: Span,
    /// The newest format of the feed that every follower reads, whatever it reported.
    pub(crate) assume_reads: String,
}

impl Default for FleetConfig {
    fn default() -> Self {
        let assume_reads = Format::V1.name().to_owned();
        FleetConfig { name: String::new(), forget_after: Span::seconds(24 * 3_600), assume_reads }
    }
}

impl FleetConfig {
    /// The newest format of the feed that every follower is taken to read.
    pub(crate) fn assumed(&self) -> Format {
        Format::ALL.into_iter().find(|format| format.name() == self.assume_reads).unwrap_or(Format::V1)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-@".contains(&byte);
        if self.name.len() > 128 || !self.name.bytes().all(good) {
            return Err("fleet.name must be at most 128 of A-Z, a-z, 0-9, `.`, `_`, `:`, `-` and `@`".to_owned());
        }
        if self.forget_after.0 < Duration::from_secs(120) {
            return Err(
                "fleet.forget_after must be at least 2m: nodes and followers report every 10s, and one that is cut off for a \
                 moment must stay registered"
                    .to_owned(),
            );
        }
        let known = Format::ALL.map(Format::name);
        if !known.contains(&self.assume_reads.as_str()) {
            return Err(format!("fleet.assume_reads must be one of {}", known.join(", ")));
        }
        Ok(())
    }
}
