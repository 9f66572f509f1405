//! Commands against a running server: `--server URL`, with the admin API key from `BULLA_ADMIN_KEY_FILE` or with a client
//! certificate.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use serde_json::Value;
use ureq::{
    Agent,
    config::ConfigBuilder,
    tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig},
    typestate::AgentScope,
};
use zeroize::Zeroizing;

use crate::{
    input_file,
    tls::{self, Identity, TlsError},
};

/// Far more than an API key has.
const MAX_KEY_FILE: u64 = 8192;

#[derive(Args)]
pub(super) struct ServerArgument {
    /// Ask this server instead of the store and keyring that the configuration names; the admin API key is read from the
    /// file that BULLA_ADMIN_KEY_FILE names
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Trust what the authorities in this PEM file vouch for, in the place of the system's
    #[arg(long, value_name = "FILE", env = "BULLA_CA_FILE")]
    ca: Option<PathBuf>,
    /// Show the server this certificate (PEM, with what leads to its authority), which needs no admin API key
    #[arg(long, value_name = "FILE", env = "BULLA_CLIENT_CERT_FILE")]
    client_cert: Option<PathBuf>,
    /// The key of that certificate (PEM), in a file that nobody else may read
    #[arg(long, value_name = "FILE", env = "BULLA_CLIENT_KEY_FILE")]
    client_key: Option<PathBuf>,
}

impl ServerArgument {
    /// Whether a server is to be asked.
    pub(super) fn is_given(&self) -> bool {
        self.server.is_some()
    }

    /// A client for the admin plane, where a server is to be asked: with the key from `BULLA_ADMIN_KEY_FILE`, which only who
    /// has a certificate can do without.
    pub(super) fn admin(&self) -> Result<Option<Client>, ClientError> {
        let Some(client) = self.anonymous()? else { return Ok(None) };
        let Some(path) = std::env::var_os("BULLA_ADMIN_KEY_FILE").map(PathBuf::from) else {
            return if self.client_cert.is_some() { Ok(Some(client)) } else { Err(ClientError::NoKeyFile) };
        };
        let key = input_file::read(&path, MAX_KEY_FILE).map_err(|error| ClientError::KeyFile { path, error })?;
        Ok(Some(client.showing(&key)))
    }

    /// A client that shows no API key, where a server is to be asked.
    pub(super) fn anonymous(&self) -> Result<Option<Client>, ClientError> {
        let Some(url) = &self.server else { return Ok(None) };
        let identity = match (&self.client_cert, &self.client_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(Identity::read(certificate, key)?),
            _ => return Err(ClientError::HalfAnIdentity),
        };
        if url.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://")) {
            return if identity.is_some() { Err(ClientError::NotTls) } else { Ok(Some(Client::anonymous(url))) };
        }
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(tls::provider())
            .root_certs(RootCerts::new_with_certs(&self.roots()?))
            .client_cert(identity.map(|identity| shown(&identity)).transpose()?)
            .build();
        Ok(Some(Client::new(url, Client::patient().tls_config(tls))))
    }

    fn roots(&self) -> Result<Vec<Certificate<'static>>, ClientError> {
        let found = match &self.ca {
            Some(path) => tls::authorities(path)?.0,
            None => rustls_native_certs::load_native_certs().certs,
        };
        Ok(found.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect())
    }
}

/// A certificate and its key as the HTTP client takes them.
fn shown(identity: &Identity) -> Result<ClientCert, ClientError> {
    let refused = |error: ureq::Error| ClientError::Identity(error.to_string());
    let chain: Vec<_> = identity.certified.cert.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    let key = PrivateKey::from_pem(identity.key_pem.as_bytes()).map_err(refused)?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

/// A server, and the admin API key to show it.
pub(super) struct Client {
    agent: Agent,
    url: String,
    key: Option<Zeroizing<String>>,
}

/// The server did not answer as wished.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error(
        "BULLA_ADMIN_KEY_FILE names no file with the admin API key: set it to the path of one, or give --client-cert and \
         --client-key"
    )]
    NoKeyFile,
    #[error("--client-cert and --client-key go together: a certificate counts for who has its key")]
    HalfAnIdentity,
    #[error("a client certificate is shown over TLS alone: write --server https://…")]
    NotTls,
    #[error("the client certificate cannot be used: {0}")]
    Identity(String),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("cannot read the admin API key from {path}: {error}")]
    KeyFile { path: PathBuf, error: std::io::Error },
    #[error("{url} does not answer: {error}")]
    Unreachable { url: String, error: String },
    #[error("{url} answered {status}: {detail}")]
    Refused { url: String, status: u16, detail: String },
}

impl Client {
    /// A client that shows no key, as data-plane callers do, and speaks no TLS.
    pub(super) fn anonymous(url: &str) -> Self {
        Self::new(url, Self::patient())
    }

    /// The same, showing this key.
    pub(super) fn showing(self, key: &str) -> Self {
        Client { key: Some(Zeroizing::new(key.trim().to_owned())), ..self }
    }

    fn new(url: &str, config: ConfigBuilder<AgentScope>) -> Self {
        Client { agent: config.build().into(), url: url.trim_end_matches('/').to_owned(), key: None }
    }

    fn patient() -> ConfigBuilder<AgentScope> {
        Agent::config_builder()
            .http_status_as_error(false)
            // A redirect would carry the key to another server.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
    }

    /// `GET path`; the answer's JSON.
    pub(super) fn get(&self, path: &str) -> Result<Value, ClientError> {
        let url = format!("{}{path}", self.url);
        let mut request = self.agent.get(&url);
        if let Some(key) = &self.key {
            request = request.header("Authorization", format!("Bearer {}", key.as_str()));
        }
        Self::answer(url, request.call())
    }

    /// `POST path` with a JSON body; the answer's JSON.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        let url = format!("{}{path}", self.url);
        let mut request = self.agent.post(&url);
        if let Some(key) = &self.key {
            request = request.header("Authorization", format!("Bearer {}", key.as_str()));
        }
        Self::answer(url, request.send_json(body))
    }

    /// `DELETE path`; the answer's JSON.
    pub(super) fn delete(&self, path: &str) -> Result<Value, ClientError> {
        let url = format!("{}{path}", self.url);
        let mut request = self.agent.delete(&url);
        if let Some(key) = &self.key {
            request = request.header("Authorization", format!("Bearer {}", key.as_str()));
        }
        Self::answer(url, request.call())
    }

    fn answer(
        url: String,
        response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Value, ClientError> {
        let unreachable = |error: ureq::Error| ClientError::Unreachable { url: url.clone(), error: error.to_string() };
        let mut response = response.map_err(unreachable)?;
        let status = response.status();
        let body: Value = response.body_mut().read_json().map_err(unreachable)?;
        if status.is_success() {
            return Ok(body);
        }
        let detail = body.get("detail").and_then(Value::as_str).unwrap_or("no detail").to_owned();
        Err(ClientError::Refused { url, status: status.as_u16(), detail })
    }
}
