//! The fields that a row may have, and what is known of each by its place.

use std::ops::Range;

/// All of them. The texts come first.
pub(super) const FIELDS: [&str; 13] = [
    "app_id",
    "hash",
    "salt",
    "public",
    "name",
    "issued_at",
    "expires_at",
    "key",
    "revoked",
    "disabled",
    "enabled",
    "scopes",
    "meta",
];
/// How many are texts. The scopes come next.
pub(super) const TEXTS: usize = 11;
pub(super) const META: usize = 12;
/// Fields that say whether a key has ended, and of these the one that says the opposite.
pub(super) const STATES: Range<usize> = 8..TEXTS;
pub(super) const ENABLED: usize = 10;
/// Fields that hold times, which may have fractions.
pub(super) const TIMES: [usize; 2] = [5, 6];

/// The place of the field of this name.
pub(super) fn place(name: &str) -> Option<usize> {
    FIELDS.iter().position(|field| *field == name)
}
