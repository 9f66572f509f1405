//! LiteLLM: SHA-256 of the whole key, `sk-…`.

use super::{PLAIN, System};
use crate::imported::{KeyLayout, Scheme};

pub(super) const SYSTEM: System = System {
    name: "litellm",
    about: "LiteLLM proxy 1: virtual keys",
    header: "Authorization: Bearer KEY",
    export: "\\copy (SELECT token, key_alias, user_id, expires, created_at, blocked FROM \"LiteLLM_VerificationToken\") TO keys.csv CSV HEADER",
    columns: &[
        ("token", "hash"),
        ("key_alias", "name"),
        ("created_at", "issued_at"),
        ("expires", "expires_at"),
        ("blocked", "disabled"),
        ("permissions", ""),
    ],
    layout: || KeyLayout { prefix: "sk-".to_owned(), ..KeyLayout::new(Scheme::Sha256) },
    ..PLAIN
};
