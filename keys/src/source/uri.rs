//! The URI of a key source: a scheme and whatever that scheme's file makes of the rest. It never holds a secret.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::api_key::ApiKey;

/// The name of a key source, such as `file:master-1.key`.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceUri(String);

/// A text that names no source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a key source is named `scheme:rest`, such as `file:master-1.key`, on one line without control characters; no API key stands \
     there, and no PIN (`pin-value`), which is read from where `pin-source` says: file:PATH, env:NAME or credential:NAME"
)]
pub struct SourceUriError;

impl SourceUri {
    /// What stands before the first colon.
    pub fn scheme(&self) -> &str {
        self.parts().0
    }

    /// What stands behind it.
    pub fn rest(&self) -> &str {
        self.parts().1
    }

    fn parts(&self) -> (&str, &str) {
        self.0.split_once(':').unwrap_or_default()
    }
}

impl FromStr for SourceUri {
    type Err = SourceUriError;

    fn from_str(text: &str) -> Result<Self, SourceUriError> {
        let (scheme, rest) = text.split_once(':').ok_or(SourceUriError)?;
        let named = !scheme.is_empty()
            && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-' || byte.is_ascii_digit());
        // RFC 7512 has it, but a URI is written down and shown.
        let secret = text.contains("pin-value") || ApiKey::is_within(text);
        if named && !rest.is_empty() && !secret && !text.chars().any(char::is_control) {
            Ok(SourceUri(text.to_owned()))
        } else {
            Err(SourceUriError)
        }
    }
}

impl TryFrom<String> for SourceUri {
    type Error = SourceUriError;

    fn try_from(text: String) -> Result<Self, SourceUriError> {
        text.parse()
    }
}

impl From<SourceUri> for String {
    fn from(uri: SourceUri) -> String {
        uri.0
    }
}

impl fmt::Display for SourceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for SourceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
