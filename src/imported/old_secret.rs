//! What an old system kept apart from its table: the key of an HMAC, a pepper, a salt of all rows. It is in a file of
//! its own.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bulla::source::{SecretFileError, SourceUri, read_secret_file};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha512};
use zeroize::Zeroizing;

use super::digest::{Algorithm, Digest};
use crate::config::Config;

/// Behind the path, it says how the file holds the secret.
const ENCODING: &str = "?encoding=";

/// A secret, ready to hash with. Wiped when dropped; `Debug` shows none of it, nor does that of [`Hmac`].
#[derive(Debug)]
pub(crate) struct OldSecret {
    bytes: SecretSlice<u8>,
    sha256: Box<Hmac<Sha256>>,
    sha512: Box<Hmac<Sha512>>,
}

/// How an old system makes its key of the secret in its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Derived {
    /// The first 32 characters of SHA-256(secret) in hexadecimal.
    Sha256Hex32,
    /// The first 32 bytes.
    First32,
}

/// The secret cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OldSecretError {
    #[error(
        "imported.secrets has no `{0}`: add `{0} = \"file:PATH?encoding=text\"` to `secrets` of [imported]; text, hex and base64 \
         say how the file holds it"
    )]
    Unknown(String),
    #[error("imported.secrets: {0} must be file:PATH, or file:PATH?encoding=text, hex or base64 (the default)")]
    Scheme(SourceUri),
    #[error("imported.secrets: cannot read {0}: {1}")]
    Read(SourceUri, SecretFileError),
    #[error("imported.secrets: {0} must hold one line of {1}, the secret's bytes")]
    Content(SourceUri, String),
}

impl OldSecret {
    pub(crate) fn new(secret: &[u8]) -> Self {
        OldSecret {
            bytes: secret.to_vec().into(),
            sha256: Box::new(keyed(secret)),
            sha512: Box::new(keyed_512(secret)),
        }
    }

    /// The secret of this name, made as `derived` says.
    pub(super) fn open(name: &str, derived: Option<Derived>, config: &Config) -> Result<Self, OldSecretError> {
        let uri = config.imported.secrets.get(name).ok_or_else(|| OldSecretError::Unknown(name.to_owned()))?;
        let secret = open(uri, &config.folder)?;
        Ok(match derived {
            None => Self::new(&secret),
            Some(Derived::First32) => Self::new(&secret[..secret.len().min(32)]),
            Some(Derived::Sha256Hex32) => {
                let hex = Zeroizing::new(hex::encode(Sha256::digest(&*secret)));
                Self::new(&hex.as_bytes()[..32])
            }
        })
    }

    /// The bytes themselves, for a pepper or a salt.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.expose_secret()
    }

    pub(super) fn mac(&self, algorithm: Algorithm, hashed: &[u8]) -> Digest {
        match algorithm {
            Algorithm::Sha256 => Digest::of(&Hmac::clone(&self.sha256).chain_update(hashed).finalize().into_bytes()),
            Algorithm::Sha512 => Digest::of(&Hmac::clone(&self.sha512).chain_update(hashed).finalize().into_bytes()),
            Algorithm::Sha1 | Algorithm::Sha384 => algorithm.mac(self.bytes(), hashed),
        }
    }
}

/// Returns whether the file of the secret is read as base64 because its URI does not say how it is written.
pub(super) fn assumes_base64(name: &str, config: &Config) -> bool {
    config.imported.secrets.get(name).is_some_and(|uri| !uri.rest().contains(ENCODING))
}

/// Reads the secret of a file in `folder`.
fn open(uri: &SourceUri, folder: &Path) -> Result<Zeroizing<Vec<u8>>, OldSecretError> {
    let (path, encoding) = uri.rest().split_once(ENCODING).unwrap_or((uri.rest(), "base64"));
    if uri.scheme() != "file" || !["text", "hex", "base64"].contains(&encoding) {
        return Err(OldSecretError::Scheme(uri.clone()));
    }
    let text = read_secret_file(&folder.join(path));
    let text = text.map_err(|error| OldSecretError::Read(uri.clone(), error))?;
    let line = text.trim_end_matches(['\r', '\n']);
    let secret = match encoding {
        "text" => Some(line.as_bytes().to_vec()),
        "hex" => hex::decode(line.trim()).ok(),
        _ => BASE64.decode(line.trim()).ok(),
    };
    let secret = secret.filter(|secret| !secret.is_empty()).map(Zeroizing::new);
    secret.ok_or_else(|| OldSecretError::Content(uri.clone(), encoding.to_owned()))
}

/// A MAC under a key of any length, which RFC 2104 brings to the length of a block.
pub(super) fn keyed(secret: &[u8]) -> Hmac<Sha256> {
    let mut block = Zeroizing::new([0; 64]);
    match block.get_mut(..secret.len()) {
        Some(start) => start.copy_from_slice(secret),
        None => block[..32].copy_from_slice(&Sha256::digest(secret)),
    }
    Hmac::new((&*block).into())
}

fn keyed_512(secret: &[u8]) -> Hmac<Sha512> {
    let mut block = Zeroizing::new([0; 128]);
    match block.get_mut(..secret.len()) {
        Some(start) => start.copy_from_slice(secret),
        None => block[..64].copy_from_slice(&Sha512::digest(secret)),
    }
    Hmac::new((&*block).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test cases 2 and 6, and RFC 2202, cases 2 and 6: a short key, and one longer than a block.
    #[test]
    fn keys_of_any_length_are_those_of_the_rfcs() {
        use Algorithm::{Sha1, Sha256, Sha384, Sha512};
        let (short, long) = ("what do ya want for nothing?", "Test Using Larger Than Block-Size Key - Hash Key First");
        for (algorithm, key, data, expected) in [
            (Sha256, b"Jefe".to_vec(), short, [0x5b, 0xdc, 0xc1, 0x46]),
            (Sha256, vec![0xaa; 131], long, [0x60, 0xe4, 0x31, 0x59]),
            (Sha512, b"Jefe".to_vec(), short, [0x16, 0x4b, 0x7a, 0x7b]),
            (Sha512, vec![0xaa; 131], long, [0x80, 0xb2, 0x42, 0x63]),
            (Sha384, b"Jefe".to_vec(), short, [0xaf, 0x45, 0xd2, 0xe3]),
            (Sha384, vec![0xaa; 131], long, [0x4e, 0xce, 0x08, 0x44]),
            (Sha1, b"Jefe".to_vec(), short, [0xef, 0xfc, 0xdf, 0x6a]),
            (Sha1, vec![0xaa; 80], long, [0xaa, 0x4a, 0xe5, 0xe1]),
        ] {
            assert_eq!(OldSecret::new(&key).mac(algorithm, data.as_bytes())[..4], expected);
        }
        let shown = format!("{:?}", OldSecret::new(b"Jefe"));
        assert!(shown.contains("REDACTED") && !shown.contains("Jefe") && !shown.contains("74"), "{shown}");
    }
}
