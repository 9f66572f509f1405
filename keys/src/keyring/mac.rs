//! The MAC of a keyring document: HMAC-SHA256 over the exact bytes before the last line, which holds it. Its key comes
//! from a source of its own, so that a master key alone signs no document.

use hmac::{Hmac, Mac};
use serde::Deserialize;
use sha2::Sha256;

use super::{KeyringError, KeyringId};
use crate::{
    derive::DerivedKey,
    labels,
    source::{EncryptionContext, KeySource, SourceUri, Sources},
};

/// The key that authenticates the documents of one keyring, derived by a source of its own. The source is asked once,
/// here.
#[derive(Debug)]
pub struct MacKey {
    keyring: KeyringId,
    key: DerivedKey,
}

/// The last table of a document.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MacTable {
    hmac_sha256: Option<String>,
}

/// The bytes of a document under its MAC, which is not yet checked.
pub(super) struct Signed<'a> {
    bytes: &'a str,
    tag: [u8; 32],
}

impl MacKey {
    /// Asks the source that the configuration names.
    pub fn open(uri: &SourceUri, sources: &Sources, keyring: KeyringId) -> Result<Self, KeyringError> {
        let source = open_source(uri, sources, keyring)?;
        let key = source.expand(&labels::keyring_mac(keyring)).map_err(KeyringError::MacSource)?;
        Ok(MacKey { keyring, key })
    }

    /// The keyring whose documents it is for.
    pub fn keyring(&self) -> KeyringId {
        self.keyring
    }

    /// Appends the last line to a document of `keyring` that ends in `[mac]`.
    pub(super) fn sign(&self, keyring: KeyringId, document: &mut String) -> Result<(), KeyringError> {
        let tag = self.mac(keyring, document)?.finalize().into_bytes();
        document.push_str(&mac_line(&tag));
        document.push('\n');
        Ok(())
    }

    fn mac(&self, keyring: KeyringId, bytes: &str) -> Result<Hmac<Sha256>, KeyringError> {
        if keyring == self.keyring { Ok(self.key.hmac(bytes.as_bytes())) } else { Err(KeyringError::MacWrong) }
    }
}

impl<'a> Signed<'a> {
    /// Takes a document apart, whose last table is `table`.
    pub(super) fn split(text: &'a str, table: Option<MacTable>) -> Result<Self, KeyringError> {
        let (bytes, last) = split_last_line(text).ok_or(KeyringError::MacMissing)?;
        let written = table.and_then(|table| table.hmac_sha256).ok_or(KeyringError::MacMissing)?;
        let mut tag = [0; 32];
        hex::decode_to_slice(&written, &mut tag).map_err(|_| KeyringError::MacMissing)?;
        // The MAC does not cover its own line, which therefore has one spelling alone.
        if last == mac_line(&tag) { Ok(Signed { bytes, tag }) } else { Err(KeyringError::MacMissing) }
    }

    /// Checks the MAC, in constant time.
    pub(super) fn verify(&self, key: &MacKey, keyring: KeyringId) -> Result<(), KeyringError> {
        key.mac(keyring, self.bytes)?.verify(&self.tag.into()).map_err(|_| KeyringError::MacWrong)
    }
}

/// The source of the MAC key.
pub(super) fn open_source(
    uri: &SourceUri,
    sources: &Sources,
    keyring: KeyringId,
) -> Result<Box<dyn KeySource>, KeyringError> {
    let context = EncryptionContext { keyring, version: None, wrapped: None };
    sources.open_configured(uri, context).map_err(KeyringError::MacSource)
}

/// The last line, without its end.
fn mac_line(tag: &[u8]) -> String {
    format!("hmac_sha256 = \"{}\"", hex::encode(tag))
}

/// The bytes before the last line, and that line without its end.
fn split_last_line(text: &str) -> Option<(&str, &str)> {
    let trimmed = text.strip_suffix('\n').unwrap_or(text);
    let at = trimmed.rfind('\n')? + 1;
    Some((&text[..at], &trimmed[at..]))
}
