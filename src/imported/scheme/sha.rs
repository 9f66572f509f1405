//! Salted SHA digests that say themselves how they were made. Fast: they need no thread.
//!
//! * Django: `sha512$SALT$HEX` is of salt ‖ key, with an empty salt too (`sha512$$HEX`); `sha256$HEX` has none;
//! * Werkzeug before 3: `sha256$SALT$HEX` is the HMAC of the key under the salt; web2py: the same is of key ‖ salt; and
//!   nothing tells any of the three from the others;
//! * JupyterHub: `sha512:ROUNDS:SALT:HEX` is of the salt and the key so many times, one behind the other;
//! * LDAP: `{SSHA256}BASE64` holds digest ‖ salt, and is of key ‖ salt; so do `{SSHA}` and `{SSHA512}`; `{SHA256}` has
//!   no salt;
//! * Elasticsearch: `{SSHA256}SALT HASH`, of key ‖ salt: 12 characters of base64, or 8 of text, before 44 of the
//!   digest. LDAP's with a salt of 6 bytes may look the same;
//! * Spring Security: `{SHA-256}{SALT}HEX`, of key ‖ `{SALT}`, with its braces;
//! * mosquitto before 2: `$6$SALT$HASH`, of key ‖ salt with SHA-512, in base64.

use super::{SlowError, same};
use crate::imported::{
    digest::{Algorithm, Digest},
    encoding,
    row_error::RowErrorKind,
};

/// Rounds of JupyterHub: each hashes the key once.
const MAX_ROUNDS: u32 = 65_536;
/// The number of rounds from which on a check needs a thread.
const MANY_ROUNDS: u32 = 256;

#[derive(Clone, Debug)]
pub(in crate::imported) struct Hash {
    algorithm: Algorithm,
    rounds: u32,
    /// Where nothing in a string tells two forms apart, a key may match by either.
    readings: Vec<Reading>,
}

/// One way to read a string.
#[derive(Clone, Debug)]
struct Reading {
    salt: Salt,
    digest: Vec<u8>,
}

/// What is hashed beside the key.
#[derive(Clone, Debug)]
enum Salt {
    None,
    Before(Vec<u8>),
    Behind(Vec<u8>),
    /// The key of an HMAC.
    Hmac(Vec<u8>),
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

    /// mosquitto's, whose beginning is that of crypt(5); its hash is in base64 with padding.
    pub(super) fn mosquitto(text: &str) -> Option<Result<Self, RowErrorKind>> {
        let ["", "6", salt, hash] = text.split('$').collect::<Vec<_>>()[..] else { return None };
        let read = || {
            let salt = Salt::Behind(encoding::base64(salt)?);
            Self::new(Algorithm::Sha512, 1, vec![Reading { salt, digest: encoding::base64(hash)? }])
        };
        hash.ends_with("==").then(|| read().ok_or(RowErrorKind::HashString(None)))
    }

    fn read(text: &str) -> Option<Self> {
        if let Some((name, rest)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            if let Some((salt, hex)) = rest.strip_prefix('{').and_then(|salted| salted.split_once('}')) {
                let salt = Salt::Behind(format!("{{{salt}}}").into_bytes());
                return Self::new(
                    Algorithm::named(name)?,
                    1,
                    vec![Reading { salt, digest: encoding::hexadecimal(hex)? }],
                );
            }
            return match name.strip_prefix("SS").or_else(|| name.strip_prefix("ss")) {
                Some(_) => Self::with_salt_behind(Algorithm::named(&name[1..])?, rest),
                None => Self::unsalted(Algorithm::named(name)?, text),
            };
        }
        let marks: Vec<&str> = text.split(':').collect();
        if let [name, rounds, salt, hex] = marks[..] {
            let reading = Reading { salt: Salt::Before(salt.as_bytes().to_vec()), digest: encoding::hexadecimal(hex)? };
            return Self::new(Algorithm::named(name)?, rounds.parse().ok()?, vec![reading]);
        }
        match text.split('$').collect::<Vec<_>>()[..] {
            [name, salt, hex] => {
                let (salt, digest) = (salt.as_bytes().to_vec(), encoding::either(hex)?);
                let mut readings = vec![Reading { salt: Salt::Before(salt.clone()), digest: digest.clone() }];
                if !salt.is_empty() {
                    readings.push(Reading { salt: Salt::Behind(salt.clone()), digest: digest.clone() });
                    readings.push(Reading { salt: Salt::Hmac(salt), digest });
                }
                Self::new(Algorithm::named(name)?, 1, readings)
            }
            [name, _] => Self::unsalted(Algorithm::named(name)?, text),
            _ => None,
        }
    }

    fn unsalted(algorithm: Algorithm, text: &str) -> Option<Self> {
        Self::new(algorithm, 1, vec![Reading { salt: Salt::None, digest: algorithm.read(text)? }])
    }

    fn with_salt_behind(algorithm: Algorithm, rest: &str) -> Option<Self> {
        let readings = [Self::elastic(algorithm, rest), Self::ldap(algorithm, rest)];
        Self::new(algorithm, 1, readings.into_iter().flatten().collect())
    }

    /// The salt first: as base64, whose padding then stands amid the text, or as a text of 8 characters.
    fn elastic(algorithm: Algorithm, rest: &str) -> Option<Reading> {
        let digest = |hash: &str| encoding::base64(hash).filter(|digest| hash.len() == 44 && digest.len() == 32);
        let split = |at: usize| rest.split_at_checked(at).and_then(|(salt, hash)| Some((salt, digest(hash)?)));
        let (salt, digest) = match (split(12), split(8)) {
            _ if algorithm != Algorithm::Sha256 => return None,
            (Some((salt, digest)), _) if salt.ends_with('=') => (encoding::base64(salt)?, digest),
            (_, Some((salt, digest))) => (salt.as_bytes().to_vec(), digest),
            _ => return None,
        };
        Some(Reading { salt: Salt::Behind(salt), digest })
    }

    /// The digest first, and the rest is the salt.
    fn ldap(algorithm: Algorithm, rest: &str) -> Option<Reading> {
        let mut digest = encoding::base64(rest)?;
        let salt = (digest.len() > algorithm.len()).then(|| digest.split_off(algorithm.len()))?;
        Some(Reading { salt: Salt::Behind(salt), digest })
    }

    fn new(algorithm: Algorithm, rounds: u32, readings: Vec<Reading>) -> Option<Self> {
        let fit = readings.iter().all(|reading| reading.digest.len() == algorithm.len());
        (fit && !readings.is_empty() && rounds > 0).then_some(Hash { algorithm, rounds, readings })
    }

    pub(super) fn is_slow(&self) -> bool {
        self.rounds >= MANY_ROUNDS
    }

    pub(super) fn matches(&self, hashed: &[u8]) -> Result<bool, SlowError> {
        let is_of = |reading: &Reading| same(&self.digest(&reading.salt, hashed), &reading.digest);
        Ok(self.readings.iter().fold(false, |found, reading| found | is_of(reading)))
    }

    fn digest(&self, salt: &Salt, hashed: &[u8]) -> Digest {
        match salt {
            Salt::None => self.algorithm.digest(&[hashed]),
            Salt::Behind(salt) => self.algorithm.digest(&[hashed, salt]),
            Salt::Hmac(salt) => self.algorithm.mac(salt, hashed),
            Salt::Before(salt) => {
                let mut parts = vec![&**salt];
                parts.extend((0..self.rounds).map(|_| hashed));
                self.algorithm.digest(&parts)
            }
        }
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

    /// Made with Python's hashlib and hmac, of "key".
    const TEXTS: [&str; 17] = [
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
        // Werkzeug's.
        "sha256$salt$95a47c9b4fdb78ca55bc2ee4423b2b0f9841e6f7143d8a9d938d2cf4790b9d9f",
        "sha512$salt$9c5248370e0e4cc7221612d1458e26490f75d763b24d105c061039943e802369b56a4454bfde99691bd5125f8bb29de8b685e1fe76b2b3be781a22bad3887cd9",
        // web2py's.
        "sha512$a1b2c3d4$3992a9cc1bb8fcf361ee4f278aa09224f9db34b5364aaee015602aac204b4c9492084580d751490010986a56e48a6783235fbeb4ee3b219cb13ea87a42e2f8f2",
        // Spring Security's.
        "{SHA-256}{c2FsdHNhbHQ=}8bb7cad0943d7001d36be2a698eaa69a8ceb5536732d1a2a88e304b55fcd1cff",
        // LDAP's, as long as Elasticsearch's with a salt that is a text.
        "{SSHA256}iPur1aQiosmnRB7cTDpdfwRgTXV6tLXFzqCfjXjX5t5zYWx0/wE=",
        "{SSHA}uvgyZk6fmbon6GhgDz9u1Qu1cGplaWdodGVlbiBieXRlcyBzYWw=",
    ];
}
