//! The HTTP client of everything that asks a server with a secret: TLS by aws-lc-rs, no redirects.

use std::sync::Arc;

use ureq::{
    Agent, Proxy,
    config::{Config, ConfigBuilder},
    http::Uri,
    tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem},
    typestate::AgentScope,
    unversioned::{
        resolver::DefaultResolver,
        transport::{ConnectProxyConnector, Connector, RustlsConnector},
    },
};

use crate::{interrupt::Interrupt, proxy, tcp::TcpConnector};

/// The settings of a client for `server`, whose certificate comes from one of `roots`, or from one of the system's. It
/// shows `identity` where the server asks for a certificate.
pub(crate) fn new(
    server: &str,
    roots: Option<Vec<Certificate<'static>>>,
    identity: Option<ClientCert>,
) -> ConfigBuilder<AgentScope> {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        // A redirect would carry the secret to another server.
        .max_redirects(0)
        .max_redirects_will_error(false)
        // So may a proxy that the environment names for others.
        .proxy(chosen_proxy());
    if server.parse::<Uri>().is_ok_and(|uri| uri.scheme_str() == Some("http")) {
        // It is on this machine, and a proxy elsewhere must not see the secret.
        return config.proxy(None);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let roots = roots.unwrap_or_else(|| {
        let found = rustls_native_certs::load_native_certs().certs;
        found.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect()
    });
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .client_cert(identity)
        .unversioned_rustls_crypto_provider(provider)
        .build();
    config.tls_config(tls)
}

/// The client. Its connections notice a server that is gone, and end when they are interrupted.
pub(crate) fn build(config: Config, interrupt: &Interrupt) -> Agent {
    let tcp = TcpConnector(interrupt.clone());
    let connector = ().chain(ConnectProxyConnector::default()).chain(tcp).chain(RustlsConnector::default());
    Agent::with_parts(config, connector, DefaultResolver::default())
}

/// The chosen proxy. Where the text names none, none is asked.
fn chosen_proxy() -> Option<Proxy> {
    proxy::chosen().and_then(|address| Proxy::new(&address).ok())
}

/// The certificates in a PEM text.
pub(crate) fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    parse_pem(pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect()
}

/// A client certificate: a chain in PEM, its own certificate first, and its key.
#[cfg(feature = "follow")]
pub(crate) fn identity(chain: &[u8], key: &[u8]) -> Option<ClientCert> {
    let chain = certificates(chain);
    let key = PrivateKey::from_pem(key).ok()?;
    (!chain.is_empty()).then(|| ClientCert::new_with_certs(&chain, key))
}
