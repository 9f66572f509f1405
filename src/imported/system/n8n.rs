//! n8n: keys in plaintext, of which bulla stores the hashes.

use super::{PLAIN, System};

pub(super) const SYSTEM: System = System {
    name: "n8n",
    about: "n8n: public API keys, which are JWTs",
    header: "X-N8N-API-KEY: KEY",
    export: "\\copy (SELECT \"apiKey\", label, \"createdAt\", \"userId\" FROM user_api_keys) TO keys.csv CSV HEADER",
    columns: &[("apiKey", "key"), ("label", "name"), ("createdAt", "issued_at"), ("scopes", "")],
    plain: true,
    ..PLAIN
};
