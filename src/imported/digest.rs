//! The digests that old systems stored: SHA-1, SHA-256, SHA-384, SHA-512 (FIPS 180-4), of a key and a salt in either
//! order.

use std::ops::Deref;

use aws_lc_rs::{
    digest::{Context, SHA1_FOR_LEGACY_USE_ONLY},
    hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256, HMAC_SHA384, HMAC_SHA512},
};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::encoding;

/// Bytes of the longest digest.
pub(super) const MAX_DIGEST: usize = 64;

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

/// A digest, of the length that its function has.
#[derive(Clone, Copy)]
pub(super) struct Digest {
    bytes: [u8; MAX_DIGEST],
    len: usize,
}

impl Algorithm {
    pub(super) const ALL: [Algorithm; 4] = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512];

    /// Its name in text forms.
    pub(super) fn name(self) -> &'static str {
        match self {
            Algorithm::Sha1 => "sha1",
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha384 => "sha384",
            Algorithm::Sha512 => "sha512",
        }
    }

    /// The function of this name, as `sha256`, `SHA-256` or `sha` (which is SHA-1).
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase().replace(['-', '_'], "");
        let name = if name == "sha" { "sha1" } else { &name };
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Bytes of a digest.
    pub(super) fn len(self) -> usize {
        match self {
            Algorithm::Sha1 => 20,
            Algorithm::Sha256 => 32,
            Algorithm::Sha384 => 48,
            Algorithm::Sha512 => 64,
        }
    }

    /// The digest of these parts, one behind the other.
    pub(super) fn digest(self, parts: &[&[u8]]) -> Digest {
        match self {
            Algorithm::Sha1 => {
                let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
                parts.iter().for_each(|part| hash.update(part));
                Digest::of(hash.finish().as_ref())
            }
            Algorithm::Sha256 => {
                Digest::of(&parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize())
            }
            Algorithm::Sha384 => {
                Digest::of(&parts.iter().fold(Sha384::new(), |hash, part| hash.chain_update(part)).finalize())
            }
            Algorithm::Sha512 => {
                Digest::of(&parts.iter().fold(Sha512::new(), |hash, part| hash.chain_update(part)).finalize())
            }
        }
    }

    /// The HMAC (RFC 2104) under a key of any length.
    pub(super) fn mac(self, key: &[u8], hashed: &[u8]) -> Digest {
        let algorithm = match self {
            Algorithm::Sha1 => HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Algorithm::Sha256 => HMAC_SHA256,
            Algorithm::Sha384 => HMAC_SHA384,
            Algorithm::Sha512 => HMAC_SHA512,
        };
        Digest::of(hmac::sign(&hmac::Key::new(algorithm, key), hashed).as_ref())
    }

    /// Reads a digest: hexadecimal or base64, bare or behind what databases and frameworks put before it: `\x`, `0x`,
    /// `sha256:`, `sha256$`, `sha256$$`, `sha256-`, `{SHA256}`.
    pub(super) fn read(self, text: &str) -> Option<Vec<u8>> {
        let text = text.trim();
        encoding::of_length(self.behind_name(text).unwrap_or(text), self.len())
    }

    fn behind_name(self, text: &str) -> Option<&str> {
        let parted = match text.strip_prefix('{') {
            Some(behind) => behind.split_once('}'),
            None => text.split_once(['$', ':']).or_else(|| text.split_once('-')),
        };
        let (name, rest) = parted?;
        (Algorithm::named(name) == Some(self)).then(|| rest.strip_prefix('$').unwrap_or(rest))
    }
}

impl Digest {
    /// The bytes of a digest, of which there are at most 64.
    pub(super) fn of(found: &[u8]) -> Self {
        let (mut bytes, len) = ([0; MAX_DIGEST], found.len().min(MAX_DIGEST));
        bytes[..len].copy_from_slice(&found[..len]);
        Digest { bytes, len }
    }
}

impl Deref for Digest {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4: of "abc".
    #[test]
    fn digests_are_those_of_the_standard() {
        for (algorithm, expected) in [
            (Algorithm::Sha1, "a9993e36"),
            (Algorithm::Sha256, "ba7816bf"),
            (Algorithm::Sha384, "cb00753f"),
            (Algorithm::Sha512, "ddaf35a1"),
        ] {
            let digest = algorithm.digest(&[b"a", b"bc"]);
            assert_eq!((digest.len(), &hex::encode(&digest[..4])[..]), (algorithm.len(), expected));
        }
    }

    #[test]
    fn digests_are_read_in_the_forms_that_databases_and_frameworks_give_them() {
        let digest = Algorithm::Sha256.digest(&[b"abc"]).to_vec();
        let (hex, base64) = (hex::encode(&digest), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        for text in [
            hex.clone(),
            hex.to_uppercase(),
            format!("\\x{hex}"),
            format!("0x{hex}"),
            format!("sha256:{hex}"),
            format!("SHA-256:{hex}"),
            format!("sha256$${hex}"),
            format!("sha256${hex}"),
            format!(" {hex}\n"),
            base64.to_owned(),
            format!("{{SHA256}}{base64}"),
            format!("sha256-{base64}"),
        ] {
            assert_eq!(Algorithm::Sha256.read(&text), Some(digest.clone()), "{text}");
            assert_eq!(Algorithm::Sha512.read(&text), None, "{text}");
        }
        for text in ["", "sha512:", "{SHA}", &format!("sha512${hex}"), &format!("sha256$salt${hex}")] {
            assert_eq!(Algorithm::Sha256.read(text), None, "{text}");
        }
    }
}
