//! How a secret half's digest is stored: as it is, or through Argon2id.

use std::{fmt, str::FromStr};

use super::SecretHashError;

/// Bytes of an Argon2id salt.
pub(super) const SALT_BYTES: usize = 16;

/// How the digest of a secret half is turned into what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SecretScheme {
    /// `hmac-sha256`: the digest itself (RFC 2104). A secret half has 256 random bits, so nothing slower is needed.
    HmacSha256,
    /// `argon2id` (RFC 9106, feature `argon2`): the digest through a hash that takes memory and time.
    Argon2id(Argon2id),
}

impl SecretScheme {
    /// The scheme's name, as stored hashes have it.
    pub const fn name(self) -> &'static str {
        match self {
            SecretScheme::HmacSha256 => "hmac-sha256",
            SecretScheme::Argon2id(_) => "argon2id",
        }
    }

    /// KiB of memory that one hash takes while it is computed.
    pub const fn memory_kib(self) -> u32 {
        match self {
            SecretScheme::HmacSha256 => 0,
            SecretScheme::Argon2id(setting) => setting.m_kib,
        }
    }
}

impl fmt::Display for SecretScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A scheme, and the salt of one hash.
#[derive(Clone, Copy)]
pub(super) enum Salted {
    HmacSha256,
    Argon2id { setting: Argon2id, salt: [u8; SALT_BYTES] },
}

impl Salted {
    pub(super) fn scheme(&self) -> SecretScheme {
        match *self {
            Salted::HmacSha256 => SecretScheme::HmacSha256,
            Salted::Argon2id { setting, .. } => SecretScheme::Argon2id(setting),
        }
    }
}

/// A setting of Argon2id (RFC 9106).
///
/// ```
/// # use bulla::secret::Argon2id;
/// assert_eq!("default".parse(), Ok(Argon2id::DEFAULT));
/// assert_eq!("owasp".parse(), Ok(Argon2id { m_kib: 19 * 1024, t: 2, p: 1 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Argon2id {
    /// Memory in KiB, 8 or more for each `p`.
    pub m_kib: u32,
    /// Passes over the memory.
    pub t: u32,
    /// Lanes.
    pub p: u32,
}

impl Argon2id {
    /// `default`: 64 MiB, 3 passes, 4 lanes, the second recommended option of RFC 9106.
    pub const DEFAULT: Argon2id = Argon2id { m_kib: 64 * 1024, t: 3, p: 4 };
    /// `owasp`: 19 MiB, 2 passes, 1 lane, the OWASP Password Storage Cheat Sheet's.
    pub const OWASP: Argon2id = Argon2id { m_kib: 19 * 1024, t: 2, p: 1 };

    /// Refuses what Argon2 does not take.
    pub fn check(&self) -> Result<(), SecretHashError> {
        const MAX_LANES: u32 = 0xff_ffff;
        let right = self.t >= 1 && (1..=MAX_LANES).contains(&self.p) && self.m_kib >= 8 * self.p;
        if right { Ok(()) } else { Err(SecretHashError::Setting) }
    }
}

impl FromStr for Argon2id {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "default" => Ok(Argon2id::DEFAULT),
            "owasp" => Ok(Argon2id::OWASP),
            _ => Err("the named settings of Argon2id are `default` and `owasp`".to_owned()),
        }
    }
}

/// The most that a stored hash may cost to check: someone who can write to the store must not be able to make a checker
/// take all memory and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceilings {
    /// Memory in KiB.
    pub m_kib: u32,
    /// Passes.
    pub t: u32,
    /// Lanes.
    pub p: u32,
}

impl Default for Ceilings {
    /// 256 MiB, 8 passes, 16 lanes.
    fn default() -> Self {
        Ceilings { m_kib: 256 * 1024, t: 8, p: 16 }
    }
}

impl Ceilings {
    /// Refuses a setting above a ceiling, and one that Argon2 does not take.
    pub fn check(&self, setting: &Argon2id) -> Result<(), SecretHashError> {
        for (parameter, found, ceiling) in
            [('m', setting.m_kib, self.m_kib), ('t', setting.t, self.t), ('p', setting.p, self.p)]
        {
            if found > ceiling {
                return Err(SecretHashError::AboveCeiling { parameter, found, ceiling });
            }
        }
        setting.check()
    }
}
