//! AdonisJS: `oat_ID.SECRET` in base64url, of which the decoded secret is hashed with SHA-256.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};

use super::{PLAIN, System};
use crate::imported::{Hashed, KeyLayout, PublicPart, RowErrorKind, Scheme, raw_row::RawRow};

pub(super) const SYSTEM: System = System {
    name: "adonisjs",
    about: "@adonisjs/auth 9 and 10: access tokens",
    header: "Authorization: Bearer KEY",
    export: "\\copy (SELECT id, hash, name, created_at, expires_at, tokenable_id FROM auth_access_tokens) TO keys.csv CSV HEADER",
    columns: &[
        ("id", "public"),
        ("identifier", "public"),
        ("tokenable_id", ""),
        ("type", ""),
        ("hash", "hash"),
        ("abilities", ""),
        ("createdAt", "issued_at"),
        ("created_at", "issued_at"),
        ("updated_at", ""),
        ("last_used_at", ""),
        ("expiresAt", "expires_at"),
        ("expires_at", "expires_at"),
    ],
    layout: || KeyLayout {
        prefix: "oat_".to_owned(),
        public: PublicPart::Before(".".to_owned()),
        hashed: Hashed::DecodedSecret,
        ..KeyLayout::new(Scheme::Sha256)
    },
    read,
    ..PLAIN
};

/// In the key stands the id in base64url.
fn read(row: &mut RawRow) -> Result<(), RowErrorKind> {
    let public = row.text("public").map(|id| BASE64URL.encode(id));
    row.put("public", public);
    Ok(())
}
