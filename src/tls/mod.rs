//! TLS as the service speaks it (RFC 8446): certificates and keys from files, and what certificates say.

mod client;
mod error;
mod identity;
mod reload;
mod server_config;
mod validity;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub(crate) use self::{
    client::{ClientCertificate, Mapped},
    error::TlsError,
    identity::{Identity, authorities},
    reload::{ListenerTlsError, Tls},
    server_config::ListenerTls,
    validity::Validity,
};

/// The one provider of cryptography below TLS.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
