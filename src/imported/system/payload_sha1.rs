//! Payload before 3.46: as [`payload`](super::payload), with SHA-1 in the HMAC.

use super::{System, payload};
use crate::imported::{Derived, KeyLayout, Scheme};

pub(super) const SYSTEM: System = System {
    name: "payload-sha1",
    about: "Payload before 3.46: rows with 40 characters",
    layout: || KeyLayout { derived: Some(Derived::Sha256Hex32), ..KeyLayout::new(Scheme::HmacSha1) },
    ..payload::SYSTEM
};
