//! The table `[fleet]`: nodes on one store, and followers that report to them.

use std::time::Duration;

use serde::Deserialize;

use super::Span;

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FleetConfig {
    /// The name of this node; empty for the host's name and the data plane's port.
    pub(crate) name: String,
    /// How long a node or follower that does not report stays registered.
    pub(crate) forget_after: Span,
}

impl Default for FleetConfig {
    fn default() -> Self {
        FleetConfig { name: String::new(), forget_after: Span::seconds(24 * 3_600) }
    }
}

impl FleetConfig {
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
        Ok(())
    }
}
