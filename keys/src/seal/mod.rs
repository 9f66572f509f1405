//! The seal: AES-256-GCM (NIST SP 800-38D) and XAES-256-GCM (C2SP) over an API key's plaintext, and HPKE to an edge. The only
//! folder that names a cipher.

mod gcm;
#[cfg(feature = "follow")]
pub(crate) mod hpke;

use aes_gcm::{
    Aes256Gcm,
    aead::{AeadInOut, KeyInit},
};
use xaes_256_gcm::Xaes256Gcm;

use self::gcm::Opener;
use crate::{
    derive::DerivedKey,
    key_version::KeyVersion,
    keyring_id::KeyringId,
    labels::{self, ASSOCIATED},
    realm::{self, Realm},
    suite::{NONCE_IN_ID, Suite, TAG},
};

const MAX_AAD: usize = ASSOCIATED.len() + 1 + 4 + realm::MAX_LEN;

/// The seal did not open, or the text is too long to be sealed.
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
    pub(crate) fn new(key: &DerivedKey, suite: Suite, version: KeyVersion, realm: Realm) -> Self {
        let mut aad = [0; MAX_AAD];
        let mut aad_len = 0;
        for part in [ASSOCIATED, &[suite.number()], &version.to_be_bytes(), realm.as_slice()] {
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
        labels::seal(keyring, suite, version, realm)
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
