//! keyshield: `ak_v1-ID-SECRET`, of which the secret is hashed under a pepper.

use super::{PLAIN, System, Times};
use crate::imported::{Before, Hashed, KeyLayout, PublicPart, Scheme};

pub(super) const SYSTEM: System = System {
    name: "keyshield",
    about: "keyshield 2 (and fastapi-api-key) with Argon2",
    header: "Authorization: Bearer KEY",
    export: "\\copy (SELECT key_id, key_hash, name, created_at, expires_at, is_active FROM api_keys) TO keys.csv CSV HEADER",
    secret: Some("the pepper, as ?encoding=text"),
    columns: &[
        ("id", ""),
        ("id_", ""),
        ("description", ""),
        ("key_id", "public"),
        ("key_hash", "hash"),
        ("key_secret_first", ""),
        ("key_secret_last", ""),
        ("created_at", "issued_at"),
        ("expires_at", "expires_at"),
        ("last_used_at", ""),
        ("is_active", "enabled"),
        ("scopes", ""),
    ],
    times: Times::Utc,
    layout: || KeyLayout {
        prefix: "ak_v1-".to_owned(),
        public: PublicPart::Before("-".to_owned()),
        hashed: Hashed::Secret,
        before: Some(Before::Append),
        ..KeyLayout::new(Scheme::Argon2id)
    },
    ..PLAIN
};
