//! The actor of an action, and its audit record.

use std::net::IpAddr;

use bulla::ApiKeyId;
use jiff::Timestamp;
use serde_json::Value;

use crate::store::AuditRecord;

/// An actor, and its address.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) name: String,
    address: Option<IpAddr>,
}

impl Actor {
    /// The user who runs the command, by the name that the environment gives.
    pub(crate) fn command_line() -> Self {
        let user = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER"));
        Actor { name: format!("cli:{}", user.as_deref().unwrap_or("unknown")), address: None }
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
