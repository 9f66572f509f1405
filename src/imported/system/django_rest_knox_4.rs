//! django-rest-knox 4.2: SHA-512 of the bytes that the token is in hexadecimal, found by it.

use super::{PLAIN, System};
use crate::imported::{Hashed, KeyLayout, Scheme};

pub(super) const SYSTEM: System = System {
    name: "django-rest-knox-4",
    about: "django-rest-knox 4.2, with its default SECURE_HASH_ALGORITHM",
    header: "Authorization: Token KEY",
    export: "\\copy (SELECT digest, created, expiry, user_id FROM knox_authtoken) TO knox.csv CSV HEADER",
    columns: &[("digest", "hash"), ("token_key", ""), ("created", "issued_at"), ("expiry", "expires_at")],
    layout: || KeyLayout { hashed: Hashed::Hex, ..KeyLayout::new(Scheme::Sha512) },
    ..PLAIN
};
