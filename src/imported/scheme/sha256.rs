//! SHA-256 (FIPS 180-4), of a key and a salt in either order.

use sha2::{Digest, Sha256};

use super::DIGEST;

pub(super) fn digest<const N: usize>(parts: [&[u8]; N]) -> [u8; DIGEST] {
    let hash = parts.into_iter().fold(Sha256::new(), |hash, part| hash.chain_update(part));
    hash.finalize().into()
}
