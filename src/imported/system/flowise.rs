//! Flowise: keys in plaintext, of which bulla stores the hashes.

use super::{PLAIN, System};

pub(super) const SYSTEM: System = System {
    name: "flowise",
    about: "Flowise: API keys (the column apiSecret is not needed)",
    header: "Authorization: Bearer KEY",
    export: "\\copy (SELECT \"apiKey\", \"keyName\" FROM apikey) TO keys.csv CSV HEADER",
    columns: &[
        ("id", ""),
        ("apiKey", "key"),
        ("apiSecret", ""),
        ("keyName", "name"),
        ("permissions", ""),
        ("updatedDate", ""),
        ("workspaceId", ""),
    ],
    plain: true,
    ..PLAIN
};
