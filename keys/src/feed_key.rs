//! The feed's keys: Ed25519 (RFC 8032). What they sign begins with a label: that of the feed's messages, or of exports.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use ed25519_dalek::{SECRET_KEY_LENGTH, Signature, Signer};
use zeroize::Zeroizing;

use crate::{
    keyring_id::KeyringId,
    labels,
    source::{SourceError, SourceUri, Sources},
};

/// Bytes of a signature.
pub(crate) const SIGNATURE: usize = ed25519_dalek::SIGNATURE_LENGTH;

/// The key that signs a feed, and exports for those who follow it; wiped when dropped.
pub struct SigningKey(Box<ed25519_dalek::SigningKey>);

/// The public key of a feed, as followers configure it: 32 bytes, written in base64 (RFC 4648).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VerifyingKey(ed25519_dalek::VerifyingKey);

/// A text that is not the public key of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a feed's public key is the base64 of an Ed25519 key's 32 bytes, 44 characters: take it from the server that signs it"
)]
pub struct VerifyingKeyError;

impl SigningKey {
    /// The key of this seed, the 32 random bytes that RFC 8032 calls the private key.
    pub fn from_seed(seed: &Zeroizing<[u8; SECRET_KEY_LENGTH]>) -> Self {
        SigningKey(Box::new(ed25519_dalek::SigningKey::from_bytes(seed)))
    }

    /// The key whose seed is in the file that the configuration names: `file:PATH`, one line of base64, mode 0600.
    pub fn open(uri: &SourceUri, sources: &Sources) -> Result<Self, SourceError> {
        sources.signing_seed(uri).map(|seed| Self::from_seed(&seed))
    }

    /// The public key that followers need.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.verifying_key())
    }

    pub(crate) fn sign(&self, keyring: KeyringId, bytes: &[u8]) -> [u8; SIGNATURE] {
        self.0.sign(&[&labels::feed(keyring), bytes].concat()).to_bytes()
    }

    pub(crate) fn sign_export(&self, keyring: KeyringId, bytes: &[u8]) -> [u8; SIGNATURE] {
        self.0.sign(&[&labels::signed_export(keyring), bytes].concat()).to_bytes()
    }
}

impl VerifyingKey {
    /// The key's 32 bytes, which are public.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    pub(crate) fn verifies(&self, keyring: KeyringId, bytes: &[u8], signature: &[u8; SIGNATURE]) -> bool {
        let labelled = [&labels::feed(keyring), bytes].concat();
        self.0.verify_strict(&labelled, &Signature::from_bytes(signature)).is_ok()
    }

    pub(crate) fn verifies_export(&self, keyring: KeyringId, bytes: &[u8], signature: &[u8; SIGNATURE]) -> bool {
        let labelled = [&labels::signed_export(keyring), bytes].concat();
        self.0.verify_strict(&labelled, &Signature::from_bytes(signature)).is_ok()
    }
}

impl FromStr for VerifyingKey {
    type Err = VerifyingKeyError;

    fn from_str(text: &str) -> Result<Self, VerifyingKeyError> {
        let bytes = BASE64.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(VerifyingKeyError)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes).map_err(|_| VerifyingKeyError)?;
        // Under a key of small order there are signatures that fit every message.
        if key.is_weak() { Err(VerifyingKeyError) } else { Ok(VerifyingKey(key)) }
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&BASE64.encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({self})")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}
