//! JupyterHub: `sha512:ROUNDS:SALT:HEX` of the token repeated. The first 4 characters of a token find its row, and
//! other rows.

use super::{PLAIN, System, Times};
use crate::imported::{KeyLayout, PublicPart, Scheme};

pub(super) const SYSTEM: System = System {
    name: "jupyterhub",
    about: "JupyterHub 2 to 6",
    header: "Authorization: token KEY",
    export: "sqlite3 -csv -header jupyterhub.sqlite 'SELECT prefix, hashed, note, created, expires_at, user_id FROM api_tokens' > keys.csv",
    columns: &[
        ("id", ""),
        ("service_id", ""),
        ("client_id", ""),
        ("session_id", ""),
        ("prefix", "public"),
        ("hashed", "hash"),
        ("note", "name"),
        ("created", "issued_at"),
        ("expires_at", "expires_at"),
        ("last_activity", ""),
        // JupyterHub's own permissions: they mean nothing elsewhere.
        ("scopes", ""),
    ],
    times: Times::Utc,
    layout: || KeyLayout { public: PublicPart::First(4), shared: true, ..KeyLayout::new(Scheme::HashString) },
    ..PLAIN
};
