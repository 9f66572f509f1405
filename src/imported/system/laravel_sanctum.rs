//! Laravel Sanctum: `ID|SECRET`, of which the secret is hashed with SHA-256.

use super::{PLAIN, System, Times};
use crate::imported::{Hashed, KeyLayout, PublicPart, Scheme};

pub(super) const SYSTEM: System = System {
    name: "laravel-sanctum",
    about: "Laravel Sanctum 2 to 4: personal access tokens",
    header: "Authorization: Bearer KEY",
    export: "mysql -BrN DATABASE -e \"SELECT JSON_OBJECT('id', id, 'token', token, 'name', name, 'created_at', created_at, 'expires_at', expires_at, 'tokenable_id', tokenable_id) FROM personal_access_tokens\" > keys.jsonl",
    columns: &[
        ("id", "public"),
        ("tokenable_type", ""),
        ("tokenable_id", ""),
        ("token", "hash"),
        ("abilities", ""),
        ("created_at", "issued_at"),
        ("updated_at", ""),
        ("last_used_at", ""),
        ("expires_at", "expires_at"),
    ],
    times: Times::Local("of app.timezone, which Laravel sets to UTC"),
    layout: || KeyLayout {
        public: PublicPart::BeforeFirst("|".to_owned()),
        hashed: Hashed::Secret,
        ..KeyLayout::new(Scheme::Sha256)
    },
    ..PLAIN
};
