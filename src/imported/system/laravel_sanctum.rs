//! Laravel Sanctum: `ID|SECRET`, of which the secret is hashed with SHA-256.

use super::{PLAIN, System};
use crate::imported::{Hashed, KeyLayout, PublicPart, Scheme};

pub(super) const SYSTEM: System = System {
    name: "laravel-sanctum",
    about: "Laravel Sanctum 2 to 4: personal access tokens",
    header: "Authorization: Bearer KEY",
    export: "SELECT id, token, name, created_at, expires_at, tokenable_id FROM personal_access_tokens",
    columns: &[("id", "public"), ("token", "hash"), ("created_at", "issued_at"), ("abilities", ""), ("tokenable_id", "")],
    layout: || KeyLayout {
        public: PublicPart::BeforeFirst("|".to_owned()),
        hashed: Hashed::Secret,
        ..KeyLayout::new(Scheme::Sha256)
    },
    ..PLAIN
};
