//! keyshield with bcrypt: as [`keyshield`](super::keyshield), with an HMAC of the secret under the pepper before it.

use super::{System, keyshield};
use crate::imported::{Before, Hashed, KeyLayout, PublicPart, Scheme};

pub(super) const SYSTEM: System = System {
    name: "keyshield-bcrypt",
    about: "keyshield 2 with bcrypt",
    layout: || KeyLayout {
        prefix: "ak_v1-".to_owned(),
        public: PublicPart::Before("-".to_owned()),
        hashed: Hashed::Secret,
        before: Some(Before::HmacSha256),
        ..KeyLayout::new(Scheme::Bcrypt)
    },
    ..keyshield::SYSTEM
};
