//! better-auth: SHA-256 of the whole key in base64url without padding, in the column `key`.

use super::{PLAIN, RESTRICTS, System};
use crate::imported::{KeyLayout, Scheme};

pub(super) const SYSTEM: System = System {
    name: "better-auth",
    about: "@better-auth/api-key 1, with its default key hasher",
    header: "x-api-key: KEY",
    export: "\\copy (SELECT key, name, \"createdAt\", \"expiresAt\", enabled, remaining, \"referenceId\" FROM apikey) TO keys.csv CSV HEADER",
    columns: &[
        ("id", ""),
        ("configId", ""),
        ("start", ""),
        ("prefix", ""),
        ("key", "hash"),
        ("referenceId", ""),
        ("userId", ""),
        ("refillInterval", ""),
        ("refillAmount", ""),
        ("lastRefillAt", ""),
        ("requestCount", ""),
        ("lastRequest", ""),
        // How often the key may still be used.
        ("remaining", RESTRICTS),
        ("expiresAt", "expires_at"),
        ("expires_at", "expires_at"),
        ("createdAt", "issued_at"),
        ("created_at", "issued_at"),
        ("updatedAt", ""),
        // Its own permissions and rates: they mean nothing elsewhere.
        ("permissions", ""),
        ("rateLimitEnabled", ""),
        ("rate_limit_enabled", ""),
        ("rateLimitTimeWindow", ""),
        ("rateLimitMax", ""),
        ("metadata", ""),
    ],
    layout: || KeyLayout::new(Scheme::Sha256),
    ..PLAIN
};
