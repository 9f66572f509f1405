//! TLS to the server, as tokio-postgres asks for it: rustls with our authorities and our certificate, and the channel
//! binding of SCRAM (RFC 5929, tls-server-end-point).

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use rustls::{ClientConfig, RootCertStore, pki_types::ServerName, version::TLS12, version::TLS13};
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use x509_cert::der::{Decode, asn1::ObjectIdentifier};

use crate::{
    config::StoreTls,
    tls::{self, Identity, TlsError},
};

/// ALPN of PostgreSQL, which a server that speaks TLS from the first byte asks for.
const ALPN: &[u8] = b"postgresql";

/// Makes connections to servers; without a configuration none.
#[derive(Clone)]
pub(super) struct Connector(Option<Arc<ClientConfig>>);

impl Connector {
    /// Reads the files of TLS, unless it is off.
    pub(super) fn new(on: bool, files: &StoreTls) -> Result<Self, TlsError> {
        if !on {
            return Ok(Connector(None));
        }
        let mut roots = RootCertStore::empty();
        match &files.ca {
            Some(path) => {
                let (authorities, _) = tls::authorities(path)?;
                for authority in authorities {
                    roots.add(authority)?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let builder = ClientConfig::builder_with_provider(tls::provider()).with_protocol_versions(&[&TLS13, &TLS12])?;
        let builder = builder.with_root_certificates(roots);
        let mut config = match (&files.certificate, &files.key) {
            (Some(certificate), Some(key)) => {
                let identity = Identity::read(certificate, key)?;
                builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(identity.certified)))
            }
            _ => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Connector(Some(Arc::new(config))))
    }
}

impl<S> MakeTlsConnect<S> for Connector
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type TlsConnect = ToServer;
    type Error = io::Error;

    fn make_tls_connect(&mut self, name: &str) -> io::Result<ToServer> {
        let Some(config) = self.0.clone() else { return Ok(ToServer(None)) };
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        Ok(ToServer(Some((config, name))))
    }
}

/// A connection that is about to be encrypted.
pub(super) struct ToServer(Option<(Arc<ClientConfig>, ServerName<'static>)>);

impl<S> TlsConnect<S> for ToServer
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let (config, name) = self.0.ok_or_else(|| io::Error::other("TLS is off for this server"))?;
            Ok(Stream(tokio_rustls::TlsConnector::from(config).connect(name, stream).await?))
        })
    }
}

/// An encrypted connection.
pub(super) struct Stream<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Stream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        let certificates = self.0.get_ref().1.peer_certificates();
        let end_point = certificates.and_then(|chain| chain.first()).and_then(|leaf| end_point(leaf));
        end_point.map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// The hash of a certificate that SCRAM binds to: by the hash of its signature, SHA-256 for the weak ones. `None` for
/// signatures without a hash of their own, such as Ed25519, for which RFC 5929 defines none.
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    const SHA256: [&str; 5] = [
        "1.2.840.113549.1.1.4",
        "1.2.840.113549.1.1.5",
        "1.2.840.113549.1.1.11",
        "1.2.840.10045.4.1",
        "1.2.840.10045.4.3.2",
    ];
    const SHA384: [&str; 2] = ["1.2.840.113549.1.1.12", "1.2.840.10045.4.3.3"];
    const SHA512: [&str; 2] = ["1.2.840.113549.1.1.13", "1.2.840.10045.4.3.4"];
    let signature = x509_cert::Certificate::from_der(certificate).ok()?.signature_algorithm().oid;
    let is = |known: &[&str]| known.iter().any(|oid| ObjectIdentifier::new_unwrap(oid) == signature);
    if is(&SHA256) {
        Some(Sha256::digest(certificate).to_vec())
    } else if is(&SHA384) {
        Some(Sha384::digest(certificate).to_vec())
    } else if is(&SHA512) {
        Some(Sha512::digest(certificate).to_vec())
    } else {
        None
    }
}
