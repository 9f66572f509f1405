//! The seal: AES-256-GCM (NIST SP 800-38D) and XAES-256-GCM (C2SP) over an API key's plaintext. The only folder that
//! names a cipher.

mod gcm;

use aes_gcm::{
    Aes256Gcm,
    aead::{AeadInOut, KeyInit},
};
use serde::{Deserialize, Serialize};
use xaes_256_gcm::Xaes256Gcm;

use self::gcm::Opener;
use crate::{KeyVersion, KeyringId, Realm, derive::Expanded, derive::seal_info, payload, realm};

const TAG: usize = 16;
const NONCE_IN_ID: usize = 12;
const AAD_LABEL: &[u8] = b"bulla/v1\0";
const MAX_AAD: usize = AAD_LABEL.len() + 1 + 4 + realm::MAX_LEN;

/// The algorithm that a key version pins; nothing in an API key chooses one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Suite {
    /// Suite 1, AES-256-GCM with a random 12-byte nonce: up to 2^32 keys per realm and key version.
    #[default]
    #[serde(rename = "aes-256-gcm")]
    Aes256Gcm,
    /// Suite 2, XAES-256-GCM with a random 24-byte nonce: minting without a practical limit.
    #[serde(rename = "xaes-256-gcm")]
    Xaes256Gcm,
}

impl Suite {
    /// Fewest and most bytes of `sealed`, over all suites.
    pub(crate) const MIN_SEALED: usize = payload::MIN_BYTES + TAG;
    pub(crate) const MAX_SEALED: usize = NONCE_IN_ID + payload::MAX_BYTES + TAG;

    /// The suite's number in derivation and associated data.
    pub const fn number(self) -> u8 {
        match self {
            Suite::Aes256Gcm => 1,
            Suite::Xaes256Gcm => 2,
        }
    }

    /// The suite's name, as the keyring document writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Suite::Aes256Gcm => "aes-256-gcm",
            Suite::Xaes256Gcm => "xaes-256-gcm",
        }
    }

    /// Bytes of the nonce: the first 12 stand in the id, further ones before the ciphertext.
    pub(crate) const fn nonce_len(self) -> usize {
        match self {
            Suite::Aes256Gcm => NONCE_IN_ID,
            Suite::Xaes256Gcm => 2 * NONCE_IN_ID,
        }
    }

    /// Whether `sealed` bytes can hold a plaintext of this suite.
    pub(crate) const fn fits(self, sealed: usize) -> bool {
        let overhead = self.nonce_len() - NONCE_IN_ID + TAG;
        sealed >= overhead + payload::MIN_BYTES && sealed <= overhead + payload::MAX_BYTES
    }
}

impl std::fmt::Display for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for Suite {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Suite::Aes256Gcm, Suite::Xaes256Gcm]
            .into_iter()
            .find(|suite| suite.name() == text)
            .ok_or_else(|| "the suites are `aes-256-gcm` and `xaes-256-gcm`".to_owned())
    }
}

/// The seal did not open, or what was to be sealed is too long to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SealBroken;

enum Cipher {
    Aes256Gcm { sealer: Box<Aes256Gcm>, opener: Opener },
    Xaes256Gcm(Xaes256Gcm),
}

/// What HKDF derives for one realm and key version: it seals and opens, and shows itself to no one.
pub(crate) struct SealKey {
    cipher: Cipher,
    aad: [u8; MAX_AAD],
    aad_len: usize,
}

impl SealKey {
    /// The key of one realm and version, from what [`SealKey::info`] expanded to.
    pub(crate) fn new(key: &Expanded, suite: Suite, version: KeyVersion, realm: Realm) -> Self {
        let mut aad = [0; MAX_AAD];
        let mut aad_len = 0;
        for part in [AAD_LABEL, &[suite.number()], &version.to_be_bytes(), realm.as_slice()] {
            aad[aad_len..aad_len + part.len()].copy_from_slice(part);
            aad_len += part.len();
        }
        let cipher = match suite {
            Suite::Aes256Gcm => Cipher::Aes256Gcm {
                sealer: Box::new(Aes256Gcm::new(key.bytes().into())),
                opener: Opener::new(key.bytes(), &aad[..aad_len]),
            },
            Suite::Xaes256Gcm => Cipher::Xaes256Gcm(Xaes256Gcm::new(key.bytes().into())),
        };
        SealKey { cipher, aad, aad_len }
    }

    /// The `info` that a key source expands to this key.
    pub(crate) fn info(keyring: KeyringId, suite: Suite, version: KeyVersion, realm: Realm) -> Vec<u8> {
        seal_info(keyring, suite, version, realm)
    }

    /// Opens `sealed` in place and returns the plaintext inside it.
    #[inline]
    pub(crate) fn open<'a>(&self, nonce: &[u8; NONCE_IN_ID], sealed: &'a mut [u8]) -> Result<&'a [u8], SealBroken> {
        let aad = &self.aad[..self.aad_len];
        match &self.cipher {
            Cipher::Aes256Gcm { opener, .. } => opener.open(nonce, sealed).ok_or(SealBroken),
            Cipher::Xaes256Gcm(cipher) => {
                let (rest, sealed) = sealed.split_first_chunk_mut::<NONCE_IN_ID>().ok_or(SealBroken)?;
                let (text, tag) = sealed.split_last_chunk_mut::<TAG>().ok_or(SealBroken)?;
                let nonce = both(nonce, rest);
                cipher
                    .decrypt_inout_detached((&nonce).into(), aad, (&mut *text).into(), (&*tag).into())
                    .map_err(|_| SealBroken)?;
                Ok(text)
            }
        }
    }

    /// Seals `plaintext` under a nonce that nothing was sealed under before, and returns `N[12..] ‖ ciphertext ‖ tag`.
    pub(crate) fn seal(
        &self,
        nonce: &[u8; NONCE_IN_ID],
        rest: &[u8; NONCE_IN_ID],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, SealBroken> {
        let aad = &self.aad[..self.aad_len];
        let mut sealed = Vec::with_capacity(Suite::MAX_SEALED);
        let tag = match &self.cipher {
            Cipher::Aes256Gcm { sealer, .. } => {
                sealed.extend(plaintext);
                sealer.encrypt_inout_detached(nonce.into(), aad, sealed.as_mut_slice().into())
            }
            Cipher::Xaes256Gcm(cipher) => {
                sealed.extend(rest);
                sealed.extend(plaintext);
                let nonce = both(nonce, rest);
                cipher.encrypt_inout_detached((&nonce).into(), aad, (&mut sealed[NONCE_IN_ID..]).into())
            }
        };
        sealed.extend(tag.map_err(|_| SealBroken)?);
        Ok(sealed)
    }
}

fn both(first: &[u8; NONCE_IN_ID], rest: &[u8; NONCE_IN_ID]) -> [u8; 2 * NONCE_IN_ID] {
    let mut nonce = [0; 2 * NONCE_IN_ID];
    nonce[..NONCE_IN_ID].copy_from_slice(first);
    nonce[NONCE_IN_ID..].copy_from_slice(rest);
    nonce
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey(…)")
    }
}
