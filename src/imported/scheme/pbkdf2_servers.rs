//! PBKDF2 as servers write it, each in a form of its own:
//!
//! * ASP.NET Core Identity, in base64: 1, then three numbers of 4 bytes (function, iterations, bytes of salt), salt ‖
//!   hash; its version 2: 0, 16 bytes of salt, 32 of hash, with 1,000 iterations of SHA-1;
//! * Jira and Confluence: `{PKCS5S2}BASE64` holds 16 bytes of salt ‖ hash, with 10,000 iterations of SHA-1;
//! * mosquitto: `$7$ITERATIONS$SALT$HASH`, with SHA-512, in base64 (crypt(5) has a `$7$`, too, of fewer parts);
//! * web2py: `pbkdf2(ITERATIONS,BYTES,sha512)$SALT$HEX`, the salt a text;
//! * Dovecot: `{PBKDF2}$1$SALT$ITERATIONS$HEX`, with SHA-1, the salt a text;
//! * several: `sha256:ITERATIONS:SALT:HASH`, in base64. JupyterHub's digests look the same, but are in hexadecimal.

use super::pbkdf2::Hash;
use crate::imported::{digest::Algorithm, encoding, row_error::RowErrorKind};

type Read = Option<Result<Hash, RowErrorKind>>;

impl Hash {
    /// Reads a string that has the form of one of these servers; `None` if it has none.
    pub(super) fn of_server(text: &str) -> Read {
        if let Some(rest) = text.strip_prefix("{PKCS5S2}") {
            return Some(salt_and_hash(Algorithm::Sha1, 10_000, rest).unwrap_or(Err(RowErrorKind::HashString(None))));
        }
        if let Some(rest) = text.strip_prefix("{PBKDF2}$1$") {
            return dovecot(rest);
        }
        if let Some(rest) = text.strip_prefix("pbkdf2(") {
            return web2py(rest);
        }
        match text.split('$').collect::<Vec<_>>()[..] {
            ["", "7", iterations, salt, hash] => return decoded(Algorithm::Sha512, iterations, salt, hash),
            [_] => {}
            _ => return None,
        }
        match text.split(':').collect::<Vec<_>>()[..] {
            // A digest in hexadecimal is JupyterHub's.
            [name, iterations, salt, hash] if encoding::hexadecimal(hash).is_none() => {
                decoded(Algorithm::named(name)?, iterations, salt, hash)
            }
            [_] => asp_net(text),
            _ => None,
        }
    }
}

fn decoded(algorithm: Algorithm, iterations: &str, salt: &str, hash: &str) -> Read {
    Some(Hash::new(algorithm, iterations.parse().ok()?, encoding::base64(salt)?, encoding::base64(hash)?))
}

/// 16 bytes of salt and 32 of hash, in base64.
fn salt_and_hash(algorithm: Algorithm, iterations: u32, text: &str) -> Read {
    let bytes = encoding::base64(text).filter(|bytes| bytes.len() == 48)?;
    let (salt, hash) = bytes.split_at_checked(16)?;
    Some(Hash::new(algorithm, iterations, salt.to_vec(), hash.to_vec()))
}

fn dovecot(rest: &str) -> Read {
    let [salt, iterations, hash] = rest.split('$').collect::<Vec<_>>()[..] else { return None };
    let hash = encoding::hexadecimal(hash)?;
    Some(Hash::new(Algorithm::Sha1, iterations.parse().ok()?, salt.as_bytes().to_vec(), hash))
}

fn web2py(rest: &str) -> Read {
    let (settings, rest) = rest.split_once(")$")?;
    let [iterations, bytes, name] = settings.split(',').collect::<Vec<_>>()[..] else { return None };
    let (salt, hash) = rest.split_once('$')?;
    let hash = encoding::hexadecimal(hash).filter(|hash| bytes.parse() == Ok(hash.len()))?;
    Some(Hash::new(Algorithm::named(name)?, iterations.parse().ok()?, salt.as_bytes().to_vec(), hash))
}

fn asp_net(text: &str) -> Read {
    let bytes = encoding::base64(text)?;
    match bytes.split_first()? {
        (0, rest) if rest.len() == 48 => {
            let (salt, hash) = rest.split_at_checked(16)?;
            Some(Hash::new(Algorithm::Sha1, 1_000, salt.to_vec(), hash.to_vec()))
        }
        (1, rest) => {
            let (numbers, rest) = rest.split_at_checked(12)?;
            let number = |at: usize| numbers.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
            let algorithm = match number(0)? {
                0 => Algorithm::Sha1,
                1 => Algorithm::Sha256,
                2 => Algorithm::Sha512,
                _ => return None,
            };
            let (salt, hash) = rest.split_at_checked(usize::try_from(number(8)?).ok()?)?;
            Some(Hash::new(algorithm, number(4)?, salt.to_vec(), hash.to_vec()))
        }
        _ => None,
    }
}
