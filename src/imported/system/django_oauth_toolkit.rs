//! django-oauth-toolkit: SHA-256 of the whole access token, beside the token itself unless it was told not to.

use super::{PLAIN, System};
use crate::imported::{KeyLayout, Scheme};

pub(super) const SYSTEM: System = System {
    name: "django-oauth-toolkit",
    about: "django-oauth-toolkit 3: access tokens (the column token is not needed)",
    export: "\\copy (SELECT token_checksum, created, expires, user_id, application_id, resource FROM oauth2_provider_accesstoken) TO keys.csv CSV HEADER",
    columns: &[
        ("token_checksum", "hash"),
        ("created", "issued_at"),
        ("expires", "expires_at"),
        ("id", ""),
        ("token", ""),
        ("scope", ""),
        // The resource servers that alone accept it (RFC 8707), `[]` for all.
        ("resource", "!"),
        ("updated", ""),
        ("user_id", ""),
        ("application_id", ""),
        ("id_token_id", ""),
        ("source_refresh_token_id", ""),
    ],
    layout: || KeyLayout::new(Scheme::Sha256),
    ..PLAIN
};
