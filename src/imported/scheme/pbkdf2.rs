//! PBKDF2 (RFC 8018) with HMAC-SHA-1, HMAC-SHA256, HMAC-SHA384 or HMAC-SHA512, in the forms of
//!
//! * Django: `pbkdf2_sha256$ITERATIONS$SALT$BASE64`, and Werkzeug: `pbkdf2:sha256:ITERATIONS$SALT$HEX`; the salt is a
//!   text;
//! * passlib: `$pbkdf2-sha256$ITERATIONS$SALT$HASH`, in base64 with `.` for `+` (Keystone writes `+`); `$pbkdf2$` is
//!   SHA-1; LDAP: `{PBKDF2-SHA256}ITERATIONS$SALT$HASH`, with the same alphabet;
//! * PHC strings: `$pbkdf2-sha256$i=ITERATIONS,l=32$SALT$HASH`;
//! * Spring Security: `{pbkdf2@SpringSecurity_v5_8}HEX` holds salt ‖ hash, and its name stands for 310,000 iterations
//!   of SHA-256 and 16 bytes of salt; `{pbkdf2}HEX` for 185,000 of SHA-1 and 8 bytes;
//! * Elasticsearch: `{PBKDF2}ITERATIONS$SALT$HASH`, with SHA-512, in base64; `{PBKDF2_STRETCH}` is of the SHA-512 of
//!   the key, in hexadecimal;
//! * the servers whose forms `pbkdf2_servers.rs` has.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA384, PBKDF2_HMAC_SHA512};
use zeroize::Zeroizing;

use super::{SlowError, same};
use crate::imported::{digest::Algorithm, encoding, row_error::RowErrorKind};

/// KiB that a check takes.
pub(super) const MEMORY_KIB: u32 = 8;
/// Iterations of all blocks together: a second and a half.
const MAX_WORK: u64 = 4_000_000;

#[derive(Clone, Debug)]
pub(in crate::imported) struct Hash {
    algorithm: Algorithm,
    iterations: NonZeroU32,
    salt: Vec<u8>,
    hash: Vec<u8>,
    /// Whether a key is hashed with SHA-512 first.
    stretched: bool,
}

impl Hash {
    pub(super) fn parse(text: &str) -> Result<Self, RowErrorKind> {
        Self::read(text).unwrap_or(Err(RowErrorKind::HashString(None)))
    }

    /// Spring Security's, behind a name.
    pub(super) fn spring(text: &str) -> Result<Self, RowErrorKind> {
        let read = || {
            let (algorithm, iterations, salt, rest) = match text.strip_prefix("{pbkdf2@SpringSecurity_v5_8}") {
                Some(rest) => (Algorithm::Sha256, 310_000, 16, rest),
                None => (Algorithm::Sha1, 185_000, 8, text.strip_prefix("{pbkdf2}")?),
            };
            let bytes = encoding::of_length(rest, salt + 32)?;
            let (salt, hash) = bytes.split_at_checked(salt)?;
            Some(Self::new(algorithm, iterations, salt.to_vec(), hash.to_vec()))
        };
        read().unwrap_or(Err(RowErrorKind::HashString(None)))
    }

    fn read(text: &str) -> Option<Result<Self, RowErrorKind>> {
        if let Some(rest) = text.strip_prefix("pbkdf2_").or_else(|| text.strip_prefix("pbkdf2:")) {
            // Django and Werkzeug.
            let [name, iterations, salt, hash] = rest.split(['$', ':']).collect::<Vec<_>>()[..] else { return None };
            let salt = salt.as_bytes().to_vec();
            return Some(Self::new(Algorithm::named(name)?, iterations.parse().ok()?, salt, encoding::either(hash)?));
        }
        if let Some(rest) = text.strip_prefix("{PBKDF2_STRETCH}") {
            let stretched = Self::triple(Algorithm::Sha512, rest)?;
            return Some(stretched.map(|hash| Hash { stretched: true, ..hash }));
        }
        if let Some((name, rest)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            let (kind, name) = name.split_once('-').unwrap_or((name, ""));
            let elastic = name.is_empty() && encoding::padded(rest);
            let algorithm = match name {
                "" if elastic => Algorithm::Sha512,
                "" => Algorithm::Sha1,
                name => Algorithm::named(name)?,
            };
            return (kind == "PBKDF2").then(|| Self::triple(algorithm, rest))?;
        }
        let (name, rest) = text.strip_prefix("$pbkdf2")?.split_once('$')?;
        let algorithm = match name.strip_prefix('-') {
            Some(name) => Algorithm::named(name)?,
            None if name.is_empty() => Algorithm::Sha1,
            None => return None,
        };
        Self::triple(algorithm, rest)
    }

    /// `ITERATIONS$SALT$HASH`; the iterations may be among the parameters of a PHC string.
    fn triple(algorithm: Algorithm, rest: &str) -> Option<Result<Self, RowErrorKind>> {
        let [settings, salt, hash] = rest.split('$').collect::<Vec<_>>()[..] else { return None };
        let of_phc = || settings.split(',').find_map(|one| one.strip_prefix("i="));
        let iterations = settings.parse().ok().or_else(|| of_phc()?.parse().ok())?;
        // passlib's alphabet has a dot where the others have a plus sign.
        let bytes = |text: &str| encoding::base64(&text.replace('.', "+"));
        Some(Self::new(algorithm, iterations, bytes(salt)?, bytes(hash)?))
    }

    /// A hash whose parts stand in columns of their own.
    pub(super) fn new(
        algorithm: Algorithm,
        iterations: u32,
        salt: Vec<u8>,
        hash: Vec<u8>,
    ) -> Result<Self, RowErrorKind> {
        let blocks = hash.len().div_ceil(algorithm.len()) as u64;
        if u64::from(iterations) * blocks > MAX_WORK {
            return Err(RowErrorKind::TooCostly(format!(
                "{iterations} iterations of {blocks} blocks are above the ceiling of {MAX_WORK}"
            )));
        }
        let iterations = NonZeroU32::new(iterations).filter(|_| (16..=128).contains(&hash.len()));
        let iterations = iterations.ok_or(RowErrorKind::HashString(None))?;
        Ok(Hash { algorithm, iterations, salt, hash, stretched: false })
    }

    pub(super) fn matches(&self, hashed: &[u8]) -> Result<bool, SlowError> {
        let first = Zeroizing::new(match self.stretched {
            true => hex::encode(&*Algorithm::Sha512.digest(&[hashed])).into_bytes(),
            false => hashed.to_vec(),
        });
        let mut found = Zeroizing::new(vec![0; self.hash.len()]);
        derive(self.algorithm, self.iterations, &self.salt, &first, &mut found);
        Ok(same(&found, &self.hash))
    }
}

/// PBKDF2 into `out`.
pub(super) fn derive(algorithm: Algorithm, iterations: NonZeroU32, salt: &[u8], hashed: &[u8], out: &mut [u8]) {
    let algorithm = match algorithm {
        Algorithm::Sha1 => PBKDF2_HMAC_SHA1,
        Algorithm::Sha256 => PBKDF2_HMAC_SHA256,
        Algorithm::Sha384 => PBKDF2_HMAC_SHA384,
        Algorithm::Sha512 => PBKDF2_HMAC_SHA512,
    };
    pbkdf2::derive(algorithm, iterations, salt, hashed, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python's hashlib: PBKDF2 of "key" with the salt "saltsaltsaltsalt" and 1000 iterations.
    #[test]
    fn hashes_of_every_form_are_matched() {
        for text in TEXTS {
            let hash = Hash::parse(text).expect(text);
            assert_eq!((hash.matches(b"key"), hash.matches(b"kex")), (Ok(true), Ok(false)), "{text}");
        }
    }

    const TEXTS: [&str; 11] = [
        "$pbkdf2-sha384$1000$c2FsdHNhbHRzYWx0c2FsdA$r8453ZJ52gGHIAhpBSO6v1ybUDoz/kyWtUN98H5mnvgnC9Ju5ZCHCeLrM4B23fhe",
        "pbkdf2_sha256$1000$saltsaltsaltsalt$xslGjVi2wnBaBHXJB6KriAfDiLsf1ep1wM87Z4cLzt8=",
        "pbkdf2_sha1$1000$saltsaltsaltsalt$2PXT7Iic2kan079CfUHiS5Y0+g4=",
        "pbkdf2:sha256:1000$saltsaltsaltsalt$c6c9468d58b6c2705a0475c907a2ab8807c388bb1fd5ea75c0cf3b67870bcedf",
        "pbkdf2:sha512:1000$saltsaltsaltsalt$da93b730c4bea5d0047649685627e3e2542bb9dccc01cc32e38e81b9f90c8eb613fcc02a1e54f46d0cea30acadf7abdb7ffa0a8581ab45142c4b31a0ec5341cc",
        "$pbkdf2-sha256$1000$c2FsdHNhbHRzYWx0c2FsdA$xslGjVi2wnBaBHXJB6KriAfDiLsf1ep1wM87Z4cLzt8",
        "$pbkdf2$1000$c2FsdHNhbHRzYWx0c2FsdA$2PXT7Iic2kan079CfUHiS5Y0.g4",
        "$pbkdf2-sha512$i=1000,l=64$c2FsdHNhbHRzYWx0c2FsdA$2pO3MMS+pdAEdkloVifj4lQrudzMAcwy446BufkMjrYT/MAqHlT0bQzqMKyt96vbf/oKhYGrRRQsSzGg7FNBzA",
        "{PBKDF2-SHA256}1000$c2FsdHNhbHRzYWx0c2FsdA$xslGjVi2wnBaBHXJB6KriAfDiLsf1ep1wM87Z4cLzt8",
        "{PBKDF2}1000$c2FsdHNhbHRzYWx0c2FsdA==$2pO3MMS+pdAEdkloVifj4lQrudzMAcwy446BufkMjrY=",
        "{PBKDF2_STRETCH}1000$c2FsdHNhbHRzYWx0c2FsdA==$rLtfKxsqZgRHe6ejVt08sp9vpPVvTRADshJ1HN669/o=",
    ];

    #[test]
    fn other_strings_and_costs_without_measure_are_refused() {
        for bad in ["", "pbkdf2_sha256", "pbkdf2_md5$1$a$b", "$pbkdf2-sha256$1$a", "{PBKDF2}x", "$pbkdf2x$1$YWFh$YWFh"]
        {
            assert_eq!(Hash::parse(bad).err(), Some(RowErrorKind::HashString(None)), "{bad}");
        }
        let of = |iterations: &str| Hash::parse(&format!("pbkdf2_sha256${iterations}$salt${}", "ab".repeat(32)));
        assert!(matches!(of("4000001"), Err(RowErrorKind::TooCostly(_))));
        assert!(of("4000000").is_ok() && of("0").is_err() && of("-1").is_err());
    }
}
