//! Commands against a running server: `--server URL`, with the admin API key from `BULLA_ADMIN_KEY_FILE` or with a client
//! certificate.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use ureq::{
    Agent, Proxy,
    config::ConfigBuilder,
    tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig},
    typestate::AgentScope,
    unversioned::resolver::DefaultResolver,
};

use super::{
    admin_key::{self, AdminKeyError},
    unix_socket::UnixConnector,
};
use crate::tls::{self, Identity, TlsError};

/// Where a server is asked.
#[derive(Clone, Debug)]
enum Address {
    Http(String),
    Https(String),
    Unix(PathBuf),
}

#[derive(Args)]
pub(super) struct ServerArgument {
    /// Ask this server, http://HOST:PORT, https://HOST:PORT or unix:PATH, instead of the store and keyring that the
    /// configuration names; the admin API key is read from the file that BULLA_ADMIN_KEY_FILE names
    #[arg(long, value_name = "URL", value_parser = address)]
    server: Option<Address>,
    /// Ask an https:// server through this proxy, http://HOST:PORT; no other proxy is ever asked
    #[arg(long, value_name = "URL", env = "BULLA_PROXY", hide_env_values = true, value_parser = proxy)]
    proxy: Option<Proxy>,
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

/// The text is not repeated: a URL may hold a password.
fn address(text: &str) -> Result<Address, &'static str> {
    const WRONG: &str = "a server is http://HOST:PORT, https://HOST:PORT or unix:PATH";
    if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
        return Ok(Address::Unix(path.into()));
    }
    let (scheme, rest) = text.split_once("://").ok_or(WRONG)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() || authority.contains('@') || text.parse::<ureq::http::Uri>().is_err() {
        return Err(WRONG);
    }
    let url = text.trim_end_matches('/').to_owned();
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Ok(Address::Http(url)),
        "https" => Ok(Address::Https(url)),
        _ => Err(WRONG),
    }
}

fn proxy(text: &str) -> Result<Proxy, &'static str> {
    Proxy::new(text).map_err(|_| "a proxy is http://HOST:PORT")
}

impl ServerArgument {
    /// Whether a server is to be asked.
    pub(super) fn is_given(&self) -> bool {
        self.server.is_some()
    }

    /// A client for the admin plane, where a server is to be asked: with the key from `BULLA_ADMIN_KEY_FILE`, which only who
    /// has a certificate can do without.
    pub(super) fn admin(&self) -> Result<Option<Client>, ClientError> {
        let Some(client) = self.client()? else { return Ok(None) };
        let client = Client { plane: Plane::Admin, ..client };
        match admin_key::read() {
            Ok(key) => Ok(Some(client.showing(key.expose()))),
            Err(AdminKeyError::Unset) if self.client_cert.is_some() => Ok(Some(client)),
            Err(error) => Err(error.into()),
        }
    }

    /// A client for the data plane that shows no API key, where a server is to be asked.
    pub(super) fn anonymous(&self) -> Result<Option<Client>, ClientError> {
        self.client()
    }

    fn client(&self) -> Result<Option<Client>, ClientError> {
        let Some(address) = &self.server else { return Ok(None) };
        let identity = match (&self.client_cert, &self.client_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(Identity::read(certificate, key)?),
            _ => return Err(ClientError::HalfAnIdentity),
        };
        let url = match address {
            Address::Https(url) => url,
            _ if identity.is_some() => return Err(ClientError::NotTls),
            Address::Http(url) => return Ok(Some(Client::anonymous(url))),
            Address::Unix(path) => {
                let connector = UnixConnector(path.clone());
                let agent = Agent::with_parts(Client::config().build(), connector, DefaultResolver::default());
                let shown = format!("unix:{}", path.display());
                let url = "http://127.0.0.1".to_owned();
                return Ok(Some(Client { agent, url, shown, key: None, plane: Plane::Data }));
            }
        };
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(tls::provider())
            .root_certs(RootCerts::new_with_certs(&self.roots()?))
            .client_cert(identity.map(|identity| shown(&identity)).transpose()?)
            .build();
        Ok(Some(Client::new(url, Client::config().proxy(self.proxy.clone()).tls_config(tls))))
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
    let chain: Vec<_> = identity.certified.cert.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    let key = PrivateKey::from_pem(identity.key_pem.expose_secret().as_bytes()).map_err(|_| ClientError::Identity)?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

/// Which plane a command asks.
#[derive(Clone, Copy, PartialEq)]
enum Plane {
    Data,
    Admin,
}

/// A server, and the admin API key to show it.
pub(super) struct Client {
    agent: Agent,
    url: String,
    /// Its address as it is told.
    shown: String,
    plane: Plane,
    key: Option<SecretString>,
}

/// The server did not answer as wished.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error(transparent)]
    AdminKey(#[from] AdminKeyError),
    #[error("--client-cert and --client-key go together: a certificate counts for who has its key")]
    HalfAnIdentity,
    #[error("a client certificate is shown over TLS alone: write --server https://…")]
    NotTls,
    #[error("the client certificate cannot be used: its key is of a kind that is not spoken here")]
    Identity,
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("{url} does not answer: {error}")]
    Unreachable { url: String, error: String },
    #[error("{url} answered {status}: {detail}")]
    Refused { url: String, status: u16, detail: String },
}

impl Client {
    /// A client that shows no key, as data-plane callers do, and speaks no TLS.
    pub(super) fn anonymous(url: &str) -> Self {
        Self::new(url, Self::config())
    }

    /// The same, showing this key.
    pub(super) fn showing(self, key: &str) -> Self {
        Client { key: Some(SecretString::from(key.trim())), ..self }
    }

    fn new(url: &str, config: ConfigBuilder<AgentScope>) -> Self {
        let (agent, shown) = (config.build().into(), url.to_owned());
        Client { agent, url: url.to_owned(), shown, key: None, plane: Plane::Data }
    }

    fn config() -> ConfigBuilder<AgentScope> {
        Agent::config_builder()
            .http_status_as_error(false)
            // A redirect would carry the key to another server, and so would a proxy that the environment names.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(30)))
    }

    /// `GET path`; the answer's JSON.
    pub(super) fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.send("GET", path, None)
    }

    /// `POST path` with a JSON body; the answer's JSON.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.send("POST", path, Some(body))
    }

    /// `DELETE path`; the answer's JSON.
    pub(super) fn delete(&self, path: &str) -> Result<Value, ClientError> {
        self.send("DELETE", path, None)
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, ClientError> {
        // Whatever was asked, the query may be somebody's text.
        let url = || format!("{}{}", self.shown, path.split('?').next().unwrap_or_default());
        let unreachable =
            |error: &dyn std::fmt::Display| ClientError::Unreachable { url: url(), error: error.to_string() };
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        if let Some(key) = &self.key {
            request = request.header("Authorization", format!("Bearer {}", key.expose_secret()));
        }
        let response = match body {
            Some(body) => {
                let request = request.header("Content-Type", "application/json").body(body.to_string());
                request.map_err(|error| unreachable(&error)).map(|request| self.agent.run(request))?
            }
            None => request.body(()).map_err(|error| unreachable(&error)).map(|request| self.agent.run(request))?,
        };
        let mut response = response.map_err(|error| unreachable(&error))?;
        let status = response.status();
        let body: Value = response.body_mut().read_json().map_err(|error| unreachable(&error))?;
        if status.is_success() {
            return Ok(body);
        }
        let mut detail = body.get("detail").and_then(Value::as_str).unwrap_or("no detail").to_owned();
        let unknown = body.get("type").and_then(Value::as_str) == Some("urn:bulla:problem:not-found");
        match (status.as_u16(), self.plane) {
            (404, Plane::Admin) if unknown => detail += "; this command asks the admin plane: is that the data plane?",
            (401, Plane::Data) => detail += "; this command asks the data plane: is that the admin plane?",
            _ => {}
        }
        Err(ClientError::Refused { url: url(), status: status.as_u16(), detail })
    }
}
