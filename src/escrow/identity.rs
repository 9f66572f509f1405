//! Decrypts API keys from escrow, on the machine that has the recipient's identity.

use std::{
    io::{self, BufRead, Read},
    iter,
};

use age::{DecryptError, Decryptor, armor::ArmoredReader, scrypt, x25519};
use bulla::{ApiKey, ApiKeyId};
use secrecy::SecretString;
use zeroize::Zeroizing;

/// Longest file of identities, and longest decrypted text.
const MAX_TEXT: usize = 64 << 10;

/// The highest work factor of a passphrase, as a power of two: 4 GiB of memory, as the command `age` allows.
const MAX_WORK: u8 = 22;

/// The identities of a file, one for each recipient that was used.
pub(crate) struct Identity(Vec<x25519::Identity>);

/// An identity cannot be read, or does not decrypt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error(
        "it is not an age identity under a passphrase. Make one with `age-keygen | age -p -o FILE`, or put one under a passphrase with \
         `age -p -o FILE IDENTITY`, and delete the other"
    )]
    Unprotected,
    #[error("the passphrase cannot be read: {0}")]
    NoPassphrase(io::Error),
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    #[error(
        "its passphrase has a work factor of 2^{0}, and at most 2^{MAX_WORK} is allowed: encrypt it again with a passphrase"
    )]
    TooMuchWork(u8),
    #[error("its passphrase opens no identities: there must be lines that begin with AGE-SECRET-KEY-1")]
    NoIdentity,
    #[error("the key is encrypted to {0}, and the identity is of another recipient: name the file of that one")]
    OtherRecipient(String),
    #[error("what is stored for the key was changed or damaged: look into the store")]
    Damaged,
    #[error("what is stored for the key is the API key {0}: somebody changed the store. It is not shown")]
    OtherKey(ApiKeyId),
}

impl Identity {
    /// Decrypts a file of identities with its passphrase, which is asked for only if the file has one.
    pub(crate) fn unlock(
        file: &[u8],
        passphrase: impl FnOnce() -> io::Result<SecretString>,
    ) -> Result<Self, IdentityError> {
        let locked = Decryptor::new_buffered(ArmoredReader::new(file)).map_err(|_| IdentityError::Unprotected)?;
        if !locked.is_scrypt() {
            return Err(IdentityError::Unprotected);
        }
        let passphrase = passphrase().map_err(IdentityError::NoPassphrase)?;
        let mut by_passphrase = scrypt::Identity::new(passphrase);
        by_passphrase.set_max_work_factor(MAX_WORK);
        let lines = read(locked, iter::once(&by_passphrase as _)).map_err(|error| match error {
            DecryptError::ExcessiveWork { required, .. } => IdentityError::TooMuchWork(required),
            _ => IdentityError::WrongPassphrase,
        })?;
        let identities = lines.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let identities: Result<Vec<_>, _> = identities.map(str::parse).collect();
        identities.ok().filter(|all| !all.is_empty()).map(Identity).ok_or(IdentityError::NoIdentity)
    }

    /// Decrypts the API key of this id from its escrow, with the ending that replaced its own, if any.
    pub(crate) fn open(
        &self,
        id: ApiKeyId,
        recipient: &str,
        ciphertext: &str,
        ending: Option<&str>,
    ) -> Result<ApiKey, IdentityError> {
        // A damaged file would look as if it were for somebody else.
        if !self.0.iter().any(|identity| identity.to_public().to_string() == recipient) {
            return Err(IdentityError::OtherRecipient(recipient.to_owned()));
        }
        let mut text = self.decrypt(ciphertext)?;
        if let Some(ending) = ending {
            let ending = self.decrypt(ending)?;
            let kept = text.len().checked_sub(ending.len()).and_then(|kept| text.get(..kept));
            let kept = kept.ok_or(IdentityError::Damaged)?;
            let mut renewed = Zeroizing::new(String::with_capacity(text.len()));
            renewed.push_str(kept);
            renewed.push_str(&ending);
            text = renewed;
        }
        let key: ApiKey = text.parse().map_err(|_| IdentityError::Damaged)?;
        if key.id() == id { Ok(key) } else { Err(IdentityError::OtherKey(key.id())) }
    }

    fn decrypt(&self, armored: &str) -> Result<Zeroizing<String>, IdentityError> {
        let sealed = Decryptor::new_buffered(ArmoredReader::new(armored.as_bytes()));
        let text = sealed.and_then(|sealed| read(sealed, self.0.iter().map(|identity| identity as _)));
        text.map_err(|_| IdentityError::Damaged)
    }
}

/// The decrypted text.
fn read<'a>(
    sealed: Decryptor<impl BufRead>,
    identities: impl Iterator<Item = &'a dyn age::Identity>,
) -> Result<Zeroizing<String>, DecryptError> {
    // As much as may come, so that the buffer never moves and leaves a copy behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_TEXT));
    sealed.decrypt(identities)?.take(MAX_TEXT as u64).read_to_string(&mut text)?;
    Ok(text)
}
