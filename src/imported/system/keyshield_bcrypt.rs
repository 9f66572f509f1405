//! keyshield: `ak_v1-ID-SECRET`, of which the secret is hashed under a pepper.

use super::{PLAIN, System};
use crate::imported::{Before, Hashed, KeyLayout, PublicPart, Scheme};

pub(super) const SYSTEM: System = System {
    name: "keyshield-bcrypt",
    about: "keyshield 2 with bcrypt",
    header: "Authorization: Bearer KEY",
    export: "\\copy (SELECT key_id, key_hash, name, created_at, expires_at, is_active FROM api_keys) TO keys.csv CSV HEADER",
    secret: Some("the pepper, as ?encoding=text"),
    columns: &[
        ("id_", ""),
        ("key_id", "public"),
        ("key_hash", "hash"),
        ("created_at", "issued_at"),
        ("is_active", "enabled"),
        ("scopes", ""),
    ],
    layout: || KeyLayout {
        prefix: "ak_v1-".to_owned(),
        public: PublicPart::Before("-".to_owned()),
        hashed: Hashed::Secret,
        before: Some(Before::HmacSha256),
        ..KeyLayout::new(Scheme::Bcrypt)
    },
    ..PLAIN
};
