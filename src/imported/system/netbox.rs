//! NetBox: `nbt_KEY.TOKEN`, of which the token is hashed with HMAC-SHA256 under a pepper.

use super::{PLAIN, RESTRICTS, System};
use crate::imported::{Hashed, KeyLayout, PublicPart, Scheme};

pub(super) const SYSTEM: System = System {
    name: "netbox",
    about: "NetBox 4.5 and later, v2 tokens of one pepper (import each pepper_id by itself)",
    header: "Authorization: Bearer KEY",
    export: "\\copy (SELECT key, hmac_digest, created, expires, enabled, allowed_ips, user_id FROM users_token WHERE version = 2 AND pepper_id = 1) TO keys.csv CSV HEADER",
    secret: Some("the pepper, of API_TOKEN_PEPPERS, as ?encoding=text"),
    columns: &[
        ("id", ""),
        ("version", ""),
        ("key", "public"),
        ("pepper_id", ""),
        ("hmac_digest", "hash"),
        ("plaintext", ""),
        ("description", "name"),
        ("created", "issued_at"),
        ("expires", "expires_at"),
        ("last_used", ""),
        ("write_enabled", ""),
        ("allowed_ips", RESTRICTS),
    ],
    layout: || KeyLayout {
        prefix: "nbt_".to_owned(),
        public: PublicPart::Before(".".to_owned()),
        hashed: Hashed::Secret,
        ..KeyLayout::new(Scheme::HmacSha256)
    },
    ..PLAIN
};
