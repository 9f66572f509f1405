//! Unleash: keys in plaintext, of which bulla stores the hashes.

use super::{PLAIN, System};

pub(super) const SYSTEM: System = System {
    name: "unleash",
    about: "Unleash: API tokens without v2_ in them",
    header: "Authorization: KEY",
    export: "\\copy (SELECT secret, token_name, created_at, expires_at FROM api_tokens) TO keys.csv CSV HEADER",
    columns: &[
        ("secret", "key"),
        ("token_name", "name"),
        ("username", ""),
        ("alias", ""),
        ("type", ""),
        ("environment", ""),
        ("project", ""),
        ("created_at", "issued_at"),
        ("created_by_user_id", ""),
        ("expires_at", "expires_at"),
        ("seen_at", ""),
    ],
    plain: true,
    ..PLAIN
};
