//! The secret of imported HMACs, in a file of its own and never in the table of keys.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bulla::source::{SecretFileError, SourceUri, read_secret_file};
use hmac::{Hmac, KeyInit};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::KeyLayout;
use crate::config::Config;

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// A secret, ready to hash with. Wiped when dropped; the hash's own `Debug` shows none of it.
#[derive(Debug)]
pub(crate) struct HmacKey(Box<Hmac<Sha256>>);

/// The secret cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HmacKeyError {
    #[error("imported.hmac_keys has no `{0}`: add it, `{0} = \"file:PATH\"`, one line of base64")]
    Unknown(String),
    #[error("imported.hmac_keys: {0} must be file:PATH")]
    Scheme(SourceUri),
    #[error("imported.hmac_keys: cannot read {0}: {1}")]
    Read(SourceUri, SecretFileError),
    #[error("imported.hmac_keys: {0} must hold one line of base64, the secret's bytes")]
    Content(SourceUri),
}

impl HmacKey {
    pub(crate) fn new(secret: SecretSlice<u8>) -> Self {
        HmacKey(Box::new(keyed(secret.expose_secret())))
    }

    /// The secret that `layout` names, if any.
    pub(crate) fn of(layout: &KeyLayout, config: &Config) -> Result<Option<Self>, HmacKeyError> {
        let Some(name) = &layout.hmac_key else { return Ok(None) };
        let uri = config.imported.hmac_keys.get(name).ok_or_else(|| HmacKeyError::Unknown(name.clone()))?;
        Self::open(uri, &config.folder).map(Some)
    }

    /// Reads the secret of a file in `folder`.
    fn open(uri: &SourceUri, folder: &Path) -> Result<Self, HmacKeyError> {
        if uri.scheme() != "file" {
            return Err(HmacKeyError::Scheme(uri.clone()));
        }
        let text = read_secret_file(&folder.join(uri.rest()));
        let text = text.map_err(|error| HmacKeyError::Read(uri.clone(), error))?;
        let secret = BASE64.decode(text.trim()).ok().filter(|secret| !secret.is_empty());
        secret.map(|secret| Self::new(secret.into())).ok_or_else(|| HmacKeyError::Content(uri.clone()))
    }

    pub(super) fn mac(&self) -> Hmac<Sha256> {
        Hmac::clone(&self.0)
    }
}

/// A MAC under a key of any length, which RFC 2104 brings to the length of a block.
pub(super) fn keyed(secret: &[u8]) -> Hmac<Sha256> {
    let mut block = Zeroizing::new([0; BLOCK]);
    match block.get_mut(..secret.len()) {
        Some(start) => start.copy_from_slice(secret),
        None => block[..32].copy_from_slice(&Sha256::digest(secret)),
    }
    Hmac::new((&*block).into())
}

#[cfg(test)]
mod tests {
    use hmac::Mac;

    use super::*;

    /// RFC 4231, test cases 2 and 6: a short key, and one longer than a block.
    #[test]
    fn keys_of_any_length_are_those_of_the_rfc() {
        for (key, data, expected) in [
            (b"Jefe".to_vec(), "what do ya want for nothing?", [0x5b, 0xdc, 0xc1, 0x46]),
            (vec![0xaa; 131], "Test Using Larger Than Block-Size Key - Hash Key First", [0x60, 0xe4, 0x31, 0x59]),
        ] {
            let mac = HmacKey::new(key.into()).mac().chain_update(data).finalize().into_bytes();
            assert_eq!(mac[..4], expected);
        }
        let shown = format!("{:?}", HmacKey::new(b"Jefe".to_vec().into()));
        assert!(!shown.contains("Jefe") && !shown.contains("74"), "{shown}");
    }
}
