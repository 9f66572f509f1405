//! The seal: AES-256-GCM (NIST SP 800-38D) and XAES-256-GCM (C2SP) over an API key's plaintext, and HPKE to an edge.
//! The only folder that names a cipher.

mod gcm;
#[cfg(feature = "follow")]
pub(crate) mod hpke;

use aes_gcm::{
    Aes256Gcm,
    aead::{AeadInOut, KeyInit},
};
use xaes_256_gcm::Xaes256Gcm;

use crate::{
    derive::DerivedKey,
    key_version::KeyVersion,
    keyring_id::KeyringId,
    labels::{self, ASSOCIATED},
    realm::{self, Realm},
    suite::{NONCE_IN_ID, Suite, TAG},
    vector::{Body, GcmOpener, ID, LANES, Level, PLAIN_SEALED, XaesOpener},
};

const MAX_AAD: usize = ASSOCIATED.len() + 1 + 4 + realm::MAX_LEN;

/// Fewer keys take longer side by side than one by one.
const FEWEST: u32 = 4;

/// The seal did not open, or the text is too long to be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SealBroken;

enum Cipher {
    Aes256Gcm { sealer: Box<Aes256Gcm>, opener: Opener },
    Xaes256Gcm { cipher: Box<Xaes256Gcm>, opener: Option<XaesOpener> },
}

/// What opens suite 1. Where the processor has instructions for it they are spelled out for what keys look like;
/// elsewhere there are the crates.
enum Opener {
    Vector(GcmOpener),
    Portable(Box<gcm::Opener>),
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
        let (level, associated) = (Level::here(), &aad[..aad_len]);
        let cipher = match suite {
            Suite::Aes256Gcm => Cipher::Aes256Gcm {
                sealer: Box::new(Aes256Gcm::new(key.bytes().into())),
                opener: match GcmOpener::new(level, key.bytes(), associated) {
                    Some(opener) => Opener::Vector(opener),
                    None => Opener::Portable(Box::new(gcm::Opener::new(key.bytes(), associated))),
                },
            },
            Suite::Xaes256Gcm => Cipher::Xaes256Gcm {
                cipher: Box::new(Xaes256Gcm::new(key.bytes().into())),
                opener: XaesOpener::new(level, key.bytes(), associated),
            },
        };
        SealKey { cipher, aad, aad_len }
    }

    /// The `info` that a key source expands to this key.
    pub(crate) fn info(keyring: KeyringId, suite: Suite, version: KeyVersion, realm: Realm) -> Vec<u8> {
        labels::seal(keyring, suite, version, realm)
    }

    /// Returns whether `sealed` bytes can hold a plaintext of its suite.
    #[inline]
    pub(crate) fn fits(&self, sealed: usize) -> bool {
        match self.cipher {
            Cipher::Aes256Gcm { .. } => Suite::Aes256Gcm.fits(sealed),
            Cipher::Xaes256Gcm { .. } => Suite::Xaes256Gcm.fits(sealed),
        }
    }

    /// Opens the `sealed` bytes behind the body's id in place, and returns whether they opened.
    #[inline(always)]
    #[must_use]
    pub(crate) fn open(&self, body: &mut Body, sealed: usize) -> bool {
        match &self.cipher {
            Cipher::Aes256Gcm { opener: Opener::Vector(opener), .. } => opener.open(body, sealed),
            Cipher::Xaes256Gcm { opener: Some(opener), .. } => opener.open(body, sealed),
            _ => self.open_portably(body, sealed).is_some(),
        }
    }

    /// The same for the bodies of keys without claims that have a bit in `wanted`, all at once where the processor can.
    /// Each that opens has a bit in the result.
    pub(crate) fn open_plain(&self, bodies: &mut [Body; LANES], wanted: u8) -> u8 {
        if wanted.count_ones() >= FEWEST
            && let Cipher::Aes256Gcm { opener: Opener::Vector(opener), .. } = &self.cipher
            && let Some(opened) = opener.open_plain(bodies, wanted)
        {
            return opened;
        }
        let mut opened = 0;
        for (at, body) in bodies.iter_mut().enumerate() {
            let opens = wanted >> at & 1 == 1 && self.open(body, PLAIN_SEALED);
            opened |= u8::from(opens) << at;
        }
        opened
    }

    /// The plaintext in a body that was opened.
    #[inline]
    pub(crate) fn opened<'a>(&self, body: &'a Body, sealed: usize) -> &'a [u8] {
        let before = match &self.cipher {
            Cipher::Aes256Gcm { .. } => 0,
            Cipher::Xaes256Gcm { .. } => NONCE_IN_ID,
        };
        body.bytes().get(ID + before..(ID + sealed).saturating_sub(TAG)).unwrap_or_default()
    }

    /// What crates do where the processor has nothing for it.
    #[inline(never)]
    fn open_portably(&self, body: &mut Body, sealed: usize) -> Option<()> {
        let (nonce, sealed) = body.nonce_and_sealed(sealed)?;
        match &self.cipher {
            Cipher::Aes256Gcm { opener: Opener::Portable(opener), .. } => opener.open(nonce, sealed).map(|_| ()),
            Cipher::Aes256Gcm { opener: Opener::Vector(_), .. } => None,
            Cipher::Xaes256Gcm { cipher, .. } => {
                let (rest, sealed) = sealed.split_first_chunk_mut::<NONCE_IN_ID>()?;
                let (text, tag) = sealed.split_last_chunk_mut::<TAG>()?;
                let (nonce, aad) = (both(nonce, rest), &self.aad[..self.aad_len]);
                cipher.decrypt_inout_detached((&nonce).into(), aad, text.into(), (&*tag).into()).ok()
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
            Cipher::Xaes256Gcm { cipher, .. } => {
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
