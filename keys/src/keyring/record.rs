//! What the keyring document says of one key version.

use serde::{Deserialize, Serialize};

use super::{KeyVersion, VersionState, time};
use crate::{derive::DerivedKey, source::SourceUri, suite::Suite};

/// One key version on record. It holds no plaintext key. Times are Unix seconds; the document has them in RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct VersionRecord {
    /// 1 and up, never used twice.
    pub number: KeyVersion,
    /// Where the version is in its life.
    pub state: VersionState,
    /// The algorithm it pins.
    pub suite: Suite,
    /// When it was staged.
    #[serde(with = "time")]
    pub created_at: u64,
    /// When it was last activated.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::optional")]
    pub activated_at: Option<u64>,
    /// From then on nothing is sealed with it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::optional")]
    pub seal_until: Option<u64>,
    /// From then on nothing sealed with it is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::optional")]
    pub verify_until: Option<u64>,
    /// Tells a wrong master key behind a right name.
    pub key_check_value: KeyCheckValue,
    /// The sources that hold this version's master key, in the order they are tried.
    #[serde(rename = "source")]
    pub sources: Vec<SourceRecord>,
}

/// One place that holds a version's master key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceRecord {
    /// The source.
    pub uri: SourceUri,
    /// The key as the source wrapped it, in base64, for sources that unwrap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrapped: Option<String>,
}

/// The first 8 bytes of the master key's expansion under the label `kcv`; written in hex.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyCheckValue(pub(super) [u8; 8]);

impl KeyCheckValue {
    /// What a key expands to under that label, cut.
    pub(super) fn of(expanded: &DerivedKey) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *expanded.bytes();
        KeyCheckValue([a, b, c, d, e, f, g, h])
    }
}

impl TryFrom<String> for KeyCheckValue {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let mut value = [0; 8];
        hex::decode_to_slice(&text, &mut value).map_err(|_| "a key-check value is 16 hexadecimal digits")?;
        Ok(KeyCheckValue(value))
    }
}

impl From<KeyCheckValue> for String {
    fn from(value: KeyCheckValue) -> String {
        hex::encode(value.0)
    }
}

impl std::fmt::Display for KeyCheckValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for KeyCheckValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}
