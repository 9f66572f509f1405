//! LiteLLM: SHA-256 of the whole key, `sk-…`.

use super::{PLAIN, System, Times};
use crate::imported::{KeyLayout, Scheme};

pub(super) const SYSTEM: System = System {
    name: "litellm",
    about: "LiteLLM proxy 1: virtual keys",
    header: "Authorization: Bearer KEY",
    export: "\\copy (SELECT token, key_alias, user_id, expires, created_at, blocked FROM \"LiteLLM_VerificationToken\") TO keys.csv CSV HEADER",
    columns: &[
        ("token", "hash"),
        ("key_name", ""),
        ("key_alias", "name"),
        ("created_at", "issued_at"),
        ("created_by", ""),
        ("updated_at", ""),
        ("updated_by", ""),
        ("settings_updated_at", ""),
        ("last_active", ""),
        ("expires", "expires_at"),
        ("blocked", "disabled"),
        // LiteLLM's own permissions, budgets and rates: they mean nothing elsewhere.
        ("permissions", ""),
        ("object_permission_id", ""),
        ("allowed_routes", ""),
        ("allowed_cache_controls", ""),
        ("access_group_ids", ""),
        ("policies", ""),
        ("models", ""),
        ("key_type", ""),
        ("metadata", ""),
    ],
    times: Times::Utc,
    layout: || KeyLayout { prefix: "sk-".to_owned(), ..KeyLayout::new(Scheme::Sha256) },
    ..PLAIN
};
