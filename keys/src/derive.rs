//! Key derivation: the labels of what is derived from a key (what is sealed along, and what secret halves are bound to, have
//! theirs in `seal` and `secret`), and the one block of HKDF-Expand (RFC 5869) behind them.
//!
//! Each value is `HKDF-Expand-SHA256(key, info, 32)`, which is one HMAC: `HMAC-SHA256(key, info ‖ 01)`. So a device that
//! computes HMAC-SHA256 can derive without giving its key away.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{KeyVersion, KeyringId, Realm, seal::Suite};

/// Bytes of a master key and of everything derived from it.
pub(crate) const KEY_BYTES: usize = 32;

/// What a key source hands out: `HKDF-Expand(master, info)`, wiped when dropped.
pub struct Expanded(Zeroizing<[u8; KEY_BYTES]>);

impl Expanded {
    /// Takes over 32 derived bytes, as a device returned them.
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Expanded(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// HMAC-SHA256 (RFC 2104) under this key, over `bytes`.
    pub(crate) fn hmac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        // A key shorter than the block is padded with zeros, by the definition of HMAC.
        let mut block = Zeroizing::new([0; 64]);
        block[..KEY_BYTES].copy_from_slice(self.bytes());
        Hmac::new((&*block).into()).chain_update(bytes)
    }
}

impl std::fmt::Debug for Expanded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Expanded(…)")
    }
}

/// `HKDF-Expand-SHA256(PRK = key, info, 32)`, for sources that hold the key in memory.
pub(crate) fn expand(key: &[u8; KEY_BYTES], info: &[u8]) -> Expanded {
    let mut okm = Zeroizing::new([0; KEY_BYTES]);
    #[allow(clippy::expect_used, reason = "32 bytes are a pseudorandom key and one block for every input")]
    Hkdf::<Sha256>::from_prk(key)
        .and_then(|hkdf| hkdf.expand(info, okm.as_mut_slice()).map_err(|_| hkdf::InvalidPrkLength))
        .expect("one block from a 32-byte key");
    Expanded(okm)
}

/// `info` of the seal key of one realm and key version.
pub(crate) fn seal_info(keyring: KeyringId, suite: Suite, version: KeyVersion, realm: Realm) -> Vec<u8> {
    let mut info = label("bulla/v1 seal", keyring);
    info.push(suite.number());
    info.extend(version.to_be_bytes());
    info.extend(realm.as_slice());
    info
}

/// `info` of the key-check value, whose first 8 bytes tell a wrong master key from the right one.
pub(crate) fn key_check_info(keyring: KeyringId, version: KeyVersion) -> Vec<u8> {
    let mut info = label("bulla/v1 kcv", keyring);
    info.extend(version.to_be_bytes());
    info
}

/// `info` of the key that authenticates the keyring document.
pub(crate) fn keyring_mac_info(keyring: KeyringId) -> Vec<u8> {
    label("bulla/v1 keyring-mac", keyring)
}

/// What stands before the signed bytes of a message of the revocation feed.
#[cfg(feature = "follow")]
pub(crate) fn feed_prefix(keyring: KeyringId) -> Vec<u8> {
    label("bulla/v1 feed", keyring)
}

/// `info` of the pepper, the key that hashes secret halves.
pub(crate) fn pepper_info(keyring: KeyringId, version: KeyVersion) -> Vec<u8> {
    let mut info = label("bulla/v1 pepper", keyring);
    info.extend(version.to_be_bytes());
    info
}

fn label(name: &str, keyring: KeyringId) -> Vec<u8> {
    let mut info = name.as_bytes().to_vec();
    info.push(0);
    info.extend(keyring.as_bytes());
    info
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_block_is_one_hmac() {
        let key = Expanded::new(Zeroizing::new([7; KEY_BYTES]));
        let mac = key.hmac(b"info\x01").finalize().into_bytes();
        assert_eq!(expand(key.bytes(), b"info").bytes().as_slice(), mac.as_slice());
    }
    #[test]
    fn the_pepper_of_the_worked_example_comes_out_to_the_letter() {
        let [source, id]: [Vec<u8>; 2] = [(0xc0..0xe0).collect(), (0xa0..0xb0).collect()];
        let keyring = KeyringId::from_bytes(id.try_into().expect("16 bytes"));
        let info = pepper_info(keyring, KeyVersion::FIRST);
        let pepper = expand(&source.try_into().expect("32 bytes"), &info);
        let written = "db827bec287a2fba499c840155574ebc88fe4cc02bc3730a59f3e1b92c7574a4";
        let spelled: String = pepper.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(spelled, written);
    }
}
