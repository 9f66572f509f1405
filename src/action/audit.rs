//! The actor of an action, and its audit record.

use std::net::IpAddr;

use bulla::{ApiKey, ApiKeyId};
use jiff::Timestamp;
use serde_json::Value;

use crate::{input::nearly_a_key::is_nearly_within, store::AuditRecord, telemetry::excerpt::excerpt};

/// Characters of a user's name that are recorded.
const LONGEST_USER: usize = 64;

/// An actor, and its address.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) name: String,
    address: Option<IpAddr>,
}

impl Actor {
    /// The user who runs the command, by the name that the environment gives.
    pub(crate) fn command_line() -> Self {
        let user =
            ["SUDO_USER", "USER"].into_iter().find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
        Self::user(user.as_deref().unwrap_or_default())
    }

    /// The user of this name. Anybody may have set it: it is shortened and escaped, an API key in it is reduced to its
    /// id, and one that holds nearly a key is not recorded.
    fn user(name: &str) -> Self {
        let shown = ApiKey::redact(name);
        let name = if name.is_empty() || is_nearly_within(&shown) { "unknown" } else { &*shown };
        Actor { name: format!("cli:{}", excerpt(name.as_bytes(), LONGEST_USER)), address: None }
    }

    /// The service, which reloads and rotates by itself.
    pub(crate) fn service() -> Self {
        Actor { name: "service".to_owned(), address: None }
    }

    /// A caller from this address without a valid credential.
    pub(crate) fn unknown(address: Option<IpAddr>) -> Self {
        Actor { name: "unknown".to_owned(), address }
    }

    /// The caller that shows this API key, from this address.
    pub(crate) fn api_key(id: ApiKeyId, address: Option<IpAddr>) -> Self {
        Actor { name: id.to_string(), address }
    }

    /// The caller that holds the certificate of this name, from this address.
    pub(crate) fn certificate(name: &str, address: Option<IpAddr>) -> Self {
        Actor { name: format!("cert:{name}"), address }
    }

    /// The caller that an edge's configuration lists by this name, from this address.
    pub(crate) fn listed(name: &str, address: Option<IpAddr>) -> Self {
        Actor { name: format!("caller:{name}"), address }
    }

    /// The record of something this actor does.
    pub(crate) fn record(&self, at: Timestamp, action: &str, target: Option<String>, detail: Value) -> AuditRecord {
        AuditRecord {
            at,
            actor: self.name.clone(),
            address: self.address.map(|address| address.to_string()),
            action: action.to_owned(),
            target,
            detail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_user_is_recorded_in_one_short_line_without_a_key() {
        const ID: &str = "acme_live_00000XzbyFf5rOyRXQyt8V";
        let key = format!("{ID}BSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw");
        let name = |user: &str| Actor::user(user).name;
        assert_eq!([name("anna"), name("anna-maria.é"), name("")], ["cli:anna", "cli:anna-maria.é", "cli:unknown"]);
        assert_eq!(name("a\u{2028}b\nc\u{202e}"), "cli:a\\u{2028}b\\nc\\u{202e}");
        assert_eq!(name(&key), format!("cli:{ID}…"));
        assert_eq!(name(&key[1..]), "cli:unknown");
        assert_eq!(name(&"x".repeat(1_000)), format!("cli:{}…", "x".repeat(LONGEST_USER)));
    }
}
