//! Key derivation: the one block of HKDF-Expand (RFC 5869) behind every key of the format. What goes into `info` is in
//! `labels`.
//!
//! Each key is `HKDF-Expand-SHA256(key, info, 32)`, which is one HMAC: `HMAC-SHA256(key, info ‖ 01)`. So a device that
//! computes HMAC-SHA256 can derive without giving its key away.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretBox};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a master key and of every key derived from it.
pub(crate) const KEY_BYTES: usize = 32;

/// What a key source hands out: `HKDF-Expand(master, info)`, wiped when dropped.
#[derive(Debug)]
pub struct DerivedKey(SecretBox<[u8; KEY_BYTES]>);

impl DerivedKey {
    /// Takes over 32 derived bytes, as a device returned them.
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        DerivedKey(SecretBox::init_with_mut(|key: &mut [u8; KEY_BYTES]| key.copy_from_slice(&*bytes)))
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY_BYTES] {
        self.0.expose_secret()
    }

    /// HMAC-SHA256 (RFC 2104) under this key, over `bytes`.
    pub(crate) fn hmac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        // A key shorter than the block is padded with zeros, by the definition of HMAC.
        let mut block = Zeroizing::new([0; 64]);
        block[..KEY_BYTES].copy_from_slice(self.bytes());
        Hmac::new((&*block).into()).chain_update(bytes)
    }
}

/// `HKDF-Expand-SHA256(PRK = key, info, 32)`, for sources that hold the key in memory.
pub(crate) fn expand(key: &[u8; KEY_BYTES], info: &[u8]) -> DerivedKey {
    #[allow(clippy::expect_used, reason = "32 bytes are a pseudorandom key and one block for every input")]
    let expand = |okm: &mut [u8; KEY_BYTES]| {
        Hkdf::<Sha256>::from_prk(key)
            .and_then(|hkdf| hkdf.expand(info, okm).map_err(|_| hkdf::InvalidPrkLength))
            .expect("one block from a 32-byte key");
    };
    DerivedKey(SecretBox::init_with_mut(expand))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_block_is_one_hmac() {
        let key = DerivedKey::new(Zeroizing::new([7; KEY_BYTES]));
        let mac = key.hmac(b"info\x01").finalize().into_bytes();
        assert_eq!(expand(key.bytes(), b"info").bytes().as_slice(), mac.as_slice());
    }
}
