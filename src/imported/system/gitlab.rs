//! GitLab: SHA-256 of the token and the first 32 bytes of the key of its database, in base64.

use super::{PLAIN, System};
use crate::imported::{Derived, KeyLayout, Scheme};

pub(super) const SYSTEM: System = System {
    name: "gitlab",
    about: "GitLab: personal, project and group access tokens",
    header: "Private-Token: KEY",
    export: "\\copy (SELECT token_digest, name, created_at, expires_at, revoked, user_id FROM personal_access_tokens) TO keys.csv CSV HEADER",
    secret: Some("db_key_base, as ?encoding=text"),
    columns: &[("token_digest", "hash"), ("created_at", "issued_at"), ("scopes", "")],
    layout: || KeyLayout { derived: Some(Derived::First32), ..KeyLayout::new(Scheme::Sha256KeySalt) },
    ..PLAIN
};
