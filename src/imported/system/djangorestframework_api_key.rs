//! djangorestframework-api-key: `PREFIX.SECRET`, of which the whole is hashed: `sha512$$HEX` since version 3, and a
//! string of Django's password hashers before, until a key is used.

use super::{PLAIN, System};
use crate::imported::{KeyLayout, PublicPart, Scheme};

pub(super) const SYSTEM: System = System {
    name: "djangorestframework-api-key",
    about: "djangorestframework-api-key 2 and 3, rows of either hasher",
    header: "Authorization: Api-Key KEY",
    export: "\\copy (SELECT prefix, hashed_key, name, created, expiry_date, revoked FROM rest_framework_api_key_apikey) TO keys.csv CSV HEADER",
    columns: &[
        ("id", ""),
        ("prefix", "public"),
        ("hashed_key", "hash"),
        ("created", "issued_at"),
        ("expiry_date", "expires_at"),
    ],
    layout: || KeyLayout { public: PublicPart::BeforeFirst(".".to_owned()), ..KeyLayout::new(Scheme::HashString) },
    ..PLAIN
};
