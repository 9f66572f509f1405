//! Why a secret half could not be hashed or checked.

use crate::key_version::KeyVersion;

/// A secret half cannot be hashed, or a stored hash cannot be used. It says nothing about the presented key: the
/// verdict is "could not tell", neither accepted nor wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretHashError {
    /// Not a PHC string of the right number of fields.
    #[error("the stored hash is not a PHC string as bulla writes it: restore it, or draw a new secret half")]
    Shape,
    /// Neither `argon2id` nor `hmac-sha256`.
    #[error("the stored hash has a scheme that this version of the library does not know: use a newer version")]
    Scheme,
    /// Another version of Argon2 than 1.3.
    #[error("the stored hash needs another version of Argon2 than `v=19`: use a newer version of the library")]
    Version,
    /// Parameters that are missing, unknown, twice, out of order or not plain decimal numbers.
    #[error("the stored hash has other parameters than its scheme: restore it, or draw a new secret half")]
    Parameters,
    /// The key id is not a pepper version.
    #[error("the `keyid` of the stored hash is not a pepper version: restore it, or draw a new secret half")]
    KeyId,
    /// The salt is not 16 bytes in base64, or not `-` for a scheme without one.
    #[error("the salt of the stored hash does not fit its scheme: restore it, or draw a new secret half")]
    Salt,
    /// The hash is not 32 bytes in base64.
    #[error("the stored hash does not end in 32 bytes of base64: restore it, or draw a new secret half")]
    Hash,
    /// A setting that Argon2 does not have.
    #[error("Argon2id needs t of 1 or more, p of 1 to 16777215, and m of 8 KiB or more for each p")]
    Setting,
    /// A setting that costs more than the ceiling.
    #[error("{parameter}={found} is above the ceiling of {ceiling}: raise the ceiling, or use a smaller setting")]
    AboveCeiling {
        /// The parameter: `m` (KiB), `t` or `p`.
        parameter: char,
        /// What the setting says.
        found: u32,
        /// What is allowed.
        ceiling: u32,
    },
    /// Argon2id, without the feature `argon2`.
    #[error("this build has no Argon2id: build the library with the feature `argon2`")]
    Disabled,
    /// No memory to hash in.
    #[error("{0} KiB of memory for a hash are not available: allow more, or hash fewer at a time")]
    OutOfMemory(u32),
    /// The pepper that the stored hash names is not loaded.
    #[error("the stored hash needs version {0} of the pepper, which is not loaded")]
    PepperMissing(KeyVersion),
    /// The digest was made under another pepper than the stored hash.
    #[error("the stored hash needs version {stored} of the pepper, and the digest was made under version {digest}")]
    OtherPepper {
        /// What the stored hash names.
        stored: KeyVersion,
        /// What the digest was made under.
        digest: KeyVersion,
    },
    /// No randomness.
    #[error("the random generator failed: {0}")]
    Random(String),
}
