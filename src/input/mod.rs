//! What people and other programs hand in: small files, JSON in which no name stands twice, and texts that are stored
//! or shown.

pub(crate) mod file;
pub(crate) mod json;
pub(crate) mod nearly_a_key;
pub(crate) mod object;
pub(crate) mod piece_of_a_key;
pub(crate) mod regular_file;
pub(crate) mod text;
