//! Salted SHA digests that say themselves how they were made. Fast: they need no thread.
//!
//! * Django: `sha512$SALT$HEX` is of salt ‖ key, with an empty salt too (`sha512$$HEX`); `sha256$HEX` has none;
//! * JupyterHub: `sha512:ROUNDS:SALT:HEX` is of the salt and the key so many times, one behind the other;
//! * LDAP: `{SSHA256}BASE64` holds digest ‖ salt, and is of key ‖ salt; so do `{SSHA}` and `{SSHA512}`; `{SHA256}` has
//!   no salt;
//! * Elasticsearch: `{SSHA256}SALT HASH`, of key ‖ salt: 12 characters of base64, or 8 of text, before 44 of the
//!   digest.

use super::{SlowError, digest::Algorithm, same};
use crate::imported::{encoding, row_error::RowErrorKind};

/// Rounds of JupyterHub: each hashes the key once.
const MAX_ROUNDS: u32 = 65_536;
/// The number of rounds from which on a check needs a thread.
const MANY_ROUNDS: u32 = 256;

#[derive(Clone, Debug)]
pub(in crate::imported) struct Hash {
    algorithm: Algorithm,
    /// Hashed before the key, and after it.
    salts: [Vec<u8>; 2],
    rounds: u32,
    digest: Vec<u8>,
}

impl Hash {
    pub(super) fn parse(text: &str) -> Result<Self, RowErrorKind> {
        let hash = Self::read(text).ok_or(RowErrorKind::HashString(None))?;
        if hash.rounds > MAX_ROUNDS {
            return Err(RowErrorKind::TooCostly(format!(
                "{} rounds are above the ceiling of {MAX_ROUNDS}",
                hash.rounds
            )));
        }
        Ok(hash)
    }

    fn read(text: &str) -> Option<Self> {
        if let Some((name, rest)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            return match name.strip_prefix("SS").or_else(|| name.strip_prefix("ss")) {
                Some(_) => Self::with_salt_behind(Algorithm::named(&name[1..])?, rest),
                None => Self::unsalted(Algorithm::named(name)?, text),
            };
        }
        let marks: Vec<&str> = text.split(':').collect();
        if let [name, rounds, salt, hex] = marks[..] {
            let salts = [salt.as_bytes().to_vec(), Vec::new()];
            return Self::new(Algorithm::named(name)?, salts, rounds.parse().ok()?, encoding::either(hex)?);
        }
        match text.split('$').collect::<Vec<_>>()[..] {
            [name, salt, hex] => {
                let salts = [salt.as_bytes().to_vec(), Vec::new()];
                Self::new(Algorithm::named(name)?, salts, 1, encoding::either(hex)?)
            }
            [name, _] => Self::unsalted(Algorithm::named(name)?, text),
            _ => None,
        }
    }

    fn unsalted(algorithm: Algorithm, text: &str) -> Option<Self> {
        Self::new(algorithm, Default::default(), 1, algorithm.read(text)?)
    }

    fn with_salt_behind(algorithm: Algorithm, rest: &str) -> Option<Self> {
        // Elasticsearch puts the salt first: as base64, whose padding then stands amid the text, or as a text of 8
        // characters.
        let is_digest = |hash: &str| hash.len() == 44 && encoding::base64(hash).is_some_and(|hash| hash.len() == 32);
        let split = |at: usize| rest.split_at_checked(at).filter(|(_, hash)| is_digest(hash));
        let elastic = match (split(12), split(8)) {
            (Some((salt, hash)), _) if salt.ends_with('=') => Some((encoding::base64(salt)?, hash)),
            (_, Some((salt, hash))) => Some((salt.as_bytes().to_vec(), hash)),
            _ => None,
        };
        if let Some((salt, hash)) = elastic {
            return Self::new(algorithm, [Vec::new(), salt], 1, encoding::base64(hash)?);
        }
        let mut digest = encoding::base64(rest)?;
        let salt = (digest.len() > algorithm.len()).then(|| digest.split_off(algorithm.len()))?;
        Self::new(algorithm, [Vec::new(), salt], 1, digest)
    }

    fn new(algorithm: Algorithm, salts: [Vec<u8>; 2], rounds: u32, digest: Vec<u8>) -> Option<Self> {
        (digest.len() == algorithm.len() && rounds > 0).then_some(Hash { algorithm, salts, rounds, digest })
    }

    pub(super) fn is_slow(&self) -> bool {
        self.rounds >= MANY_ROUNDS
    }

    pub(super) fn matches(&self, hashed: &[u8]) -> Result<bool, SlowError> {
        let mut parts = vec![&*self.salts[0]];
        parts.extend((0..self.rounds).map(|_| hashed));
        parts.push(&self.salts[1]);
        Ok(same(&self.algorithm.digest(&parts), &self.digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_every_form_are_matched() {
        for text in TEXTS {
            let hash = Hash::parse(text).expect(text);
            assert_eq!((hash.matches(b"key"), hash.matches(b"kex")), (Ok(true), Ok(false)), "{text}");
            assert_eq!(hash.is_slow(), text.contains(":16384:"), "{text}");
        }
        for bad in ["", "sha512$", "sha512$a$b$c", "{SSHA256}", "sha512:0:salt:00", "md5$salt$00", "{MD5}AAAA"] {
            assert_eq!(Hash::parse(bad).err(), Some(RowErrorKind::HashString(None)), "{bad}");
        }
        let many = format!("sha512:65537:salt:{}", "00".repeat(64));
        assert!(matches!(Hash::parse(&many), Err(RowErrorKind::TooCostly(_))));
    }

    /// Made with Python's hashlib, of "key".
    const TEXTS: [&str; 11] = [
        "sha512$$8335fa56d487562de248f47befc72743334051ddffcc2c09275f665454990317594745ee17c08f798cd7dce0ba8155dcda14f6398c1d1545116520a133017c09",
        "sha256$salt$4a466ea0657e479545b1d6c2d994824f80d8eecd7030f3092ff42a9bcad751d8",
        "sha1$salt$dfb8ddda7c9d815199620a5a3268b5fd0a20e2be",
        "sha256$2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683",
        "sha512:1:salt:e13358c97a74f036c9d5050b2dab4fb7ad37da81784a326794f946d0dcb4ca8696a64cb6c1775c3837069eff18aa0d351cfe20eeebf8bb4d63be6ba627aa7cc8",
        "sha512:16384:salt:f4edc6af5095a1ce8c33e883f4f55ce2ab58a959e2193c80ca91cbd7bb240a6358dba40bdb459846237dd8f79ffd6eda824461b755452c6ec5bcfd78a0ea098a",
        "{SSHA256}4BpK5qoVVSae7diyVXGvCiJxS6PvLcv6mOkyrCLZespzYWx0c2FsdA==",
        "{SSHA}ABRKAjznqeYSqELYdTsP+97hYgdzYWx0",
        "{SHA512}gzX6VtSHVi3iSPR778cnQzNAUd3/zCwJJ19mVFSZAxdZR0XuF8CPeYzX3OC6gVXc2hT2OYwdFUURZSChMwF8CQ==",
        "{SSHA256}c2FsdHNhbHQ=4BpK5qoVVSae7diyVXGvCiJxS6PvLcv6mOkyrCLZeso=",
        "{SSHA256}saltsalt4BpK5qoVVSae7diyVXGvCiJxS6PvLcv6mOkyrCLZeso=",
    ];
}
