//! The administrator's API key, from the file that `BULLA_ADMIN_KEY_FILE` names.

use std::path::PathBuf;

use bulla::{ApiKey, Realm};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::input::file::{self, SecretError};

/// Longer than any valid content, in bytes.
const MAX_FILE: u64 = 64 << 10;

/// The key cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum AdminKeyError {
    #[error(
        "BULLA_ADMIN_KEY_FILE is not set: set it to the path of a file with the admin API key, or add --client-cert and \
         --client-key"
    )]
    Unset,
    #[error("cannot read the admin API key from {path}: {error}")]
    Read { path: PathBuf, error: SecretError },
    #[error(
        "{0} holds no API key: write the key alone in one line, or save the output of `bulla issue --json` or `bulla init --json`"
    )]
    None(PathBuf),
    #[error("{path} holds an API key of the realm `{realm}`: an admin API key is of the realm `bulla`")]
    Realm { path: PathBuf, realm: Realm },
}

/// Reads the key, which is alone in the file or in the JSON that a command printed.
pub(super) fn read() -> Result<ApiKey, AdminKeyError> {
    let path = std::env::var_os("BULLA_ADMIN_KEY_FILE").map(PathBuf::from).ok_or(AdminKeyError::Unset)?;
    let text = file::read_secret(&path, MAX_FILE);
    let text = text.map_err(|error| AdminKeyError::Read { path: path.clone(), error })?;
    // Some editors write a byte-order mark first.
    let text = text.trim_start_matches('\u{feff}').trim();
    let key = text.parse::<ApiKey>().ok().or_else(|| in_json(text)).ok_or_else(|| AdminKeyError::None(path.clone()))?;
    match key.id().realm() {
        Realm::ADMIN => Ok(key),
        realm => Err(AdminKeyError::Realm { path, realm }),
    }
}

/// The field that `bulla issue --json` or `bulla init --json` prints the key in.
#[derive(Deserialize)]
struct Printed {
    #[serde(alias = "admin_api_key")]
    api_key: String,
}

fn in_json(text: &str) -> Option<ApiKey> {
    let printed: Printed = serde_json::from_str(text).ok()?;
    Zeroizing::new(printed.api_key).parse().ok()
}
