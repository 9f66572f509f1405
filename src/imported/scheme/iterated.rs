//! SHA digests that are hashed again and again, in strings that say how often:
//!
//! * Shiro 1, so Nexus: `$shiro1$SHA-512$1024$SALT$HASH`, in base64: the digest of salt ‖ key, and then of each digest;
//! * Spring Security: `{sha256}HEX` holds 8 bytes of salt and the digest, 1024 times in all;
//! * Drupal 7: `$S$`, then one digit for the number of rounds, 8 characters of salt, and 43 of the hash: the SHA-512 of
//!   salt ‖ key, and then of digest ‖ key.

use zeroize::Zeroizing;

use super::{SlowError, same};
use crate::imported::{
    digest::{Algorithm, Digest},
    encoding,
    row_error::RowErrorKind,
};

/// The digits of Drupal's strings, the low ones first.
const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Digests of one check: about a second.
const MAX_ROUNDS: u64 = 4_000_000;
/// Times that Spring Security hashes, and bytes of its salt.
const OF_SPRING: (u64, usize) = (1024, 8);
/// Characters of Drupal's salt, and of a hash of which a column keeps no more.
const OF_DRUPAL: (usize, usize) = (8, 43);
/// KiB that a check takes.
pub(super) const MEMORY_KIB: u32 = 8;

#[derive(Clone, Debug)]
pub(in crate::imported) struct Hash {
    algorithm: Algorithm,
    rounds: u64,
    salt: Vec<u8>,
    stored: Stored,
}

#[derive(Clone, Debug)]
enum Stored {
    Digest(Vec<u8>),
    /// The key is hashed with each digest, and this is the beginning of the last one in DIGITS.
    Drupal(String),
}

impl Hash {
    pub(super) fn parse(text: &str) -> Result<Self, RowErrorKind> {
        let hash = Self::read(text).ok_or(RowErrorKind::HashString(None))?;
        if hash.rounds > MAX_ROUNDS {
            let rounds = hash.rounds;
            return Err(RowErrorKind::TooCostly(format!("{rounds} rounds are above the ceiling of {MAX_ROUNDS}")));
        }
        Ok(hash)
    }

    fn read(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix("$shiro1$") {
            let [name, rounds, salt, hash] = rest.split('$').collect::<Vec<_>>()[..] else { return None };
            let (rounds, salt, digest) = (rounds.parse().ok()?, encoding::base64(salt)?, encoding::base64(hash)?);
            return Self::new(Algorithm::named(name)?, rounds, salt, digest);
        }
        if let Some(hex) = text.strip_prefix("{sha256}") {
            let (rounds, of_salt) = OF_SPRING;
            let bytes = encoding::hexadecimal(hex)?;
            let (salt, digest) = bytes.split_at_checked(of_salt)?;
            return Self::new(Algorithm::Sha256, rounds, salt.to_vec(), digest.to_vec());
        }
        let (of_salt, of_hash) = OF_DRUPAL;
        let rest = text.strip_prefix("$S$").filter(|rest| rest.len() == 1 + of_salt + of_hash && rest.is_ascii())?;
        let log2 = DIGITS.iter().position(|digit| rest.as_bytes().first() == Some(digit))?;
        let (salt, hash) = rest[1..].split_at(of_salt);
        let rounds = u32::try_from(log2).ok().and_then(|log2| 1u64.checked_shl(log2))?;
        let (salt, stored) = (salt.as_bytes().to_vec(), Stored::Drupal(hash.to_owned()));
        Some(Hash { algorithm: Algorithm::Sha512, rounds, salt, stored })
    }

    fn new(algorithm: Algorithm, rounds: u64, salt: Vec<u8>, digest: Vec<u8>) -> Option<Self> {
        let fits = rounds > 0 && digest.len() == algorithm.len();
        fits.then_some(Hash { algorithm, rounds, salt, stored: Stored::Digest(digest) })
    }

    pub(super) fn matches(&self, hashed: &[u8]) -> Result<bool, SlowError> {
        let first = self.algorithm.digest(&[&self.salt, hashed]);
        Ok(match &self.stored {
            Stored::Digest(digest) => {
                let last = (1..self.rounds).fold(first, |digest, _| self.algorithm.digest(&[&digest]));
                same(&last, digest)
            }
            Stored::Drupal(hash) => {
                let last = (0..self.rounds).fold(first, |digest, _| self.algorithm.digest(&[&digest, hashed]));
                let text = Zeroizing::new(in_digits(&last));
                same(text.get(..hash.len()).unwrap_or_default(), hash.as_bytes())
            }
        })
    }
}

/// Each three bytes in four digits, the low ones first.
fn in_digits(digest: &Digest) -> Vec<u8> {
    let group = |bytes: &[u8]| {
        let bits = bytes.iter().rev().fold(0, |bits, byte| (bits << 8) | usize::from(*byte));
        (0..=bytes.len()).map(move |at| DIGITS[(bits >> (6 * at)) & 63])
    };
    digest.chunks(3).flat_map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of "key", made with Python's hashlib; and those of Nexus ("admin123") and hashcat ("hashcat") themselves.
    #[test]
    fn hashes_of_another_implementation_are_matched() {
        for (text, key) in [
            ("$shiro1$SHA-256$500$AAECAwQFBgcICQoLDA0ODw==$XKV2NWZq4ZVqGbhO/qw7H09RveB8a+9xY4BROdSMJak=", "key"),
            (
                "$shiro1$SHA-512$1$$gzX6VtSHVi3iSPR778cnQzNAUd3/zCwJJ19mVFSZAxdZR0XuF8CPeYzX3OC6gVXc2hT2OYwdFUURZSChMwF8CQ==",
                "key",
            ),
            (
                "$shiro1$SHA-512$1024$NE+wqQq/TmjZMvfI7ENh/g==$V4yPw8T64UQ6GfJfxYq2hLsVrBY8D1v+bktfOxGdt4b/9BthpWPNUy/CBk6V9iA0nHpzYzJFWO8v/tZFtES8CA==",
                "admin123",
            ),
            ("{sha256}0001020304050607c0f5d842bcbc87f13bdf81df9bd3992fcc2753176e49564b0e70e09bb285c781", "key"),
            ("$S$6saltsaltaZqwpFjegdZv3mNMykNFn3yujqKaJ7ooQ8EJubfR4M1", "key"),
            ("$S$C33783772bRXEx1aCsvY.dqgaaSu76XmVlKrW9Qu8IQlvxHlmzLf", "hashcat"),
        ] {
            let hash = Hash::parse(text).expect(text);
            assert_eq!((hash.matches(key.as_bytes()), hash.matches(b"kex")), (Ok(true), Ok(false)), "{text}");
        }
    }

    #[test]
    fn other_strings_and_costs_without_measure_are_refused() {
        for bad in [
            "",
            "$shiro1$SHA-256$0$AAEC$XKV2NWZq4ZVqGbhO/qw7H09RveB8a+9xY4BROdSMJak=",
            "$shiro1$MD5$1$AAEC$XKV2NWZq4ZVqGbhO/qw7H09RveB8a+9xY4BROdSMJak=",
            "$shiro1$SHA-256$500$AAEC$XKV2",
            "{sha256}0001",
            "$S$6saltsaltaZqwpFjegdZv3mNMykNFn3yujqKaJ7ooQ8EJubfR4M",
            "$S$!saltsaltaZqwpFjegdZv3mNMykNFn3yujqKaJ7ooQ8EJubfR4M1",
        ] {
            assert_eq!(Hash::parse(bad).err(), Some(RowErrorKind::HashString(None)), "{bad}");
        }
        for costly in [
            "$shiro1$SHA-256$4000001$AAEC$XKV2NWZq4ZVqGbhO/qw7H09RveB8a+9xY4BROdSMJak=",
            "$S$zsaltsaltaZqwpFjegdZv3mNMykNFn3yujqKaJ7ooQ8EJubfR4M1",
        ] {
            assert!(matches!(Hash::parse(costly), Err(RowErrorKind::TooCostly(_))), "{costly}");
        }
    }
}
