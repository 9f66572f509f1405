//! Hashes of crypt(5) beside bcrypt and scrypt: SHA-crypt, `$5$` and `$6$`, and yescrypt, `$y$`.

use sha_crypt::ShaCrypt;
use sha_crypt::password_hash::{self, PasswordVerifier};
use yescrypt::Yescrypt;

use super::{MAX_KIB, SlowError};
use crate::imported::row_error::RowErrorKind;

/// KiB that a check of SHA-crypt takes.
const SHA_KIB: u32 = 8;
/// The most rounds of SHA-crypt: half a second.
const MAX_ROUNDS: u32 = 1_000_000;

#[derive(Clone, Debug)]
pub(in crate::imported) struct Hash {
    text: String,
    memory_kib: u32,
}

impl Hash {
    pub(super) fn parse(text: &str) -> Result<Self, RowErrorKind> {
        let unreadable = || RowErrorKind::HashString(None);
        let fields: Vec<&str> = text.split('$').skip(1).collect();
        let memory_kib = match fields[..] {
            ["y", settings, salt, hash] if !salt.is_empty() && hash.len() == 43 => yescrypt_kib(settings)?,
            // A column that is too short cuts the end off, and such a hash never matches.
            [kind @ ("5" | "6"), _, hash] if hash.len() == sha_len(kind) => SHA_KIB,
            [kind @ ("5" | "6"), rounds, _, hash] if hash.len() == sha_len(kind) => {
                let rounds: u32 = rounds.strip_prefix("rounds=").and_then(|n| n.parse().ok()).ok_or_else(unreadable)?;
                if rounds > MAX_ROUNDS {
                    return Err(RowErrorKind::TooCostly(format!("{rounds} rounds are above {MAX_ROUNDS}")));
                }
                SHA_KIB
            }
            _ => return Err(unreadable()),
        };
        yescrypt::PasswordHash::new(text).map_err(|_| unreadable())?;
        Ok(Hash { text: text.to_owned(), memory_kib })
    }

    pub(super) fn memory_kib(&self) -> u32 {
        self.memory_kib
    }

    pub(super) fn matches(&self, hashed: &[u8]) -> Result<bool, SlowError> {
        let hash = yescrypt::PasswordHash::new(&*self.text).map_err(|_| SlowError::Parameters)?;
        let verified = match self.text.starts_with("$y$") {
            true => Yescrypt::default().verify_password(hashed, &hash),
            false => ShaCrypt::default().verify_password(hashed, &hash),
        };
        match verified {
            Ok(()) => Ok(true),
            Err(password_hash::Error::PasswordInvalid) => Ok(false),
            Err(_) => Err(SlowError::Parameters),
        }
    }
}

/// Characters of a hash of SHA-crypt.
fn sha_len(kind: &str) -> usize {
    if kind == "5" { 43 } else { 86 }
}

fn yescrypt_kib(settings: &str) -> Result<u32, RowErrorKind> {
    let params: yescrypt::Params = settings.parse().map_err(|_| RowErrorKind::HashString(None))?;
    let kib = params.n().saturating_mul(u64::from(params.r())) / 8;
    if kib > MAX_KIB || params.p() > 16 {
        return Err(RowErrorKind::TooCostly(format!("{kib} KiB are above the ceiling of {MAX_KIB}")));
    }
    Ok(u32::try_from(kib).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Debian's mkpasswd (libxcrypt), of "key".
    #[test]
    fn hashes_of_another_implementation_are_matched() {
        for text in TEXTS {
            let hash = Hash::parse(text).expect(text);
            assert_eq!((hash.matches(b"key"), hash.matches(b"kex")), (Ok(true), Ok(false)), "{text}");
        }
        for bad in ["", "$1$salt$hash", "$6$salt", "$y$j9T$salt", "$gy$j9T$salt$hash", "$5$rounds=x$salt$hash"] {
            assert_eq!(Hash::parse(bad).err(), Some(RowErrorKind::HashString(None)), "{bad}");
        }
        let rounds = TEXTS[1].replace("rounds=1000", "rounds=1000001");
        assert!(matches!(Hash::parse(&rounds), Err(RowErrorKind::TooCostly(_))));
    }

    const TEXTS: [&str; 4] = [
        "$6$saltsalt$FWOPvFBQZ.umYPpOpdUfDKRzEutOvuhRkM1ecwf9tPAVNnBTbyhc.C4/DoB3tXh51wcaH24XcdRQY8LgkQUsK1",
        "$5$rounds=1000$saltsalt$07M.MCufa/P0Ub3UqwSur7YaZeNiOYwH9zMzlGmCFD6",
        "$5$saltsalt$E2uhzp4zearttgZp63s7x0hpcsSBSfN8pTJkg9g5Xh8",
        "$y$j75$AWqA27w2ZRUkP.d8vGVvG1$YnvQz64pSNNsUK6rEOVLRdV1aH6TtHYxus5H0GiWOO/",
    ];
}
