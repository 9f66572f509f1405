//! GitLab: SHA-256 of the token and the first 32 bytes of the key of its database, in base64.

use super::{PLAIN, System, Times};
use crate::imported::{Derived, KeyLayout, Scheme};

pub(super) const SYSTEM: System = System {
    name: "gitlab",
    about: "GitLab: personal, project and group access tokens",
    header: "Private-Token: KEY",
    export: "\\copy (SELECT token_digest, name, created_at, expires_at, revoked, user_id FROM personal_access_tokens) TO keys.csv CSV HEADER",
    secret: Some("db_key_base, as ?encoding=text"),
    columns: &[
        ("id", ""),
        ("token_digest", "hash"),
        ("created_at", "issued_at"),
        ("updated_at", ""),
        // A date: it ends as that day begins.
        ("expires_at", "expires_at"),
        ("last_used_at", ""),
        ("description", ""),
        // GitLab's own permissions: they mean nothing elsewhere.
        ("scopes", ""),
        ("advanced_scopes", ""),
        ("granular", ""),
        ("impersonation", ""),
        ("user_type", ""),
        // Whether owners were told that a token ends.
        ("expire_notification_delivered", ""),
        ("after_expiry_notification_delivered", ""),
        ("seven_days_notification_sent_at", ""),
        ("thirty_days_notification_sent_at", ""),
        ("sixty_days_notification_sent_at", ""),
        ("previous_personal_access_token_id", ""),
        ("organization_id", ""),
        ("group_id", ""),
    ],
    times: Times::Utc,
    layout: || KeyLayout { derived: Some(Derived::First32), ..KeyLayout::new(Scheme::Sha256KeySalt) },
    ..PLAIN
};
