//! Errors of TLS files, with what to do about each.

use std::{io, path::PathBuf};

/// A certificate, a key or an authority cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("cannot read {path}: {error}")]
    Read { path: PathBuf, error: io::Error },
    #[error("{0} holds no PEM certificate (-----BEGIN CERTIFICATE-----)")]
    NoCertificate(PathBuf),
    #[error(
        "{0}: invalid certificate: each must be an X.509 certificate in PEM, base64 between -----BEGIN CERTIFICATE----- and \
         -----END CERTIFICATE-----"
    )]
    Certificate(PathBuf),
    #[error(transparent)]
    KeyFile(#[from] bulla::source::SecretFileError),
    #[error("{0} holds no private key in PEM (PKCS #8, PKCS #1 or SEC 1)")]
    NoKey(PathBuf),
    #[error("the key in {0} is encrypted, and no passphrase is asked for: decrypt it, and give the file mode 0600")]
    Encrypted(PathBuf),
    #[error("{0}: not a supported private key (ECDSA P-256, Ed25519, RSA)")]
    Key(PathBuf),
    #[error("{key} is not the key of the first certificate in {certificate}: install both from the same issuance")]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("the authorities in {0} cannot verify client certificates: {1}")]
    Authorities(PathBuf, String),
    #[error("the TLS library refused the configuration: {0}")]
    Library(#[from] rustls::Error),
}
