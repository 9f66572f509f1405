//! Open WebUI: keys in plaintext, of which bulla stores the hashes.

use super::{PLAIN, System};

pub(super) const SYSTEM: System = System {
    name: "open-webui",
    about: "Open WebUI: API keys of users",
    header: "Authorization: Bearer KEY",
    export: "sqlite3 -csv -header webui.db 'SELECT key, created_at, expires_at, user_id FROM api_key' > keys.csv",
    columns: &[
        ("id", ""),
        ("key", "key"),
        ("data", ""),
        ("created_at", "issued_at"),
        ("updated_at", ""),
        ("expires_at", "expires_at"),
        ("last_used_at", ""),
    ],
    plain: true,
    ..PLAIN
};
