//! Gitea and Forgejo: PBKDF2 of the token, with a salt that is a text. The last 8 characters find a row, and perhaps
//! others.

use std::num::NonZeroU32;

use super::{PLAIN, System};
use crate::imported::{Cost, KeyLayout, PublicPart, Scheme};

const ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(9_999);

pub(super) const SYSTEM: System = System {
    name: "gitea",
    about: "Gitea and Forgejo: access tokens",
    header: "Authorization: token KEY",
    export: "\\copy (SELECT token_hash, token_salt, token_last_eight, name, created_unix, uid FROM access_token) TO keys.csv CSV HEADER",
    columns: &[
        ("id", ""),
        ("uid", ""),
        ("token_hash", "hash"),
        ("token_salt", "salt"),
        ("token_last_eight", "public"),
        ("scope", ""),
        ("created_unix", "issued_at"),
        ("updated_unix", ""),
    ],
    layout: || KeyLayout { public: PublicPart::Last(8), shared: true, ..KeyLayout::new(Scheme::Pbkdf2) },
    cost: Some(Cost::Pbkdf2 { iterations: ITERATIONS, algorithm: Cost::SHA256 }),
    ..PLAIN
};
