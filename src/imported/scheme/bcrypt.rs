//! bcrypt as crypt strings, `$2b$12$` with 22 characters of salt and 31 of hash, and those of `$2a$` and `$2y$`. bcrypt
//! ignores all bytes after the 72nd; so some systems hash a key to a short text first.
//!
//! * Django: `bcrypt_sha256$$2b$12$…` is of the SHA-256 in hexadecimal.
//! * passlib and Keystone: `$bcrypt-sha256$v=2,t=2b,r=12$SALT$HASH` is of the HMAC-SHA256 under the salt's text, in
//!   base64; `$bcrypt-sha256$2b,12$SALT$HASH`, the older form, of the SHA-256 in base64.
//! * WordPress from 6.8 on: `$wp$2y$10$…` is of the HMAC-SHA384 under a key that stands in its source, in base64.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bcrypt::{HashParts, hash_with_salt};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{SlowError, same};
use crate::imported::{digest::Algorithm, row_error::RowErrorKind};

/// KiB that a check takes.
pub(super) const MEMORY_KIB: u32 = 8;
/// Each step doubles the time; this one takes a second.
const MAX_COST: u32 = 14;
/// The key of WordPress's HMAC.
const WORDPRESS: &[u8] = b"wp-sha384";

#[derive(Clone, Debug)]
pub(in crate::imported) struct Hash {
    cost: u32,
    salt: [u8; 16],
    /// The whole string, as this crate would write it.
    text: String,
    first: First,
}

/// What a key is hashed to before bcrypt.
#[derive(Clone, Debug, PartialEq, Eq)]
enum First {
    Nothing,
    Sha256Hex,
    Sha256Base64,
    /// Under this key.
    HmacBase64(String),
    WordPress,
}

impl Hash {
    pub(super) fn parse(text: &str) -> Result<Self, RowErrorKind> {
        Self::crypt(text, First::Nothing)
    }

    /// Django's, behind `bcrypt_sha256$`.
    pub(super) fn of_sha256(text: &str) -> Result<Self, RowErrorKind> {
        Self::crypt(text, First::Sha256Hex)
    }

    /// WordPress's, behind `$wp`.
    pub(super) fn wordpress(text: &str) -> Result<Self, RowErrorKind> {
        Self::crypt(text, First::WordPress)
    }

    /// passlib's, behind `$bcrypt-sha256$`.
    pub(super) fn passlib(rest: &str) -> Result<Self, RowErrorKind> {
        let unreadable = || RowErrorKind::HashString(None);
        let [settings, salt, hash] = rest.split('$').collect::<Vec<_>>()[..] else { return Err(unreadable()) };
        let (version, cost, first) = match settings.split(',').collect::<Vec<_>>()[..] {
            ["v=2", version, cost] => (
                version.strip_prefix("t=").ok_or_else(unreadable)?,
                cost.strip_prefix("r=").ok_or_else(unreadable)?,
                First::HmacBase64(salt.to_owned()),
            ),
            [version, cost] => (version, cost, First::Sha256Base64),
            _ => return Err(unreadable()),
        };
        let cost: u32 = cost.parse().map_err(|_| unreadable())?;
        Self::crypt(&format!("${version}${cost:02}${salt}{hash}"), first)
    }

    fn crypt(text: &str, first: First) -> Result<Self, RowErrorKind> {
        // `$2x$` marks hashes of a broken implementation.
        if !["$2a$", "$2b$", "$2y$"].iter().any(|version| text.starts_with(version)) {
            return Err(RowErrorKind::HashString(None));
        }
        let parts: HashParts = text.parse().map_err(|_| RowErrorKind::HashString(None))?;
        let cost = parts.get_cost();
        if cost > MAX_COST {
            return Err(RowErrorKind::TooCostly(format!("cost {cost} is above the ceiling of {MAX_COST}")));
        }
        if cost < 4 {
            return Err(RowErrorKind::HashString(None));
        }
        Ok(Hash { cost, salt: parts.get_salt_raw(), text: parts.to_string(), first })
    }

    /// Returns whether all of a key counts, and not its first 72 bytes alone.
    pub(super) fn sees_all(&self) -> bool {
        self.first != First::Nothing
    }

    pub(super) fn matches(&self, hashed: &[u8]) -> Result<bool, SlowError> {
        let first = Zeroizing::new(match &self.first {
            First::Nothing => hashed.to_vec(),
            First::Sha256Hex => hex::encode(Sha256::digest(hashed)).into_bytes(),
            First::Sha256Base64 => BASE64.encode(Sha256::digest(hashed)).into_bytes(),
            First::WordPress => BASE64.encode(&*Algorithm::Sha384.mac(WORDPRESS, hashed)).into_bytes(),
            First::HmacBase64(key) => {
                let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_err(|_| SlowError::Parameters)?;
                BASE64.encode(mac.chain_update(hashed).finalize().into_bytes()).into_bytes()
            }
        });
        let found = hash_with_salt(&*first, self.cost, self.salt).map_err(|_| SlowError::Parameters)?;
        Ok(same(found.to_string().as_bytes(), self.text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python's bcrypt.
    #[test]
    fn hashes_of_another_implementation_are_matched() {
        let key = b"sk_live_4f9a1c20_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf";
        for text in [
            "$2b$04$RBcO/btzmiFBY.D59xIruu/sFQsoS5YV32jxNr37n5WiWfH8bLJni",
            "$2y$04$RBcO/btzmiFBY.D59xIruu/sFQsoS5YV32jxNr37n5WiWfH8bLJni",
            "$2a$04$gDzFOyjCzpQBnbMMUPm8Neye.jvovpxbojLndJdmydm6fo1L2aO3q",
        ] {
            let hash = Hash::parse(text).expect("a hash");
            assert_eq!((hash.matches(key), hash.matches(&key[1..])), (Ok(true), Ok(false)), "{text}");
        }
        let long = Hash::parse("$2b$04$87ib/qD1P8UA1fHHD./7muZIrSD1BjUtrv1UsSlnMlPKupYXQumwq").expect("a hash");
        assert_eq!([72, 100].map(|len| long.matches(&vec![b'x'; len])), [Ok(true); 2]);
        assert_eq!(long.matches(&[b'x'; 71]), Ok(false));
    }

    #[test]
    fn other_strings_and_costs_without_measure_are_refused() {
        let rest = "RBcO/btzmiFBY.D59xIruu/sFQsoS5YV32jxNr37n5WiWfH8bLJni";
        for bad in ["$2x$04$", "$2$04$", "$2b$03$", "$2b$xx$", "$2b$04$x"] {
            assert_eq!(Hash::parse(&format!("{bad}{rest}")).err(), Some(RowErrorKind::HashString(None)), "{bad}");
        }
        assert!(matches!(Hash::parse(&format!("$2b$15${rest}")), Err(RowErrorKind::TooCostly(_))));
        assert!(Hash::parse(&format!("$2b$14${rest}")).is_ok());
    }
}
