//! Grafana: `glsa_SECRET_CRC`, of which the secret is hashed with PBKDF2 and the checksum as its salt, so that each
//! text with a right checksum has to be hashed before it is known whether it is a key.

use std::num::NonZeroU32;

use super::{PLAIN, System, Times};
use crate::imported::{Cost, Hashed, KeyLayout, Scheme};

const COST: Cost = Cost::Pbkdf2 { iterations: NonZeroU32::MIN.saturating_add(9_999), algorithm: Cost::SHA256 };

pub(super) const SYSTEM: System = System {
    name: "grafana",
    about: "Grafana 9 and later: tokens of service accounts (glsa_…)",
    header: "Authorization: Bearer KEY",
    export: "sqlite3 -csv -header grafana.db 'SELECT key, name, created, expires, is_revoked, service_account_id FROM api_key WHERE service_account_id IS NOT NULL' > keys.csv",
    columns: &[
        ("id", ""),
        ("org_id", ""),
        ("key", "hash"),
        ("role", ""),
        ("created", "issued_at"),
        ("updated", ""),
        ("last_used_at", ""),
        ("expires", "expires_at"),
        ("is_revoked", "revoked"),
    ],
    // SQLite; expires is in Unix seconds in any database.
    times: Times::Utc,
    layout: || KeyLayout {
        prefix: "glsa_".to_owned(),
        hashed: Hashed::Checksummed,
        cost: Some(COST),
        bytes: Some(50),
        ..KeyLayout::new(Scheme::Pbkdf2)
    },
    cost: Some(COST),
    ..PLAIN
};
