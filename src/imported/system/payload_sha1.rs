//! Payload: an HMAC of the key, under the first 32 characters of SHA-256(PAYLOAD_SECRET) in hexadecimal.

use super::{PLAIN, System};
use crate::imported::{Derived, KeyLayout, Scheme};

pub(super) const SYSTEM: System = System {
    name: "payload-sha1",
    about: "Payload before 3.46: rows with 40 characters",
    header: "Authorization: users API-Key KEY",
    export: "\\copy (SELECT api_key_index, enable_a_p_i_key, id FROM users WHERE api_key_index IS NOT NULL) TO keys.csv CSV HEADER",
    secret: Some("PAYLOAD_SECRET itself, as ?encoding=text"),
    columns: &[
        ("apiKeyIndex", "hash"),
        ("api_key_index", "hash"),
        ("apiKey", ""),
        ("api_key", ""),
        ("enableAPIKey", "enabled"),
        ("enable_a_p_i_key", "enabled"),
    ],
    layout: || KeyLayout { derived: Some(Derived::Sha256Hex32), ..KeyLayout::new(Scheme::HmacSha1) },
    ..PLAIN
};
