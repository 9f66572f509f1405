//! django-rest-knox: SHA-512 of the whole token, found by it.

use super::{PLAIN, System};
use crate::imported::{KeyLayout, Scheme};

pub(super) const SYSTEM: System = System {
    name: "django-rest-knox",
    about: "django-rest-knox 5, with its default SECURE_HASH_ALGORITHM",
    header: "Authorization: Token KEY",
    export: "\\copy (SELECT digest, created, expiry, user_id FROM knox_authtoken) TO knox.csv CSV HEADER",
    columns: &[
        ("digest", "hash"),
        ("token_key", ""),
        ("user_id", ""),
        ("created", "issued_at"),
        ("expiry", "expires_at"),
    ],
    layout: || KeyLayout::new(Scheme::Sha512),
    ..PLAIN
};
