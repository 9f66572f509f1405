//! Elasticsearch: base64 of `ID:SECRET`, of which the secret is hashed by one of its hashers.

use super::{PLAIN, System};
use crate::imported::{Hashed, KeyLayout, PublicPart, Scheme, Written};

pub(super) const SYSTEM: System = System {
    name: "elasticsearch",
    about: "Elasticsearch 7 to 9: API keys, from the index .security",
    header: "Authorization: ApiKey KEY",
    export: "curl …/.security/_search?scroll=1m … | jq -c '…': docs/IMPORT.md has the whole loop",
    columns: &[
        ("id", "public"),
        ("hash", "hash"),
        ("api_key_hash", "hash"),
        ("name", "name"),
        ("creation", "issued_at"),
        ("creation_time", "issued_at"),
        ("expiration", "expires_at"),
        ("expiration_time", "expires_at"),
        ("invalidated", "revoked"),
        ("api_key_invalidated", "revoked"),
        ("invalidation_time", "revoked"),
        // Its own permissions: they mean nothing elsewhere.
        ("role_descriptors", ""),
        ("limited_by_role_descriptors", ""),
        ("doc_type", ""),
        ("type", "=rest"),
        ("version", ""),
        ("metadata_flattened", ""),
        ("creator", ""),
    ],
    layout: || KeyLayout {
        public: PublicPart::BeforeFirst(":".to_owned()),
        hashed: Hashed::Secret,
        written: Written::Base64,
        ..KeyLayout::new(Scheme::HashString)
    },
    ..PLAIN
};
