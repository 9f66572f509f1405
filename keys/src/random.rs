//! Randomness from the operating system's generator.

use rand::{TryRng, rngs::SysRng};

/// The operating system's random generator failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the random generator failed: {0}")]
pub struct RandomError(String);

/// As many random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(|error| RandomError(error.to_string()))?;
    Ok(bytes)
}
