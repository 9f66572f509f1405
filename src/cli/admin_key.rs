//! The administrator's API key, from the file that `BULLA_ADMIN_KEY_FILE` names.

use std::path::PathBuf;

use bulla::{ApiKey, Realm};
use serde_json::Value;

use crate::input_file::{self, SecretError};

/// Longer than any right content.
const MAX_FILE: u64 = 64 << 10;

/// The key cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum AdminKeyError {
    #[error(
        "BULLA_ADMIN_KEY_FILE names no file with the admin API key: set it to the path of one, or give --client-cert and \
         --client-key"
    )]
    Unset,
    #[error("cannot read the admin API key from {path}: {error}")]
    Read { path: PathBuf, error: SecretError },
    #[error(
        "{0} holds no API key: it has to hold one in one line, or be what `bulla issue --json` or `bulla init --json` printed"
    )]
    None(PathBuf),
    #[error("{path} holds an API key of the realm `{realm}`, and administrators' keys are of the realm `bulla`")]
    Realm { path: PathBuf, realm: Realm },
}

/// Reads the key: alone in the file, or in the JSON that a command printed.
pub(super) fn read() -> Result<ApiKey, AdminKeyError> {
    let path = std::env::var_os("BULLA_ADMIN_KEY_FILE").map(PathBuf::from).ok_or(AdminKeyError::Unset)?;
    let text = input_file::read_secret(&path, MAX_FILE);
    let text = text.map_err(|error| AdminKeyError::Read { path: path.clone(), error })?;
    // Editors of other systems put a byte-order mark in front.
    let text = text.trim_start_matches('\u{feff}').trim();
    let key = text.parse::<ApiKey>().ok().or_else(|| in_json(text)).ok_or_else(|| AdminKeyError::None(path.clone()))?;
    match key.id().realm() {
        Realm::ADMIN => Ok(key),
        realm => Err(AdminKeyError::Realm { path, realm }),
    }
}

fn in_json(text: &str) -> Option<ApiKey> {
    let value: Value = serde_json::from_str(text).ok()?;
    ["api_key", "admin_api_key"].iter().find_map(|name| value.get(name)?.as_str()?.parse().ok())
}
