//! Medusa: scrypt of the key, with a salt that is a text. The first 6 and the last 3 characters find a row, and other
//! rows.

use super::{PLAIN, System};
use crate::imported::{Cost, KeyLayout, PublicPart, RowErrorKind, Scheme, raw_row::RawRow};

pub(super) const SYSTEM: System = System {
    name: "medusa",
    about: "Medusa 2: secret API keys",
    header: "Authorization: Basic base64(KEY:)",
    export: "\\copy (SELECT token, salt, redacted, title, created_at, revoked_at, deleted_at FROM api_key WHERE type = 'secret') TO keys.csv CSV HEADER",
    columns: &[
        ("id", ""),
        ("token", "hash"),
        ("redacted", "public"),
        ("title", "name"),
        ("type", ""),
        ("created_at", "issued_at"),
        ("created_by", ""),
        ("updated_at", ""),
        ("last_used_at", ""),
        ("revoked_at", "revoked"),
        ("revoked_by", ""),
        ("deleted_at", "revoked"),
    ],
    layout: || KeyLayout {
        prefix: "sk_".to_owned(),
        public: PublicPart::Ends(3, 3),
        shared: true,
        ..KeyLayout::new(Scheme::Scrypt)
    },
    cost: Some(Cost::Scrypt { log_n: 14, r: 8, p: 1 }),
    read,
    ..PLAIN
};

/// `sk_abc***xyz` is `abcxyz` here.
fn read(row: &mut RawRow) -> Result<(), RowErrorKind> {
    let public = row.text("public").map(|redacted| {
        let (first, last) = redacted.split_once("***").unwrap_or((redacted, ""));
        format!("{}{last}", first.strip_prefix("sk_").unwrap_or(first))
    });
    row.put("public", public);
    Ok(())
}
