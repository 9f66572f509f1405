//! Indico: SHA-256 of the whole personal token.

use super::{PLAIN, System, Times};
use crate::imported::{KeyLayout, Scheme};

pub(super) const SYSTEM: System = System {
    name: "indico",
    about: "Indico 3: personal tokens (indp_…)",
    export: "\\copy (SELECT t.access_token_hash, t.name, t.created_dt, t.revoked_dt, t.user_id FROM users.tokens t JOIN users.users u ON u.id = t.user_id WHERE NOT u.is_blocked AND NOT u.is_deleted) TO keys.csv CSV HEADER",
    columns: &[
        ("access_token_hash", "hash"),
        ("created_dt", "issued_at"),
        ("revoked_dt", "revoked"),
        ("id", ""),
        ("user_id", ""),
        ("scopes", ""),
        ("last_used_dt", ""),
        ("last_used_ip", ""),
        ("use_count", ""),
    ],
    // The columns have no zone, and Indico writes UTC.
    times: Times::Utc,
    layout: || KeyLayout::new(Scheme::Sha256),
    ..PLAIN
};
