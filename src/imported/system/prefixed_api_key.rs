//! prefixed-api-key: `PREFIX_SHORT_LONG`, of which the long token is hashed with SHA-256.

use super::{PLAIN, System};
use crate::imported::{Hashed, KeyLayout, PublicPart, Scheme};

pub(super) const SYSTEM: System = System {
    name: "prefixed-api-key",
    about: "prefixed-api-key 1 (npm), the form of Seam",
    header: "Authorization: Bearer KEY",
    export: "\\copy (SELECT short_token, long_token_hash FROM api_keys) TO keys.csv CSV HEADER",
    prefix: Some("keyPrefix and an underscore"),
    columns: &[
        ("shortToken", "public"),
        ("short_token", "public"),
        ("longTokenHash", "hash"),
        ("long_token_hash", "hash"),
    ],
    layout: || KeyLayout {
        public: PublicPart::Before("_".to_owned()),
        hashed: Hashed::Secret,
        ..KeyLayout::new(Scheme::Sha256)
    },
    ..PLAIN
};
