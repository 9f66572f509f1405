//! Hash schemes of imported keys, one file each.

mod argon2id;
mod bcrypt;
mod hmac;
mod scrypt;
mod sha256;
mod slow;

use std::fmt;

use ctutils::CtEq;
use serde::{Deserialize, Serialize};

pub(super) use self::slow::{SlowError, SlowHash};
use super::{HmacKey, encoding, row_error::RowErrorKind};

/// Bytes of a fast scheme's digest.
pub(super) const DIGEST: usize = 32;

/// A way of hashing keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scheme {
    /// SHA-256(key).
    #[serde(rename = "sha256")]
    Sha256,
    /// SHA-256(salt ‖ key).
    #[serde(rename = "sha256-salt-key")]
    Sha256SaltKey,
    /// SHA-256(key ‖ salt).
    #[serde(rename = "sha256-key-salt")]
    Sha256KeySalt,
    /// SHA-256(id ‖ key ‖ salt), of a binary key of 32 bytes: 16 of id, 16 of key.
    #[serde(rename = "sha256-id-key-salt")]
    Sha256IdKeySalt,
    /// HMAC-SHA256(a secret of yours, key).
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    /// Argon2id, as a PHC string.
    #[serde(rename = "argon2id")]
    Argon2id,
    /// bcrypt, as a crypt string: $2a$, $2b$, $2y$.
    Bcrypt,
    /// scrypt, as a PHC string or a crypt string: $scrypt$, $7$.
    Scrypt,
}

/// The stored hash of a key, which a presented one is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Fast {
        digest: [u8; DIGEST],
        /// Empty without a salt.
        salt: Box<[u8]>,
    },
    /// A hash that takes time and memory, as the imported string.
    Slow(Box<str>),
}

impl Scheme {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Scheme; 8] = [
        Scheme::Sha256,
        Scheme::Sha256SaltKey,
        Scheme::Sha256KeySalt,
        Scheme::Sha256IdKeySalt,
        Scheme::HmacSha256,
        Scheme::Argon2id,
        Scheme::Bcrypt,
        Scheme::Scrypt,
    ];

    /// Its name, as the command line and the store have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Scheme::Sha256 => "sha256",
            Scheme::Sha256SaltKey => "sha256-salt-key",
            Scheme::Sha256KeySalt => "sha256-key-salt",
            Scheme::Sha256IdKeySalt => "sha256-id-key-salt",
            Scheme::HmacSha256 => "hmac-sha256",
            Scheme::Argon2id => "argon2id",
            Scheme::Bcrypt => "bcrypt",
            Scheme::Scrypt => "scrypt",
        }
    }

    /// Whether a check needs a thread and memory of its own.
    pub(crate) fn is_slow(self) -> bool {
        matches!(self, Scheme::Argon2id | Scheme::Bcrypt | Scheme::Scrypt)
    }

    /// Whether each row has a salt beside its hash.
    pub(crate) fn has_salt(self) -> bool {
        matches!(self, Scheme::Sha256SaltKey | Scheme::Sha256KeySalt | Scheme::Sha256IdKeySalt)
    }

    /// Whether a row can be found by its digest.
    pub(super) fn goes_without_public_part(self) -> bool {
        matches!(self, Scheme::Sha256 | Scheme::HmacSha256)
    }

    /// Reads the hash of a row, with its salt.
    pub(super) fn check(self, hash: &str, salt: Vec<u8>) -> Result<Check, RowErrorKind> {
        if self.is_slow() {
            SlowHash::parse(self, hash)?;
            return Ok(Check::Slow(hash.into()));
        }
        let digest = encoding::fixed(hash).ok_or(RowErrorKind::Digest)?;
        Ok(Check::Fast { digest, salt: salt.into() })
    }

    /// The digest of a presented text, by a fast scheme.
    pub(super) fn digest(self, hashed: &[u8], salt: &[u8], key: Option<&HmacKey>) -> Option<[u8; DIGEST]> {
        match self {
            Scheme::Sha256 => Some(sha256::digest([hashed])),
            Scheme::Sha256SaltKey => Some(sha256::digest([salt, hashed])),
            // Of a binary key, id and key are hashed, in this order.
            Scheme::Sha256KeySalt | Scheme::Sha256IdKeySalt => Some(sha256::digest([hashed, salt])),
            Scheme::HmacSha256 => key.map(|key| hmac::digest(key, hashed)),
            Scheme::Argon2id | Scheme::Bcrypt | Scheme::Scrypt => None,
        }
    }
}

/// Whether two digests are equal, in constant time.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).to_bool()
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_one_name_everywhere() {
        for scheme in Scheme::ALL {
            assert_eq!(serde_json::to_string(&scheme).expect("JSON"), format!("{:?}", scheme.name()));
        }
    }

    /// Made with Python's hashlib and hmac.
    #[test]
    fn digests_are_those_of_another_implementation() {
        let key = b"sk_live_4f9a1c20_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf";
        let binary: Vec<u8> = (16..48).collect();
        let (text, bytes): (&[u8], Vec<u8>) = (b"pepper&salt", (0xa0..0xb0).collect());
        let ours = HmacKey::new(b"an old secret of ours".to_vec().into());
        for (scheme, hashed, salt, expected) in [
            (Scheme::Sha256, &key[..], &[][..], "2c310d412efe7019f41a361db90a53749cd96831ec08a386c4d6051f6a8a40b4"),
            (Scheme::Sha256SaltKey, key, text, "3d95e33fd0a8f17afdc4b79613175413f7c8446a4ec5dafac1b195ffeb2dbe14"),
            (Scheme::Sha256KeySalt, key, text, "d196915b46db9cfed9b77606f4fa1042410ca0cb34b7223c763df28735cac131"),
            (
                Scheme::Sha256IdKeySalt,
                &binary,
                &bytes,
                "23df53608cfbe9545331986bc19c0b0c21688767e4f5681daf2edb321a0c99e2",
            ),
            (Scheme::HmacSha256, key, &[], "c93a5153dcb034982a663dde86cb4d87cc50d504c5447f3447aa3a813b8b7990"),
        ] {
            let expected = encoding::fixed(expected);
            assert_eq!(scheme.digest(hashed, salt, Some(&ours)), expected, "{scheme}");
            assert_ne!(scheme.digest(&hashed[1..], salt, Some(&ours)), expected, "{scheme}");
        }
        assert_eq!(Scheme::HmacSha256.digest(key, &[], None), None);
    }
}
