//! Sealing to one recipient: HPKE (RFC 9180) in base mode with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and AES-256-GCM.

use rustls::crypto::{
    aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_AES_256 as SUITE,
    hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey},
};
use zeroize::Zeroizing;

use super::SealBroken;

/// Bytes of a public key, and of a private one.
pub(crate) const HPKE_KEY: usize = 32;

/// What only the recipient opens.
pub(crate) struct Sealed {
    pub(crate) encapsulated: Vec<u8>,
    pub(crate) ciphertext: Vec<u8>,
}

/// A new key pair, the public key first.
pub(crate) fn new_key_pair() -> Result<([u8; HPKE_KEY], Zeroizing<[u8; HPKE_KEY]>), SealBroken> {
    let (public, private) = SUITE.generate_key_pair().map_err(|_| SealBroken)?;
    let mut secret = Zeroizing::new([0; HPKE_KEY]);
    match private.secret_bytes() {
        bytes if bytes.len() == HPKE_KEY => secret.copy_from_slice(bytes),
        _ => return Err(SealBroken),
    }
    Ok((public.0.try_into().map_err(|_| SealBroken)?, secret))
}

/// Seals `plaintext` to the holder of the private key, for the use that `info` names.
pub(crate) fn seal(public: &[u8; HPKE_KEY], info: &[u8], plaintext: &[u8]) -> Result<Sealed, SealBroken> {
    let sealed = SUITE.seal(info, &[], plaintext, &HpkePublicKey(public.to_vec()));
    let (encapsulated, ciphertext) = sealed.map_err(|_| SealBroken)?;
    Ok(Sealed { encapsulated: encapsulated.0, ciphertext })
}

/// Opens what was sealed for this use to the public key of `private`.
pub(crate) fn open(
    private: &[u8; HPKE_KEY],
    info: &[u8],
    Sealed { encapsulated, ciphertext }: Sealed,
) -> Result<Zeroizing<Vec<u8>>, SealBroken> {
    let private = HpkePrivateKey::from(private.to_vec());
    let opened = SUITE.open(&EncapsulatedSecret(encapsulated), info, &[], &ciphertext, &private);
    opened.map(Zeroizing::new).map_err(|_| SealBroken)
}
