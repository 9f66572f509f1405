//! Hash schemes of imported keys, one file for each family.

mod argon2;
mod bcrypt;
mod cost;
mod crypt;
mod fast_hash;
mod hash_string;
mod iterated;
mod pbkdf2;
mod pbkdf2_servers;
mod scrypt;
mod sha;
mod unreadable;

use std::fmt;

use ctutils::CtEq;
use serde::{Deserialize, Serialize};

pub(crate) use self::cost::Cost;
pub(super) use self::hash_string::{HashString, SlowError};
use super::{
    OldSecret,
    digest::{Algorithm, Digest},
    row_error::RowErrorKind,
};

/// The most memory that a hash may take, in KiB: the table that is imported chooses how much a check takes.
const MAX_KIB: u64 = 256 * 1024;

/// A hash function for keys, with its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub(crate) enum Scheme {
    /// SHA-256(key).
    Sha256,
    /// SHA-256(salt ‖ key).
    Sha256SaltKey,
    /// SHA-256(key ‖ salt).
    Sha256KeySalt,
    /// SHA-256(id ‖ key ‖ salt), of a binary key of 32 bytes: 16 of id, 16 of key.
    Sha256IdKeySalt,
    /// HMAC-SHA256(a secret of yours, key).
    HmacSha256,
    /// SHA-384(key).
    Sha384,
    /// SHA-384(salt ‖ key).
    Sha384SaltKey,
    /// SHA-384(key ‖ salt).
    Sha384KeySalt,
    /// HMAC-SHA384(a secret of yours, key).
    HmacSha384,
    /// SHA-512(key).
    Sha512,
    /// SHA-512(salt ‖ key).
    Sha512SaltKey,
    /// SHA-512(key ‖ salt).
    Sha512KeySalt,
    /// HMAC-SHA512(a secret of yours, key).
    HmacSha512,
    /// SHA-1(key).
    Sha1,
    /// SHA-1(salt ‖ key).
    Sha1SaltKey,
    /// SHA-1(key ‖ salt).
    Sha1KeySalt,
    /// HMAC-SHA1(a secret of yours, key).
    HmacSha1,
    /// WordPress's keyed BLAKE2b.
    WpFastHash,
    /// Argon2id.
    Argon2id,
    /// bcrypt, also of a digest.
    Bcrypt,
    /// scrypt.
    Scrypt,
    /// PBKDF2.
    Pbkdf2,
    /// Any string that says itself how it was made.
    HashString,
}

/// What is hashed, and in which order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Key(Algorithm),
    SaltKey(Algorithm),
    KeySalt(Algorithm),
    Hmac(Algorithm),
    /// WordPress's.
    FastHash,
    Text,
}

/// The stored hash of a key, which a presented one is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Fast {
        digest: Box<[u8]>,
        /// Empty without a salt of its own.
        salt: Box<[u8]>,
    },
    /// A string that says how it was made, as it was imported.
    Text(Box<str>),
}

impl Scheme {
    /// All of them.
    pub(crate) const ALL: [Scheme; 23] = [
        Scheme::Sha256,
        Scheme::Sha256SaltKey,
        Scheme::Sha256KeySalt,
        Scheme::Sha256IdKeySalt,
        Scheme::HmacSha256,
        Scheme::Sha384,
        Scheme::Sha384SaltKey,
        Scheme::Sha384KeySalt,
        Scheme::HmacSha384,
        Scheme::Sha512,
        Scheme::Sha512SaltKey,
        Scheme::Sha512KeySalt,
        Scheme::HmacSha512,
        Scheme::Sha1,
        Scheme::Sha1SaltKey,
        Scheme::Sha1KeySalt,
        Scheme::HmacSha1,
        Scheme::WpFastHash,
        Scheme::Argon2id,
        Scheme::Bcrypt,
        Scheme::Scrypt,
        Scheme::Pbkdf2,
        Scheme::HashString,
    ];

    /// Its name, as the command line and the store have it.
    pub(crate) fn name(self) -> &'static str {
        self.facts().0
    }

    /// What it is, for the help.
    pub(crate) fn about(self) -> &'static str {
        self.facts().1
    }

    fn facts(self) -> (&'static str, &'static str, Kind) {
        use Algorithm::{Sha1, Sha256, Sha384, Sha512};
        match self {
            Scheme::Sha256 => ("sha256", "SHA-256(key)", Kind::Key(Sha256)),
            Scheme::Sha256SaltKey => ("sha256-salt-key", "SHA-256(salt ‖ key)", Kind::SaltKey(Sha256)),
            Scheme::Sha256KeySalt => ("sha256-key-salt", "SHA-256(key ‖ salt)", Kind::KeySalt(Sha256)),
            Scheme::Sha256IdKeySalt => (
                "sha256-id-key-salt",
                "SHA-256(id ‖ key ‖ salt), of a binary key of 32 bytes: 16 of id, 16 of key",
                Kind::KeySalt(Sha256),
            ),
            Scheme::HmacSha256 => ("hmac-sha256", "HMAC-SHA256(a secret of yours, key)", Kind::Hmac(Sha256)),
            Scheme::Sha384 => ("sha384", "SHA-384(key)", Kind::Key(Sha384)),
            Scheme::Sha384SaltKey => ("sha384-salt-key", "SHA-384(salt ‖ key)", Kind::SaltKey(Sha384)),
            Scheme::Sha384KeySalt => ("sha384-key-salt", "SHA-384(key ‖ salt)", Kind::KeySalt(Sha384)),
            Scheme::HmacSha384 => ("hmac-sha384", "HMAC-SHA384(a secret of yours, key)", Kind::Hmac(Sha384)),
            Scheme::Sha512 => ("sha512", "SHA-512(key)", Kind::Key(Sha512)),
            Scheme::Sha512SaltKey => ("sha512-salt-key", "SHA-512(salt ‖ key)", Kind::SaltKey(Sha512)),
            Scheme::Sha512KeySalt => ("sha512-key-salt", "SHA-512(key ‖ salt)", Kind::KeySalt(Sha512)),
            Scheme::HmacSha512 => ("hmac-sha512", "HMAC-SHA512(a secret of yours, key)", Kind::Hmac(Sha512)),
            Scheme::Sha1 => ("sha1", "SHA-1(key)", Kind::Key(Sha1)),
            Scheme::Sha1SaltKey => ("sha1-salt-key", "SHA-1(salt ‖ key)", Kind::SaltKey(Sha1)),
            Scheme::Sha1KeySalt => ("sha1-key-salt", "SHA-1(key ‖ salt)", Kind::KeySalt(Sha1)),
            Scheme::HmacSha1 => ("hmac-sha1", "HMAC-SHA1(a secret of yours, key)", Kind::Hmac(Sha1)),
            Scheme::WpFastHash => (
                "wp-fast-hash",
                "BLAKE2b(key) as WordPress 6.8 stores application passwords: $generic$…",
                Kind::FastHash,
            ),
            Scheme::Argon2id => ("argon2id", "Argon2id, as a PHC string, also behind `argon2$`", Kind::Text),
            Scheme::Bcrypt => (
                "bcrypt",
                "bcrypt, as a crypt string: $2a$, $2b$, $2y$; or of a digest: Django's, passlib's",
                Kind::Text,
            ),
            Scheme::Scrypt => {
                ("scrypt", "scrypt: $scrypt$, $7$, Django's, Werkzeug's; with a cost, hash and salt apart", Kind::Text)
            }
            Scheme::Pbkdf2 => {
                ("pbkdf2", "PBKDF2: Django's, Werkzeug's, passlib's, PHC; with a cost, hash and salt apart", Kind::Text)
            }
            Scheme::HashString => {
                ("hash-string", "Each hash says itself how it was made: all of these forms, and others", Kind::Text)
            }
        }
    }

    /// Returns whether the hash is a string that says how it was made.
    pub(crate) fn is_text(self) -> bool {
        self.facts().2 == Kind::Text
    }

    /// Returns whether each row has a salt beside its hash, unless all have the same.
    pub(crate) fn has_salt(self) -> bool {
        matches!(self.facts().2, Kind::SaltKey(_) | Kind::KeySalt(_))
    }

    /// Returns whether it is an HMAC under a secret.
    pub(crate) fn is_hmac(self) -> bool {
        matches!(self.facts().2, Kind::Hmac(_))
    }

    /// The function behind a digest.
    pub(super) fn algorithm(self) -> Option<Algorithm> {
        match self.facts().2 {
            Kind::Key(algorithm) | Kind::SaltKey(algorithm) | Kind::KeySalt(algorithm) | Kind::Hmac(algorithm) => {
                Some(algorithm)
            }
            Kind::FastHash | Kind::Text => None,
        }
    }

    /// Bytes of a digest, where the scheme says it.
    pub(super) fn digest_len(self) -> Option<usize> {
        match self.facts().2 {
            Kind::FastHash => Some(fast_hash::LEN),
            _ => self.algorithm().map(Algorithm::len),
        }
    }

    /// The digest of what was hashed of a presented text; `None` for strings, and without a secret that is needed.
    pub(super) fn digest(self, hashed: &[u8], salt: &[u8], secret: Option<&OldSecret>) -> Option<Digest> {
        match self.facts().2 {
            Kind::Key(algorithm) => Some(algorithm.digest(&[hashed])),
            Kind::SaltKey(algorithm) => Some(algorithm.digest(&[salt, hashed])),
            // Of a binary key, id and key are hashed, in this order.
            Kind::KeySalt(algorithm) => Some(algorithm.digest(&[hashed, salt])),
            Kind::Hmac(algorithm) => secret.map(|secret| secret.mac(algorithm, hashed)),
            Kind::FastHash => fast_hash::digest(hashed),
            Kind::Text => None,
        }
    }

    /// Reads the digest of a row.
    pub(super) fn read_digest(self, hash: &str) -> Result<Box<[u8]>, RowErrorKind> {
        let digest = match self.algorithm() {
            Some(algorithm) => algorithm.read(hash),
            None => fast_hash::read(hash),
        };
        let len = self.digest_len().ok_or(RowErrorKind::HashString(None))?;
        let error = || RowErrorKind::Digest(len, unreadable::looks_like(hash.trim()));
        digest.map(Into::into).ok_or_else(error)
    }
}

/// Returns whether two digests are equal, in constant time.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).to_bool()
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<Scheme> for &'static str {
    fn from(scheme: Scheme) -> Self {
        scheme.name()
    }
}

impl TryFrom<String> for Scheme {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let scheme = Scheme::ALL.into_iter().find(|scheme| scheme.name() == name);
        scheme.ok_or_else(|| "there is no such scheme".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imported::encoding;

    #[test]
    fn each_has_one_name_everywhere() {
        for scheme in Scheme::ALL {
            assert_eq!(serde_json::to_string(&scheme).expect("JSON"), format!("{:?}", scheme.name()));
            assert_eq!(Scheme::try_from(scheme.name().to_owned()), Ok(scheme));
        }
    }

    /// Made with Python's hashlib and hmac.
    #[test]
    fn digests_are_those_of_another_implementation() {
        let key = b"sk_live_4f9a1c20_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf";
        let binary: Vec<u8> = (16..48).collect();
        let (text, bytes): (&[u8], Vec<u8>) = (b"pepper&salt", (0xa0..0xb0).collect());
        let ours = OldSecret::new(b"an old secret of ours");
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
            (
                Scheme::Sha512,
                key,
                &[],
                "f628eba915adbad58e9cf975252aa4f1045454e92043a3d43e0faa716e8df6b9cb7c75be7293043ea554a64d7ed9d6723392da8537264b827abedd80717bd8b7",
            ),
            (
                Scheme::Sha512SaltKey,
                key,
                text,
                "8414ed0adadcf9afc9666cca59bd2248b0239647a9c90374ffa375443a7ab7ed2ad47a9596389051960bd21889995a1b3f00d23c887a4c30be102428107c6391",
            ),
            (
                Scheme::Sha512KeySalt,
                key,
                text,
                "42d80e4b1335b9e2b5fea4deb54f6f35fa7cfdaf85e8fdb9a1ebb2bad873c11d24d58d000f74f713929273ce01f7847ca2c4019cdf2747476aa04ac74ab4cd09",
            ),
            (
                Scheme::HmacSha512,
                key,
                &[],
                "5e40147bdf8657bb060bb2d626a8a9c45f238767ff16b1438b0bce2d3c695cbcb9c095b111fec77c0f4b620461be0b5ae4c6dcf80c536b9f74661fed2eea6eca",
            ),
            (
                Scheme::Sha384,
                key,
                &[],
                "0f433915be6d7d46944fac312de1b10a4379b096a71ae71ffdc465b2322076426267e94d53230adf277ac914125c7e78",
            ),
            (
                Scheme::Sha384SaltKey,
                key,
                text,
                "9a5700a6f4bdec0b52eb458e94a9bf415d398684ac7d5e28a38e1cb4aea52a7b44fa9ec41b8ec4ff1ace58596d280cc6",
            ),
            (
                Scheme::Sha384KeySalt,
                key,
                text,
                "4cabb2970737af0e9cba12ce91d64ed807c6f5508dcbb8cf4abed5f3e0ef6f0367e219d786974c1375cba086c534abd8",
            ),
            (
                Scheme::HmacSha384,
                key,
                &[],
                "87c9f96ba3c6f17e09e7e33011e9fe80ee5d606ee0528a760071938738daa51f135514e045da7780c4c7a6c669a61917",
            ),
            (Scheme::WpFastHash, key, &[], "87eeefa5ced3036ba4f3fa6c72095d02876e4b5eae165bc69d6afcd235c0"),
            (Scheme::Sha1, key, &[], "504ec457eb0e5d93eb66cc2e0e28efc71246315d"),
            (Scheme::Sha1SaltKey, key, text, "43c3279e7627c166cc3b2101c5982d41fd261731"),
            (Scheme::Sha1KeySalt, key, text, "ca9a20eae9241202136d8a02c0909feb7a62c72c"),
            (Scheme::HmacSha1, key, &[], "425321dac24cd30cce7f240750f6813b0f270cfb"),
        ] {
            let expected = encoding::of_length(expected, expected.len() / 2);
            let digest = |hashed: &[u8]| scheme.digest(hashed, salt, Some(&ours)).map(|digest| digest.to_vec());
            assert_eq!(digest(hashed), expected, "{scheme}");
            assert_ne!(digest(&hashed[1..]), expected, "{scheme}");
        }
        assert!(Scheme::HmacSha256.digest(key, &[], None).is_none());
    }
}
