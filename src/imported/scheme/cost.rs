//! The costs of hashes that stand alone in their column, with the salt in another one or the same for all rows.

use std::{fmt, num::NonZeroU32, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use serde::{Deserialize, Serialize};

use super::{HashString, Scheme, pbkdf2};
use crate::imported::{
    digest::{Algorithm, Digest, MAX_DIGEST},
    row_error::RowErrorKind,
};

/// Hashes of all rows whose costs come to less than this many scrypt blocks take no thread.
const CHEAP_BLOCKS: u32 = 64;

/// `N=16384,r=8,p=1` of scrypt, or `i=10000,h=sha256` of PBKDF2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Cost {
    Scrypt { log_n: u8, r: u32, p: u32 },
    Pbkdf2 { iterations: NonZeroU32, algorithm: Hmac },
}

/// The hash function of PBKDF2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hmac(Algorithm);

/// A text that names no costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "costs are written as N=16384,r=8,p=1 (scrypt; N is a power of 2) or i=10000,h=sha256 (PBKDF2; sha1, sha256, sha384, sha512)"
)]
pub(crate) struct CostError;

impl Cost {
    /// The hash function of most.
    pub(crate) const SHA256: Hmac = Hmac(Algorithm::Sha256);

    /// The scheme that has such costs.
    pub(crate) fn scheme(self) -> Scheme {
        match self {
            Cost::Scrypt { .. } => Scheme::Scrypt,
            Cost::Pbkdf2 { .. } => Scheme::Pbkdf2,
        }
    }

    /// Hash and salt of a row as one string that says how it was made.
    pub(in crate::imported) fn text(self, hash: &[u8], salt: &[u8]) -> Result<String, RowErrorKind> {
        let [hash, salt] = [hash, salt].map(|bytes| BASE64.encode(bytes));
        let text = match self {
            Cost::Scrypt { log_n, r, p } => format!("$scrypt$ln={log_n},r={r},p={p}${salt}${hash}"),
            Cost::Pbkdf2 { iterations, algorithm } => {
                format!("$pbkdf2-{}${iterations}${salt}${hash}", algorithm.0.name())
            }
        };
        HashString::parse(self.scheme(), &text)?;
        Ok(text)
    }

    /// KiB of memory that a hash takes.
    pub(crate) fn memory_kib(self) -> u32 {
        match self {
            Cost::Scrypt { log_n, r, p } => {
                r.saturating_mul(p.saturating_add(1u32.checked_shl(log_n.into()).unwrap_or(u32::MAX))) / 8
            }
            Cost::Pbkdf2 { .. } => pbkdf2::MEMORY_KIB,
        }
    }

    /// Returns whether it is within the ceilings of hashes.
    pub(crate) fn is_bearable(self, bytes: usize) -> bool {
        bytes <= MAX_DIGEST && self.text(&vec![0; bytes], &[0; 16]).is_ok()
    }

    /// Returns whether a hash is so cheap that it needs no thread.
    pub(crate) fn is_cheap(self) -> bool {
        matches!(self, Cost::Scrypt { log_n, r, p } if (r * p).checked_shl(log_n.into()).is_some_and(|all| all < CHEAP_BLOCKS))
    }

    /// The hash of these bytes, `len` bytes of it; `None` where they are more than a digest has.
    pub(in crate::imported) fn digest(self, hashed: &[u8], salt: &[u8], len: usize) -> Option<Digest> {
        let mut found = [0; MAX_DIGEST];
        let out = found.get_mut(..len)?;
        match self {
            Cost::Scrypt { log_n, r, p } => {
                let params = ::scrypt::Params::new(log_n, r, p).ok()?;
                ::scrypt::scrypt(hashed, salt, &params, out).ok()?;
            }
            Cost::Pbkdf2 { iterations, algorithm } => pbkdf2::derive(algorithm.0, iterations, salt, hashed, out),
        }
        Some(Digest::of(out))
    }
}

impl FromStr for Cost {
    type Err = CostError;

    fn from_str(text: &str) -> Result<Self, CostError> {
        let pairs: Option<Vec<(&str, &str)>> = text.split(',').map(|pair| pair.split_once('=')).collect();
        match pairs.ok_or(CostError)?[..] {
            [("N", n), ("r", r), ("p", p)] => {
                let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0);
                match [n, r, p].map(number) {
                    [Some(n), Some(r), Some(p)] if n.is_power_of_two() && n > 1 && r <= 64 && p <= 16 => {
                        Ok(Cost::Scrypt { log_n: n.trailing_zeros() as u8, r, p })
                    }
                    _ => Err(CostError),
                }
            }
            [("i", iterations), ("h", name)] => {
                let algorithm = Algorithm::named(name).map(Hmac).ok_or(CostError)?;
                Ok(Cost::Pbkdf2 { iterations: iterations.parse().map_err(|_| CostError)?, algorithm })
            }
            _ => Err(CostError),
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cost::Scrypt { log_n, r, p } => write!(f, "N={},r={r},p={p}", 1u64 << log_n),
            Cost::Pbkdf2 { iterations, algorithm } => write!(f, "i={iterations},h={}", algorithm.0.name()),
        }
    }
}

impl TryFrom<String> for Cost {
    type Error = CostError;

    fn try_from(text: String) -> Result<Self, CostError> {
        text.parse()
    }
}

impl From<Cost> for String {
    fn from(cost: Cost) -> String {
        cost.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_read_as_they_are_written() {
        for text in ["N=16384,r=8,p=1", "N=2,r=1,p=1", "i=10000,h=sha256"] {
            assert_eq!(text.parse::<Cost>().map(|cost| cost.to_string()).as_deref(), Ok(text));
        }
        for bad in ["", "N=3,r=8,p=1", "N=0,r=8,p=1", "N=16384,r=8", "i=0,h=sha256", "i=1,h=md5", "r=8,N=16384,p=1"] {
            assert_eq!(bad.parse::<Cost>(), Err(CostError), "{bad}");
        }
        assert!("N=2,r=1,p=1".parse::<Cost>().expect("costs").is_cheap());
        assert!(!"N=16384,r=8,p=1".parse::<Cost>().expect("costs").is_cheap());
    }

    /// Made with Python's hashlib.
    #[test]
    fn a_hash_with_its_salt_apart_is_one_string() {
        let cost: Cost = "i=1000,h=sha256".parse().expect("costs");
        let digest = cost.digest(b"key", b"saltsaltsaltsalt", 50).expect("a digest");
        let text = cost.text(&digest, b"saltsaltsaltsalt").expect("a string");
        let hash = HashString::parse(Scheme::Pbkdf2, &text).expect("a hash");
        assert_eq!((hash.matches(b"key", None), hash.matches(b"kex", None)), (Ok(true), Ok(false)));
        let cost: Cost = "N=16,r=8,p=1".parse().expect("costs");
        let text = cost.text(&cost.digest(b"key", b"s", 64).expect("a digest"), b"s");
        // PHC strings take salts of 8 bytes and more alone; a shorter one is in Django's form.
        let hash = HashString::parse(Scheme::Scrypt, &text.expect("a string")).expect("a hash");
        assert_eq!(hash.matches(b"key", None), Ok(true));
    }
}
