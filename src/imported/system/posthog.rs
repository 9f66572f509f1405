//! PostHog: `sha256$HEX` of the whole key, `phx_…`.

use super::{PLAIN, System};
use crate::imported::{KeyLayout, Scheme};

pub(super) const SYSTEM: System = System {
    name: "posthog",
    about: "PostHog: personal API keys (older rows of pbkdf2_sha256: PostHog rewrites them when they are used)",
    header: "Authorization: Bearer KEY",
    export: "\\copy (SELECT secure_value, label, created_at, user_id FROM posthog_personalapikey) TO keys.csv CSV HEADER",
    columns: &[
        ("id", ""),
        ("secure_value", "hash"),
        ("value", ""),
        ("mask_value", ""),
        ("label", "name"),
        ("created_at", "issued_at"),
        ("last_used_at", ""),
        ("last_rolled_at", ""),
        ("scopes", ""),
        ("scoped_teams", ""),
        ("scoped_organizations", ""),
        ("team_id", ""),
    ],
    layout: || KeyLayout::new(Scheme::Sha256),
    ..PLAIN
};
