//! Kong: keys in plaintext, of which bulla stores the hashes.

use super::{PLAIN, System};

pub(super) const SYSTEM: System = System {
    name: "kong",
    about: "Kong: credentials of key-auth",
    header: "apikey: KEY",
    export: "\\copy (SELECT key, created_at, ttl, consumer_id FROM keyauth_credentials) TO keys.csv CSV HEADER",
    columns: &[
        ("id", ""),
        ("key", "key"),
        ("created_at", "issued_at"),
        ("ttl", "expires_at"),
        ("tags", ""),
        ("cache_key", ""),
        ("ws_id", ""),
    ],
    plain: true,
    ..PLAIN
};
