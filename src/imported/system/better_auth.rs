//! better-auth: SHA-256 of the whole key in base64url without padding, in the column `key`.

use super::{PLAIN, System};
use crate::imported::{KeyLayout, Scheme};

pub(super) const SYSTEM: System = System {
    name: "better-auth",
    about: "@better-auth/api-key 1, with its default key hasher",
    header: "x-api-key: KEY",
    export: "\\copy (SELECT key, name, \"createdAt\", \"expiresAt\", enabled, \"referenceId\" FROM apikey) TO keys.csv CSV HEADER",
    columns: &[
        ("key", "hash"),
        ("start", ""),
        ("prefix", ""),
        ("createdAt", "issued_at"),
        ("expiresAt", "expires_at"),
        // Its own permissions and limits: they mean nothing elsewhere.
        ("permissions", ""),
        ("rateLimitEnabled", ""),
        ("metadata", ""),
    ],
    layout: || KeyLayout::new(Scheme::Sha256),
    ..PLAIN
};
