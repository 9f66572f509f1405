//! The keyring document: TOML on disk or in the store, without any plaintext key, under a MAC.

use serde::{Deserialize, Serialize};

use super::{
    KeyVersion, KeyringError, KeyringId, MacKey, VersionRecord, VersionState,
    mac::{MacTable, Signed},
};
use crate::source::{SourceUri, Sources};

const FORMAT: u32 = 1;
const HEADER: &str =
    "# A bulla keyring. It holds no plaintext key. Change it with `bulla keyring` alone: the last line is a MAC.\n\n";

/// The keyring document, read and authenticated, or new and not yet written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyringDocument {
    /// The keyring's id.
    pub(super) id: KeyringId,
    /// Grows with every change, so that an older document is recognized.
    pub(super) serial: u64,
    /// The versions, in the order of their numbers.
    pub(super) versions: Vec<VersionRecord>,
}

#[derive(Deserialize)]
struct Head {
    format: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    format: u32,
    keyring_id: KeyringId,
    serial: u64,
    #[serde(default, rename = "version")]
    versions: Vec<VersionRecord>,
    #[serde(skip_serializing)]
    mac: Option<MacTable>,
}

/// A document that parses, and is not yet authenticated.
struct Unchecked<'a> {
    body: Body,
    signed: Signed<'a>,
}

impl<'a> Unchecked<'a> {
    fn parse(text: &'a str) -> Result<Self, KeyringError> {
        // First and alone: a newer format has fields that would only look like mistakes here.
        let Head { format } = read(text)?;
        if format != FORMAT {
            return Err(KeyringError::Format(format));
        }
        let mut body: Body = read(text)?;
        let signed = Signed::split(text, body.mac.take())?;
        Ok(Unchecked { body, signed })
    }

    fn check(self, key: &MacKey) -> Result<KeyringDocument, KeyringError> {
        let Unchecked { body, signed } = self;
        signed.verify(key, body.keyring_id)?;
        let document = KeyringDocument { id: body.keyring_id, serial: body.serial, versions: body.versions };
        document.check()?;
        Ok(document)
    }
}

impl MacKey {
    /// Asks the source that the configuration names, for the keyring that `text`, a document which is not yet
    /// authenticated, names.
    pub fn for_document(text: &str, uri: &SourceUri, sources: &Sources) -> Result<Self, KeyringError> {
        Self::open(uri, sources, Unchecked::parse(text)?.body.keyring_id)
    }
}

impl KeyringDocument {
    /// A keyring without versions.
    pub fn new(id: KeyringId) -> Self {
        KeyringDocument { id, serial: 0, versions: Vec::new() }
    }

    /// What is known of a keyring whose document is elsewhere.
    #[cfg(feature = "follow")]
    pub(super) fn known(id: KeyringId, serial: u64, versions: Vec<VersionRecord>) -> Self {
        KeyringDocument { id, serial, versions }
    }

    /// The keyring's id.
    pub fn id(&self) -> KeyringId {
        self.id
    }

    /// The serial number: one more with every change.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// The versions, in the order of their numbers.
    pub fn versions(&self) -> &[VersionRecord] {
        &self.versions
    }

    /// The version of this number.
    pub fn version(&self, number: KeyVersion) -> Option<&VersionRecord> {
        self.versions.iter().find(|record| record.number == number)
    }

    /// The version that seals, where there is one.
    pub fn active(&self) -> Option<&VersionRecord> {
        self.versions.iter().find(|record| record.state == VersionState::Active)
    }

    /// Reads a document and checks its MAC under the key that `mac_source` holds, which is asked for it.
    pub fn parse(text: &str, mac_source: &SourceUri, sources: &Sources) -> Result<Self, KeyringError> {
        let unchecked = Unchecked::parse(text)?;
        let key = MacKey::open(mac_source, sources, unchecked.body.keyring_id)?;
        unchecked.check(&key)
    }

    /// Reads a document and checks its MAC under a key that is loaded, without asking any source.
    pub fn parse_with(text: &str, key: &MacKey) -> Result<Self, KeyringError> {
        Unchecked::parse(text)?.check(key)
    }

    /// The document as text, under a new MAC.
    pub fn render(&self, key: &MacKey) -> Result<String, KeyringError> {
        self.check()?;
        let body = Body {
            format: FORMAT,
            keyring_id: self.id,
            serial: self.serial,
            versions: self.versions.clone(),
            mac: None,
        };
        let body = toml::to_string(&body).map_err(|error| KeyringError::Syntax(error.to_string()))?;
        let mut text = format!("{HEADER}{body}\n[mac]\n");
        key.sign(self.id, &mut text)?;
        Ok(text)
    }

    fn check(&self) -> Result<(), KeyringError> {
        for (at, record) in self.versions.iter().enumerate() {
            if self.versions[..at].iter().any(|before| before.number == record.number) {
                return Err(KeyringError::DuplicateVersion(record.number));
            }
            if record.state.opens() && record.sources.is_empty() {
                return Err(KeyringError::NoSource(record.number));
            }
        }
        let mut active = self.versions.iter().filter(|record| record.state == VersionState::Active);
        match (active.next(), active.next()) {
            (Some(one), Some(two)) => Err(KeyringError::TwoActive(one.number, two.number)),
            _ => Ok(()),
        }
    }
}

fn read<T: for<'a> Deserialize<'a>>(text: &str) -> Result<T, KeyringError> {
    toml::from_str(text).map_err(|error| KeyringError::Syntax(place(text, &error)))
}

/// Where the parser stumbled. Its own words quote what stands there, and the file may be another one that holds a
/// secret.
fn place(text: &str, error: &toml::de::Error) -> String {
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else {
        return "a field is missing or unknown".to_owned();
    };
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {}, column {column} is not a keyring field or value", before.matches('\n').count() + 1)
}
