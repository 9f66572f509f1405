//! Why files do not make TLS, and what to do about it.

use std::{io, path::PathBuf};

/// A certificate, a key or authorities that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("cannot read {path}: {error}")]
    Read { path: PathBuf, error: io::Error },
    #[error("{0} holds no PEM certificate (-----BEGIN CERTIFICATE-----)")]
    NoCertificate(PathBuf),
    #[error(
        "{0} holds no certificate that can be read: each is base64 in lines of its own, between -----BEGIN CERTIFICATE----- and \
         -----END CERTIFICATE-----, as X.509 has it"
    )]
    Certificate(PathBuf),
    #[error(transparent)]
    KeyFile(#[from] bulla::SecretFileError),
    #[error("{0} holds no private key in PEM (PKCS #8, PKCS #1 or SEC 1)")]
    NoKey(PathBuf),
    #[error("the key in {0} is encrypted, and nobody is asked for a passphrase: write it decrypted, with mode 0600")]
    Encrypted(PathBuf),
    #[error("{0} holds a key that is none, or of a kind that is not spoken here: use ECDSA P-256, Ed25519 or RSA")]
    Key(PathBuf),
    #[error("{key} is not the key of the first certificate in {certificate}: put both in place from one issue")]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("client certificates cannot be verified by what is in {0}: {1}")]
    Authorities(PathBuf, String),
    #[error("the TLS library refuses this: {0}")]
    Library(#[from] rustls::Error),
}
