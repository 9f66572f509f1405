//! Stored hashes as PHC strings (<https://github.com/P-H-C/phc-string-format>), `docs/FORMAT.md`, "What is stored":
//!
//! ```text
//! $argon2id$v=19$m=65536,t=3,p=4,keyid=AAAAAQ$SALT$HASH
//! $hmac-sha256$keyid=AAAAAQ$-$HASH
//! ```
//!
//! Own code, because the crates for such strings take only salts in base64, and HMAC has none.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as B64};
use zeroize::Zeroizing;

use super::{
    Argon2id, Ceilings, SecretHashError as Error, digest,
    scheme::{SALT_BYTES, Salted},
};
use crate::key_version::KeyVersion;

/// The fields of a stored hash.
#[derive(Clone)]
pub(super) struct Fields {
    pub(super) salted: Salted,
    pub(super) pepper: KeyVersion,
    pub(super) hash: Zeroizing<[u8; digest::BYTES]>,
}

/// Longer than the longest stored hash, and short enough to be split without a thought.
const MAX_LEN: usize = 160;
const NO_SALT: &str = "-";

pub(super) fn print(stored: &Fields) -> String {
    let keyid = B64.encode(stored.pepper.to_be_bytes());
    let (name, hash) = (stored.salted.scheme().name(), B64.encode(stored.hash.as_slice()));
    match &stored.salted {
        Salted::HmacSha256 => format!("${name}$keyid={keyid}${NO_SALT}${hash}"),
        Salted::Argon2id { setting: Argon2id { m_kib, t, p }, salt } => {
            format!("${name}$v=19$m={m_kib},t={t},p={p},keyid={keyid}${}${hash}", B64.encode(salt))
        }
    }
}

pub(super) fn parse(text: &str, ceilings: &Ceilings) -> Result<Fields, Error> {
    if text.len() > MAX_LEN {
        return Err(Error::Shape);
    }
    let fields: Vec<&str> = text.split('$').collect();
    let (salted, keyid, hash) = match *fields.as_slice() {
        ["", "hmac-sha256", parameters, salt, hash] => {
            let [keyid] = values(parameters, ["keyid"])?;
            if salt != NO_SALT {
                return Err(Error::Salt);
            }
            (Salted::HmacSha256, keyid, hash)
        }
        ["", "argon2id", version, parameters, salt, hash] => {
            if version != "v=19" {
                return Err(Error::Version);
            }
            let [m, t, p, keyid] = values(parameters, ["m", "t", "p", "keyid"])?;
            let setting = Argon2id { m_kib: decimal(m)?, t: decimal(t)?, p: decimal(p)? };
            ceilings.check(&setting)?;
            (Salted::Argon2id { setting, salt: bytes::<SALT_BYTES>(salt).ok_or(Error::Salt)? }, keyid, hash)
        }
        ["", "hmac-sha256" | "argon2id", ..] => return Err(Error::Shape),
        ["", name, ..] if !name.is_empty() => return Err(Error::Scheme),
        _ => return Err(Error::Shape),
    };
    let version = bytes(keyid).and_then(|number| KeyVersion::new(u32::from_be_bytes(number)));
    let pepper = version.ok_or(Error::KeyId)?;
    let hash = Zeroizing::new(bytes::<{ digest::BYTES }>(hash).ok_or(Error::Hash)?);
    Ok(Fields { salted, pepper, hash })
}

/// The values of exactly these parameters, in this order.
fn values<'t, const N: usize>(parameters: &'t str, names: [&str; N]) -> Result<[&'t str; N], Error> {
    let mut found = parameters.split(',');
    let values = names.map(|name| found.next()?.strip_prefix(name)?.strip_prefix('='));
    if found.next().is_some() || values.contains(&None) {
        return Err(Error::Parameters);
    }
    Ok(values.map(Option::unwrap_or_default))
}

/// A decimal number without sign or leading zero.
fn decimal(text: &str) -> Result<u32, Error> {
    let number: u32 = text.parse().map_err(|_| Error::Parameters)?;
    if number.to_string() == text { Ok(number) } else { Err(Error::Parameters) }
}

/// Exactly `N` bytes of base64 without padding, trailing bits zero.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    matches!(B64.decode_slice(text, &mut bytes), Ok(length) if length == N).then_some(bytes)
}
