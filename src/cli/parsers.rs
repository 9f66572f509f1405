//! Parsers for the values of arguments. No error repeats the value, which may be a misplaced API key.

use std::time::Duration;

use bulla::keyring::KeyVersion;
use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    api::{followers::check_name, propagation::MAX_WAIT},
    clock,
    config::parse_span,
};

/// An app's id.
pub(super) fn app_id(text: &str) -> Result<Uuid, &'static str> {
    text.parse()
        .map_err(|_| "an app is a UUID such as 3f2b8c1e-9a7d-4d52-8a55-0123456789ab; `uuidgen` prints a new one")
}

/// A point in time.
pub(super) fn time(text: &str) -> Result<Timestamp, &'static str> {
    clock::parse_time(text).ok_or("write the time as in RFC 3339, such as 2030-01-31T12:00:00Z")
}

/// The number of a key version.
pub(super) fn version(text: &str) -> Result<KeyVersion, &'static str> {
    text.parse().ok().and_then(KeyVersion::new).ok_or("a key version is a number from 1 on")
}

/// How long to wait for the fleet.
pub(super) fn wait(text: &str) -> Result<Duration, &'static str> {
    let wait = parse_span(text).ok().filter(|wait| wait.0 <= MAX_WAIT);
    wait.map(|wait| wait.0)
        .ok_or("a wait is a length of time up to 60s, such as 30s; to wait longer, run the command again")
}

/// The name of a node or follower.
pub(super) fn member(text: &str) -> Result<String, String> {
    check_name(text).map(|()| text.to_owned()).map_err(|error| error.trim_start_matches("name: ").to_owned())
}
