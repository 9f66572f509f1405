//! scrypt (RFC 7914), as PHC strings, `$scrypt$ln=17,r=8,p=1$SALT$HASH`; as crypt strings, `$7$` N r p SALT `$` HASH
//! (crypt(5)); as Django writes it, `scrypt$N$SALT$r$p$BASE64`; as Werkzeug does, `scrypt:N:r:p$SALT$HEX`; and as
//! Spring Security does, `{scrypt}$e0801$SALT$HASH`, or Lambdaworks's SCryptUtil, `$s0$e0801$SALT$HASH`. Django's and
//! Werkzeug's salts are the text's own bytes.

use scrypt::Params;
use zeroize::Zeroizing;

use super::{MAX_KIB, SlowError, same};
use crate::imported::{encoding, row_error::RowErrorKind};

/// The digits of crypt strings, the low ones first.
const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Lanes run one after the other: each takes the time of the whole.
const MAX_LANES: u32 = 16;

#[derive(Clone, Debug)]
pub(in crate::imported) struct Hash {
    params: Params,
    memory_kib: u32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Hash {
    pub(super) fn parse(text: &str) -> Result<Self, RowErrorKind> {
        if let Some(rest) = text.strip_prefix("$7$") {
            return Self::from_crypt(rest);
        }
        if let Some(rest) = text.strip_prefix("$s0") {
            return Self::spring(rest).unwrap_or(Err(RowErrorKind::HashString(None)));
        }
        match text.split(['$', ':']).collect::<Vec<_>>()[..] {
            ["scrypt", n, salt, r, p, hash] if text.starts_with("scrypt$") => Self::written([n, r, p], salt, hash),
            ["scrypt", n, r, p, salt, hash] if text.starts_with("scrypt:") => Self::written([n, r, p], salt, hash),
            _ => Self::from_phc(text),
        }
    }

    /// N, r and p in decimal, a salt that is a text, and a hash in hexadecimal or base64.
    fn written(numbers: [&str; 3], salt: &str, hash: &str) -> Result<Self, RowErrorKind> {
        let [n, r, p] = numbers.map(|number| number.parse::<u32>().ok());
        let hash = encoding::either(hash);
        match (n, r, p, hash) {
            (Some(n), Some(r), Some(p), Some(hash)) if n.is_power_of_two() => {
                Self::new(n.trailing_zeros(), r, p, salt.as_bytes().to_vec(), hash)
            }
            _ => Err(RowErrorKind::HashString(None)),
        }
    }

    fn from_phc(text: &str) -> Result<Self, RowErrorKind> {
        let read = || {
            let [_, "scrypt", settings, salt, hash] = text.split('$').collect::<Vec<_>>()[..] else { return None };
            let [ln, r, p] = settings.split(',').collect::<Vec<_>>()[..] else { return None };
            let number = |text: &str, name: &str| text.strip_prefix(name)?.parse::<u32>().ok();
            Some((
                [number(ln, "ln=")?, number(r, "r=")?, number(p, "p=")?],
                encoding::base64(salt)?,
                encoding::base64(hash)?,
            ))
        };
        let ([ln, r, p], salt, hash) = read().ok_or(RowErrorKind::HashString(None))?;
        Self::new(ln, r, p, salt, hash)
    }

    /// Spring Security's, behind its name: `$PARAMETERS$SALT$HASH`, where the parameters are log2 N, r and p, the last
    /// two in two digits of hexadecimal.
    pub(super) fn spring(rest: &str) -> Option<Result<Self, RowErrorKind>> {
        let ["", parameters, salt, hash] = rest.split('$').collect::<Vec<_>>()[..] else { return None };
        let parameters = u32::from_str_radix(parameters, 16).ok().filter(|parameters| *parameters >= 1 << 16)?;
        let [_, _, r, p] = parameters.to_be_bytes();
        let (salt, hash) = (encoding::base64(salt)?, encoding::base64(hash)?);
        Some(Self::new(parameters >> 16, r.into(), p.into(), salt, hash))
    }

    fn from_crypt(rest: &str) -> Result<Self, RowErrorKind> {
        let (settings, hash) = rest.split_once('$').ok_or(RowErrorKind::HashString(None))?;
        let (numbers, salt) = settings.as_bytes().split_at_checked(11).ok_or(RowErrorKind::HashString(None))?;
        let number = |digits: &[u8]| -> Option<u32> {
            let low_first = digits.iter().enumerate();
            low_first.map(|(at, digit)| Some(value(*digit)? << (6 * at))).try_fold(0, |sum, digit| Some(sum | digit?))
        };
        let [ln, r, p] = [&numbers[..1], &numbers[1..6], &numbers[6..]].map(number);
        let bytes: Option<Vec<Vec<u8>>> = hash.as_bytes().chunks(4).map(group).collect();
        match (ln, r, p, bytes) {
            // The salt is the text's own bytes.
            (Some(ln), Some(r), Some(p), Some(hash)) => Self::new(ln, r, p, salt.to_vec(), hash.concat()),
            _ => Err(RowErrorKind::HashString(None)),
        }
    }

    pub(super) fn new(ln: u32, r: u32, p: u32, salt: Vec<u8>, hash: Vec<u8>) -> Result<Self, RowErrorKind> {
        let blocks = 1u64.checked_shl(ln).filter(|_| ln < 32).ok_or(RowErrorKind::HashString(None))?;
        let kib = (blocks + u64::from(p)).saturating_mul(u64::from(r)) / 8;
        if kib > MAX_KIB + 1024 || p > MAX_LANES {
            return Err(RowErrorKind::TooCostly(format!(
                "N = 2^{ln}, r = {r}, p = {p} is above the ceilings of {MAX_KIB} KiB and {MAX_LANES} lanes"
            )));
        }
        if !(16..=64).contains(&hash.len()) || ln == 0 {
            return Err(RowErrorKind::HashString(None));
        }
        let log_n = u8::try_from(ln).map_err(|_| RowErrorKind::HashString(None))?;
        let params = Params::new(log_n, r, p).map_err(|_| RowErrorKind::HashString(None))?;
        Ok(Hash { params, memory_kib: u32::try_from(kib).unwrap_or(u32::MAX), salt, hash })
    }

    pub(super) fn memory_kib(&self) -> u32 {
        self.memory_kib
    }

    pub(super) fn matches(&self, hashed: &[u8]) -> Result<bool, SlowError> {
        let mut found = Zeroizing::new(vec![0; self.hash.len()]);
        scrypt::scrypt(hashed, &self.salt, &self.params, &mut found).map_err(|_| SlowError::Parameters)?;
        Ok(same(&found, &self.hash))
    }
}

fn value(digit: u8) -> Option<u32> {
    DIGITS.iter().position(|one| *one == digit).and_then(|at| u32::try_from(at).ok())
}

/// Up to three bytes in up to four digits, the low ones first.
fn group(digits: &[u8]) -> Option<Vec<u8>> {
    let mut bits = digits.iter().enumerate().map(|(at, digit)| Some(value(*digit)? << (6 * at)));
    let bits = bits.try_fold(0, |sum: u32, digit| Some(sum | digit?))?;
    let bytes = digits.len().checked_sub(1).filter(|bytes| *bytes > 0)?;
    (bits >> (8 * bytes) == 0).then(|| bits.to_le_bytes()[..bytes].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python's hashlib, and with passlib.
    #[test]
    fn hashes_of_another_implementation_are_matched() {
        for (text, kib) in [
            ("$scrypt$ln=4,r=8,p=1$c29tZXNhbHRzb21lc2FsdA$B9Y9I944wsB8Pz6zWtDTD0Sgrf2XHcQGTBaZk70mOVQ", 17),
            ("$scrypt$ln=10,r=8,p=2$c29tZXNhbHRzb21lc2FsdA$B7yeejqi5N25g6WrBJ9rSDETP7zkeXpTrvXUuf3owpY", 1026),
            ("$scrypt$ln=5,r=8,p=1$c29tZXNhbHRzb21lc2FsdA$VgGAKX6Q7I2uiE8rXY8gQhpBBhFzXcfJUhZ55INnsfI", 33),
            ("$7$36..../....somesaltsomesalt$K3.Uds5Ygrcf6yo8Rx660dFE42lQRRQmGNFSYDsNl8D", 33),
        ] {
            let hash = Hash::parse(text).expect("a hash");
            assert_eq!(hash.memory_kib(), kib, "{text}");
            assert_eq!(hash.matches(b"sk_live_4f9a1c20_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pf"), Ok(true), "{text}");
            assert_eq!(hash.matches(b"sk_live_4f9a1c20_9Zk3Qw7Lr5Tn2Vb8Xc6Md1Pg"), Ok(false), "{text}");
        }
    }

    #[test]
    fn other_strings_and_costs_without_measure_are_refused() {
        let rest = "$c29tZXNhbHRzb21lc2FsdA$B9Y9I944wsB8Pz6zWtDTD0Sgrf2XHcQGTBaZk70mOVQ";
        for (parameters, too_costly) in [
            ("ln=4,r=8", false),
            ("ln=0,r=8,p=1", false),
            ("ln=4,r=0,p=1", false),
            ("ln=4,r=8,p=0", false),
            ("ln=64,r=8,p=1", false),
            ("ln=19,r=8,p=1", true),
            ("ln=18,r=9,p=1", true),
            ("ln=1,r=4294967295,p=1", true),
            ("ln=14,r=8,p=17", true),
        ] {
            let refused = Hash::parse(&format!("$scrypt${parameters}{rest}")).expect_err(parameters);
            assert_eq!(matches!(refused, RowErrorKind::TooCostly(_)), too_costly, "{parameters}: {refused}");
        }
        assert!(Hash::parse(&format!("$scrypt$ln=18,r=8,p=1{rest}")).is_ok());
        for bad in ["$7$", "$7$36..../...", "$7$36..../....salt$", "$7$36..../....salt$K3", "$7$36..../....salt$K3.!"] {
            assert_eq!(Hash::parse(bad).err(), Some(RowErrorKind::HashString(None)), "{bad}");
        }
    }
}
