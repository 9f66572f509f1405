//! A certificate chain and its key, from PEM files (RFC 7468).

use std::{path::Path, sync::Arc};

use rustls::{
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{TlsError, Validity};
use crate::input::file;

/// A chain and its key, which belong together. The text of both is kept for libraries that take nothing else.
pub(crate) struct Identity {
    pub(crate) certified: Arc<CertifiedKey>,
    pub(crate) validity: Validity,
    pub(crate) certificate_pem: Vec<u8>,
    pub(crate) key_pem: SecretString,
}

impl Identity {
    /// Reads both files; the key's may be read by nobody else.
    pub(crate) fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let certificate_pem = read(certificate)?;
        let chain = certificates(certificate, &certificate_pem)?;
        let validity = chain.first().map(|leaf| Validity::of(leaf)).transpose();
        let validity = validity.map_err(|_| TlsError::Certificate(certificate.to_owned()))?;
        let validity = validity.ok_or_else(|| TlsError::NoCertificate(certificate.to_owned()))?;
        let key_pem = bulla::source::read_secret_file(key)?;
        let der = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map(Zeroizing::new);
        let der = der.map_err(|_| match key_pem.contains("ENCRYPTED") {
            true => TlsError::Encrypted(key.to_owned()),
            false => TlsError::NoKey(key.to_owned()),
        })?;
        let signing = any_supported_type(&der).map_err(|_| TlsError::Key(key.to_owned()))?;
        let certified = CertifiedKey::new(chain, signing);
        if certified.keys_match().is_err() {
            return Err(TlsError::Mismatch { certificate: certificate.to_owned(), key: key.to_owned() });
        }
        Ok(Identity {
            certified: Arc::new(certified),
            validity,
            certificate_pem,
            key_pem: SecretString::from(key_pem.as_str()),
        })
    }
}

/// The certificates of authorities, at least one, and the PEM text.
pub(crate) fn authorities(path: &Path) -> Result<(Vec<CertificateDer<'static>>, Vec<u8>), TlsError> {
    let pem = read(path)?;
    Ok((certificates(path, &pem)?, pem))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let read = file::read_bytes(path, file::MAX_FILE).map(|mut bytes| std::mem::take(&mut *bytes));
    read.map_err(|error| TlsError::Read { path: path.to_owned(), error })
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(none) if none.is_empty() => Err(TlsError::NoCertificate(path.to_owned())),
        Ok(all) => Ok(all),
        // The parser's own words quote the line that it stumbled on, which may be of a key.
        Err(_) => Err(TlsError::Certificate(path.to_owned())),
    }
}
