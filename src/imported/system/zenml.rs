//! ZenML: `ZENKEY_` and base64 of a JSON object with `id` and `key`, of which the key is hashed with bcrypt.

use super::{PLAIN, System, Times};
use crate::imported::{Hashed, KeyLayout, PublicPart, RowErrorKind, Scheme, Written, raw_row::RawRow};

pub(super) const SYSTEM: System = System {
    name: "zenml",
    about: "ZenML: keys of service accounts",
    header: "Authorization: Bearer KEY",
    export: "mysql -BrN zenml -e \"SELECT JSON_OBJECT('id', id, 'key', api_key.key, 'name', name, 'created', created, 'active', active, 'service_account_id', service_account_id) FROM api_key\" > keys.jsonl",
    columns: &[
        ("id", "public"),
        ("key", "hash"),
        ("description", ""),
        ("created", "issued_at"),
        ("updated", ""),
        ("active", "enabled"),
        ("last_login", ""),
        ("last_rotated", ""),
        ("previous_key", ""),
        ("key_generation", ""),
        ("retain_period", ""),
    ],
    times: Times::Utc,
    layout: || KeyLayout {
        prefix: "ZENKEY_".to_owned(),
        public: PublicPart::Member("id".to_owned(), "key".to_owned()),
        hashed: Hashed::Secret,
        written: Written::Base64,
        ..KeyLayout::new(Scheme::Bcrypt)
    },
    read,
    ..PLAIN
};

/// A database may give a UUID without its hyphens; the key has them.
fn read(row: &mut RawRow) -> Result<(), RowErrorKind> {
    let id: Option<uuid::Uuid> = row.text("public").and_then(|id| id.parse().ok());
    if let Some(id) = id {
        row.put("public", Some(id.to_string()));
    }
    Ok(())
}
