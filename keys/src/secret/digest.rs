//! The digest of a secret half: what the schemes store or hash further.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::SealBinding;
use crate::key_version::KeyVersion;

/// Bytes of a digest, and of what is stored of it.
pub(super) const BYTES: usize = 32;

/// `h = HMAC-SHA256(P, s ‖ SHA-256(realm "_" body))`: a secret half `s`, bound to its sealed text, under one version of
/// the pepper. Wiped when dropped.
pub struct SecretDigest {
    h: Zeroizing<[u8; BYTES]>,
    pepper: KeyVersion,
}

impl SecretDigest {
    /// From an HMAC that has taken in the secret half.
    pub(super) fn new(mac: Hmac<Sha256>, bound_to: &SealBinding, pepper: KeyVersion) -> Self {
        let mut tag = mac.chain_update(bound_to.digest()).finalize().into_bytes();
        let mut h = Zeroizing::new([0; BYTES]);
        h.copy_from_slice(&tag);
        zeroize::Zeroize::zeroize(tag.as_mut_slice());
        SecretDigest { h, pepper }
    }

    /// The version of the pepper it was made under.
    pub fn pepper_version(&self) -> KeyVersion {
        self.pepper
    }

    pub(super) fn bytes(&self) -> &Zeroizing<[u8; BYTES]> {
        &self.h
    }
}

impl std::fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretDigest(…)")
    }
}
