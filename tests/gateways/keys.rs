//! The API keys that clients show, one for each thing that can be wrong with one.

use serde_json::Value;

use crate::support::{
    clock,
    deployment::{Deployment, altered},
};

/// A key, and what an application is to hear of it.
#[derive(Clone)]
pub struct Key {
    pub text: String,
    pub id: String,
    /// The identity headers but the assertion, in the order of the page.
    pub identity: [(&'static str, String); 5],
}

pub struct Keys {
    /// With both scopes, for an hour.
    pub good: Key,
    /// The same, for ever.
    pub forever: Key,
    /// With the scope of `/orders/` alone.
    pub orders: Key,
    /// With the scope of `/reports/` alone.
    pub reports: Key,
    pub test_realm: Key,
    /// For the address 127.0.0.2.
    pub bound: Key,
    pub forged: Key,
    pub expired: Key,
    /// Not yet revoked.
    pub revoked: Key,
}

impl Keys {
    pub fn issue(deployment: &Deployment) -> Self {
        let both = ["--scope", "orders.read", "--scope", "reports.read"];
        let issue = |realm: &str, more: &[&str]| Key::new(&deployment.issue(realm, &[&both[..], more].concat()));
        let good = issue("live", &["--ttl", "1h"]);
        let digit = if good.text[59..].starts_with('0') { '1' } else { '0' };
        Keys {
            forever: issue("live", &[]),
            orders: Key::new(&deployment.issue("live", &["--scope", "orders.read"])),
            reports: Key::new(&deployment.issue("live", &["--scope", "reports.read"])),
            test_realm: issue("test", &[]),
            bound: issue("live", &["--cidr", "127.0.0.2/32"]),
            forged: Key { text: altered(&good.text, 59, digit), ..good.clone() },
            expired: issue("live", &["--ttl", "1s"]),
            revoked: issue("live", &[]),
            good,
        }
    }

    /// Waits until the key that expires has expired.
    pub fn expire(&self) {
        let expires: jiff::Timestamp = self.expired.identity[4].1.parse().expect("a time");
        while clock::now() <= expires.as_second().unsigned_abs() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

impl Key {
    pub fn new(issued: &Value) -> Self {
        let text = |name: &str| issued[name].as_str().unwrap_or_default().to_owned();
        let scopes: Vec<_> = issued["scopes"].as_array().into_iter().flatten().flat_map(Value::as_str).collect();
        Key {
            text: text("api_key"),
            id: text("api_key_id"),
            identity: [
                ("x-bulla-app-id", text("app_id")),
                ("x-bulla-api-key-id", text("api_key_id")),
                ("x-bulla-realm", text("realm")),
                ("x-bulla-scopes", scopes.join(" ")),
                ("x-bulla-expires-at", text("expires_at")),
            ],
        }
    }
}
