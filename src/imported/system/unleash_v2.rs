//! Unleash 8 under its flag secureTokenStorage, for new tokens: SHA-256 of the whole token in base64url. Older ones
//! stay in the table of `unleash`.

use super::{PLAIN, System};

pub(super) const SYSTEM: System = System {
    name: "unleash-v2",
    about: "Unleash 8 with secureTokenStorage: API tokens with v2_ in them",
    header: "Authorization: KEY",
    export: "\\copy (SELECT verifier, token_name, created_at, expires_at FROM api_tokens_v2) TO keys.csv CSV HEADER",
    columns: &[
        ("verifier", "hash"),
        // 22 characters of the token.
        ("selector", ""),
        ("token_name", "name"),
        ("type", ""),
        ("environment", ""),
        ("created_at", "issued_at"),
        ("expires_at", "expires_at"),
        ("seen_at", ""),
        ("user_created", ""),
    ],
    ..PLAIN
};
