//! Langflow: SHA-256 of the whole key, beside an encrypted copy of it.

use super::{PLAIN, System, Times};
use crate::imported::{KeyLayout, Scheme};

pub(super) const SYSTEM: System = System {
    name: "langflow",
    about: "Langflow 1.6 and later",
    header: "x-api-key: KEY",
    export: "sqlite3 -csv -header langflow.db 'SELECT api_key_hash, name, created_at, expires_at, is_active, user_id FROM apikey' > keys.csv",
    columns: &[
        ("id", ""),
        ("api_key", ""),
        ("api_key_hash", "hash"),
        ("created_at", "issued_at"),
        ("expires_at", "expires_at"),
        ("last_used_at", ""),
        ("total_uses", ""),
        ("is_active", "enabled"),
    ],
    times: Times::Utc,
    layout: || KeyLayout::new(Scheme::Sha256),
    ..PLAIN
};
