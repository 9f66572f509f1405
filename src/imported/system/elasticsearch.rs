//! Elasticsearch: base64 of `ID:SECRET`, of which the secret is hashed by one of its hashers.

use super::{PLAIN, System};
use crate::imported::{Hashed, KeyLayout, PublicPart, Scheme, Written};

pub(super) const SYSTEM: System = System {
    name: "elasticsearch",
    about: "Elasticsearch 7 to 9: API keys, from the index .security",
    header: "Authorization: ApiKey KEY",
    export: "curl …/.security/_search?size=10000 -d '{\"query\":{\"term\":{\"doc_type\":\"api_key\"}}}' | jq -c '.hits.hits[] | {id: ._id, hash: ._source.api_key_hash, name: ._source.name, creation: ._source.creation_time, expiration: ._source.expiration_time, invalidated: ._source.api_key_invalidated}'",
    columns: &[
        ("id", "public"),
        ("api_key_hash", "hash"),
        ("creation", "issued_at"),
        ("creation_time", "issued_at"),
        ("expiration", "expires_at"),
        ("expiration_time", "expires_at"),
        ("invalidated", "revoked"),
        ("api_key_invalidated", "revoked"),
    ],
    layout: || KeyLayout {
        public: PublicPart::BeforeFirst(":".to_owned()),
        hashed: Hashed::Secret,
        written: Written::Base64,
        ..KeyLayout::new(Scheme::HashString)
    },
    ..PLAIN
};
