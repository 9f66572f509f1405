//! The pepper: the key that every hash of a secret half needs.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{SealBinding, SecretDigest};
use crate::{
    api_key::{
        ApiKey, ApiKeyId,
        text::{Parts, SECRET_BYTES},
    },
    derive::DerivedKey,
    key_version::KeyVersion,
    keyring::{KeyringDocument, KeyringError},
    keyring_id::KeyringId,
    labels::{self, SECRET_ROW},
    source::{EncryptionContext, SourceUri, Sources},
};

/// One version of the pepper, loaded. Its source is asked once, here, and never for an API key.
///
/// Versions are numbered like key versions and for themselves. New hashes are made under the newest; older ones stay
/// loaded for as long as hashes under them are stored, since a hash moves to another pepper only when its secret half
/// is next presented.
#[derive(Debug)]
pub struct Pepper {
    version: KeyVersion,
    key: DerivedKey,
}

impl Pepper {
    /// Opens the source that the configuration names for this version.
    pub fn open(
        uri: &SourceUri,
        sources: &Sources,
        keyring: KeyringId,
        version: KeyVersion,
    ) -> Result<Self, KeyringError> {
        let context = EncryptionContext { keyring, version: None, wrapped: None };
        let source = sources.open_configured(uri, context);
        let key = source.and_then(|source| source.expand(&labels::pepper(keyring, version)));
        key.map(|key| Pepper { version, key }).map_err(|error| KeyringError::PepperSource { version, error })
    }

    /// Refuses a source that holds one of the keyring's master keys, of whatever state except destroyed: a thief of that
    /// key would have the pepper as well. For the time when a pepper is set up, as it asks the source for each key
    /// version.
    pub fn refuse_master_key(
        uri: &SourceUri,
        sources: &Sources,
        version: KeyVersion,
        document: &KeyringDocument,
    ) -> Result<(), KeyringError> {
        let held = document.versions_held_by(uri, sources);
        match held.map_err(|error| KeyringError::PepperSource { version, error })?.first() {
            Some(master) => Err(KeyringError::MasterAsPepper { version: *master, uri: uri.clone() }),
            None => Ok(()),
        }
    }

    /// The version.
    pub fn version(&self) -> KeyVersion {
        self.version
    }

    /// Authenticates what a store keeps of a secret half, so that a row that someone else wrote, or moved to another
    /// key, shows: HMAC-SHA256 under the pepper over the id, the stored hash and its binding, in base64. The
    /// authenticated text is longer than any digest's text and begins otherwise, so neither can be taken for the other.
    pub fn row_mac(&self, id: &ApiKeyId, phc: &str, binding: &str) -> String {
        BASE64.encode(self.row(id, phc, binding).finalize().into_bytes())
    }

    /// Returns whether the row is as it was stored.
    pub fn is_intact(&self, id: &ApiKeyId, phc: &str, binding: &str, mac: &str) -> bool {
        let mac = BASE64.decode(mac).unwrap_or_default();
        self.row(id, phc, binding).verify_slice(&mac).is_ok()
    }

    fn row(&self, id: &ApiKeyId, phc: &str, binding: &str) -> Hmac<Sha256> {
        let text = format!("{SECRET_ROW}\n{id}\n{phc}\n{binding}\n");
        self.key.hmac(text.as_bytes())
    }

    /// `h = HMAC-SHA256(P, s ‖ SHA-256(realm "_" body))`.
    pub(crate) fn digest(&self, secret: &[u8; SECRET_BYTES], bound_to: &SealBinding) -> SecretDigest {
        SecretDigest::new(self.key.hmac(secret), bound_to, self.version)
    }
}

impl ApiKey {
    /// What the secret half hashes to under `pepper`, where the key has one: a [`SecretHash`](super::SecretHash) is
    /// made of it.
    pub fn secret_digest(&self, pepper: &Pepper) -> Option<SecretDigest> {
        let parts = Parts::split(self.expose().as_bytes()).ok()?;
        Some(pepper.digest(&*parts.secret_half()?, &SealBinding::of(&parts)))
    }
}
