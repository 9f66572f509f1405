//! One listener's TLS: its certificate, its versions, and the authorities of its clients.

use std::{fmt, sync::Arc, time::Duration};

use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    pki_types::UnixTime,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::SingleCertAndKey,
    version::{TLS12, TLS13},
};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::{ClientCertificate, Identity, TlsError, Validity, authorities, provider};
use crate::config::{TlsConfig, TlsVersion};

/// The protocols above TLS, the preferred one first (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

const NEWER: &[&SupportedProtocolVersion] = &[&TLS13];
const BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// TLS as one listener speaks it, from the files of one moment.
pub(crate) struct ListenerTls {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) validity: Validity,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    /// SHA-256 of all files and settings that it was made from.
    digest: [u8; 32],
}

impl ListenerTls {
    /// Reads and checks the files that `config` names.
    pub(crate) fn load(config: &TlsConfig) -> Result<Self, TlsError> {
        let identity = Identity::read(&config.certificate, &config.key)?;
        let (clients, authorities) = match &config.client_ca {
            Some(path) => {
                let (found, pem) = authorities(path)?;
                let failed = |error: &dyn fmt::Display| TlsError::Authorities(path.clone(), error.to_string());
                let mut roots = RootCertStore::empty();
                found.into_iter().try_for_each(|authority| roots.add(authority)).map_err(|error| failed(&error))?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
                // A client without a certificate may have an API key.
                let verifier = verifier.allow_unauthenticated().build();
                (Some(verifier.map_err(|error| failed(&error))?), pem)
            }
            None => (None, Vec::new()),
        };
        let versions = if config.min_version == TlsVersion::V1_2 { BOTH } else { NEWER };
        let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions)?;
        let builder = match &clients {
            Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
            None => builder.with_no_client_auth(),
        };
        let certified = Arc::clone(&identity.certified);
        let mut server = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        server.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
        let version = format!("{:?}", config.min_version);
        let read =
            [&identity.certificate_pem, identity.key_pem.expose_secret().as_bytes(), &authorities, version.as_bytes()];
        let digest = read.iter().fold(Sha256::new(), |all, one| all.chain_update(Sha256::digest(one)));
        Ok(ListenerTls {
            config: Arc::new(server),
            validity: identity.validity,
            clients,
            digest: digest.finalize().into(),
        })
    }

    /// Returns whether the client's certificate is valid at `now`, in Unix seconds, and leads to one of the
    /// authorities. The handshake checked that, too, but maybe long ago, and against other authorities.
    pub(crate) fn accepts(&self, client: &ClientCertificate, now: u64) -> bool {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        match (&self.clients, client.chain.split_first()) {
            (Some(verifier), Some((own, others))) => verifier.verify_client_cert(own, others, now).is_ok(),
            _ => false,
        }
    }
}

/// Equal where all files and settings were the same.
impl PartialEq for ListenerTls {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl fmt::Debug for ListenerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerTls").field("validity", &self.validity).finish_non_exhaustive()
    }
}
