//! django-rest-knox before 4.2: SHA-512 of the bytes that the token is in hexadecimal, and of those of a salt. The
//! first 8 characters of a token find its row, and perhaps others.

use super::{PLAIN, System};
use crate::imported::{Hashed, KeyLayout, PublicPart, SaltEncoding, Scheme};

pub(super) const SYSTEM: System = System {
    name: "django-rest-knox-3",
    about: "django-rest-knox 3 (whose column is expires, not expiry), and 4 before 4.2: rows with a salt",
    header: "Authorization: Token KEY",
    export: "\\copy (SELECT digest, salt, token_key, created, expiry, user_id FROM knox_authtoken) TO knox.csv CSV HEADER",
    columns: &[
        ("digest", "hash"),
        ("token_key", "public"),
        ("created", "issued_at"),
        ("expiry", "expires_at"),
        ("expires", "expires_at"),
    ],
    layout: || KeyLayout {
        public: PublicPart::First(8),
        hashed: Hashed::Hex,
        shared: true,
        ..KeyLayout::new(Scheme::Sha512KeySalt)
    },
    salts: SaltEncoding::Hex,
    ..PLAIN
};
