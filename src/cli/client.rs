//! The HTTP client of the commands: `--server URL`, with the admin API key from `BULLA_ADMIN_KEY_FILE` or with a client
//! certificate.

use std::{path::PathBuf, time::Duration};

use bulla::{
    Realm,
    feed::{FollowerError, HttpSource},
};
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
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
    tls_trouble,
    unix_socket::UnixConnector,
};
use crate::tls::{self, Identity, TlsError};

/// The address of a server.
#[derive(Clone, Debug)]
enum Address {
    Http(String),
    Https(String),
    Unix(PathBuf),
}

#[derive(Args)]
pub(super) struct ServerArgument {
    /// Ask this server (http://HOST:PORT, https://HOST:PORT or unix:PATH) instead of the store and keyring that the
    /// configuration names; BULLA_ADMIN_KEY_FILE names the file with the admin API key
    #[arg(long, value_name = "URL", value_parser = address, help_heading = HEADING)]
    server: Option<Address>,
    /// Ask an https:// server through this proxy, http://HOST:PORT; the usual proxy variables are ignored
    #[arg(long, value_name = "URL", env = "BULLA_PROXY", hide_env_values = true, value_parser = proxy, help_heading = HEADING)]
    proxy: Option<Proxy>,
    /// Trust the authorities in this PEM file instead of the system's
    #[arg(long, value_name = "FILE", env = "BULLA_CA_FILE", help_heading = HEADING)]
    ca: Option<PathBuf>,
    /// Authenticate with this certificate chain (PEM) instead of an admin API key
    #[arg(long, value_name = "FILE", env = "BULLA_CLIENT_CERT_FILE", help_heading = HEADING)]
    client_cert: Option<PathBuf>,
    /// The private key of that certificate (PEM), in a file that only its owner may read
    #[arg(long, value_name = "FILE", env = "BULLA_CLIENT_KEY_FILE", help_heading = HEADING)]
    client_key: Option<PathBuf>,
}

const HEADING: &str = "Server options";

/// Timeout of a request that the server answers at once.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Parses the address. The error does not repeat the text, because a URL may hold a password.
fn address(text: &str) -> Result<Address, &'static str> {
    const WRONG: &str = "a server is http://HOST:PORT, https://HOST:PORT or unix:PATH";
    if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
        return Ok(Address::Unix(path.into()));
    }
    let (scheme, rest) = text.split_once("://").ok_or(WRONG)?;
    let authority = rest.split('/').next().unwrap_or_default();
    // A query would be in the way of the paths that are asked for, and may hold a secret.
    if authority.is_empty() || rest.contains(['@', '?', '#']) || text.parse::<ureq::http::Uri>().is_err() {
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
    /// A client for the admin plane, if `--server` was given. It sends the key from `BULLA_ADMIN_KEY_FILE`, which is
    /// optional with a client certificate.
    pub(super) fn admin(&self) -> Result<Option<Client>, ClientError> {
        let Some(client) = self.client()? else { return Ok(None) };
        let client = Client { plane: Plane::Admin, ..client };
        match admin_key::read() {
            Ok(key) => Ok(Some(client.sending(key.expose()))),
            Err(AdminKeyError::Unset) if self.client_cert.is_some() => Ok(Some(client)),
            Err(error) => Err(error.into()),
        }
    }

    /// A client for the data plane, if `--server` was given. It sends no admin API key.
    pub(super) fn anonymous(&self) -> Result<Option<Client>, ClientError> {
        self.client()
    }

    /// The revocation feed of the data plane, if `--server` was given, with the API key from `BULLA_ADMIN_KEY_FILE`.
    pub(super) fn feed(&self, realm: Option<Realm>) -> Result<Option<HttpSource>, ClientError> {
        let Some(address) = &self.server else { return Ok(None) };
        let (Address::Http(url) | Address::Https(url)) = address else { return Err(ClientError::FeedOverSocket) };
        let mut source = HttpSource::new(&format!("{url}/v1/revocations"), &admin_key::read()?)?.realm(realm);
        if let Some(path) = &self.ca {
            source = source.trusting_roots(&tls::authorities(path)?.1)?;
        }
        match (&self.client_cert, &self.client_key) {
            (None, None) => Ok(Some(source)),
            (Some(certificate), Some(key)) => {
                let identity = Identity::read(certificate, key)?;
                Ok(Some(source.showing(&identity.certificate_pem, identity.key_pem.expose_secret().as_bytes())?))
            }
            _ => Err(ClientError::HalfAnIdentity),
        }
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
            .client_cert(identity.map(|identity| client_certificate(&identity)).transpose()?)
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
fn client_certificate(identity: &Identity) -> Result<ClientCert, ClientError> {
    let chain: Vec<_> = identity.certified.cert.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    let key = PrivateKey::from_pem(identity.key_pem.expose_secret().as_bytes()).map_err(|_| ClientError::Identity)?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

/// Which plane a command asks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Plane {
    Data,
    Admin,
}

/// A server, and the admin API key to send.
pub(super) struct Client {
    agent: Agent,
    url: String,
    /// Its address in errors.
    shown: String,
    plane: Plane,
    key: Option<SecretString>,
}

/// A request to a server failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error(transparent)]
    AdminKey(#[from] AdminKeyError),
    #[error("--client-cert and --client-key go together: name both")]
    HalfAnIdentity,
    #[error("a client certificate needs TLS: write --server https://…")]
    NotTls,
    #[error("the private key of the client certificate is not supported: use ECDSA P-256, Ed25519 or RSA")]
    Identity,
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the feed is read over http:// or https://, not over a Unix socket: write --server http://127.0.0.1:PORT")]
    FeedOverSocket,
    #[error(transparent)]
    Feed(#[from] FollowerError),
    #[error("{url} does not answer: {error}")]
    Unreachable { url: String, error: String },
    #[error("{url} cannot be asked: {trouble}")]
    Connection { url: String, trouble: String },
    #[error(
        "{url} answered in a form that this version of bulla does not know ({error}): compare the versions of command and server"
    )]
    Answer { url: String, error: String },
    #[error("{url} answered {status}: {}", problem.detail)]
    Refused { url: String, status: u16, plane: Plane, problem: Problem },
}

/// What the client reads of a problem document (RFC 9457).
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(super) struct Problem {
    pub(super) r#type: String,
    pub(super) detail: String,
}

impl Default for Problem {
    fn default() -> Self {
        Problem { r#type: String::new(), detail: "no reason in the form that bulla sends".to_owned() }
    }
}

impl Client {
    /// A client without TLS that sends no admin API key.
    pub(super) fn anonymous(url: &str) -> Self {
        Self::new(url, Self::config())
    }

    /// The same, sending this key.
    pub(super) fn sending(self, key: &str) -> Self {
        Client { key: Some(SecretString::from(key.trim())), ..self }
    }

    fn new(url: &str, config: ConfigBuilder<AgentScope>) -> Self {
        let (agent, shown) = (config.build().into(), url.to_owned());
        Client { agent, url: url.to_owned(), shown, key: None, plane: Plane::Data }
    }

    fn config() -> ConfigBuilder<AgentScope> {
        Agent::config_builder()
            .http_status_as_error(false)
            // A redirect, or a proxy that the environment names, would send the key to another server.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_global(Some(TIMEOUT))
    }

    fn within<B: ureq::AsSendBody>(&self, request: ureq::http::Request<B>, wait: Duration) -> ureq::http::Request<B> {
        self.agent.configure_request(request).timeout_global(Some(TIMEOUT + wait)).build()
    }

    /// Asks with these headers; the answer, whatever its status.
    pub(super) fn ask(
        &self,
        path: &str,
        headers: &[(String, String)],
    ) -> Result<ureq::http::Response<ureq::Body>, ClientError> {
        let mut request = ureq::http::Request::builder().uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            // A value that no header can hold cannot be a key, but it counts as a credential.
            let value = ureq::http::HeaderValue::from_str(value).unwrap_or(ureq::http::HeaderValue::from_static("?"));
            request = request.header(name, value);
        }
        let failed = |error: ureq::Error| failed(&self.shown, &error);
        let request = request.body(()).map_err(|error| failed(error.into()))?;
        self.agent.run(request).map_err(failed)
    }

    /// Sends a request with a JSON body or none; the answer's JSON.
    pub(super) fn send<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, ClientError> {
        self.send_and_wait(method, path, body, Duration::ZERO)
    }

    /// The same, where the server may take longer by `wait`.
    pub(super) fn send_and_wait<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        wait: Duration,
    ) -> Result<T, ClientError> {
        // Without the query, which may hold a text of the user.
        let url = format!("{}{}", self.shown, path.split('?').next().unwrap_or_default());
        let failed = |error: ureq::Error| failed(&url, &error);
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        if let Some(key) = &self.key {
            request = request.header("Authorization", format!("Bearer {}", key.expose_secret()));
        }
        let sent = match body {
            Some(body) => request
                .header("Content-Type", "application/json")
                .body(body.to_string())
                .map_err(|error| failed(error.into()))
                .map(|request| self.agent.run(self.within(request, wait)))?,
            None => request
                .body(())
                .map_err(|error| failed(error.into()))
                .map(|request| self.agent.run(self.within(request, wait)))?,
        };
        let mut response = sent.map_err(failed)?;
        let status = response.status();
        if status.is_success() {
            let answer = response.body_mut().read_json();
            return answer.map_err(|error| ClientError::Answer { url, error: error.to_string() });
        }
        let problem = response.body_mut().read_json().unwrap_or_else(|_| Problem::default());
        Err(ClientError::Refused { url, status: status.as_u16(), plane: self.plane, problem })
    }
}

/// The error of a request that got no answer.
fn failed(url: &str, error: &ureq::Error) -> ClientError {
    let url = url.to_owned();
    match tls_trouble::trouble(&url, error) {
        Some(trouble) => ClientError::Connection { url, trouble },
        None => ClientError::Unreachable { url, error: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn a_server_is_an_address_and_nothing_that_may_be_a_secret() {
        for right in ["http://127.0.0.1:8080", "https://keys.example/bulla/", "unix:/run/bulla/admin.sock"] {
            assert!(address(right).is_ok(), "{right}");
        }
        for wrong in
            ["http://h:1/?token=s", "http://h:1#s", "http://user:s@h", "http://h/a@b", "ftp://h", "unix:", "h:1"]
        {
            let error = address(wrong).expect_err(wrong);
            assert!(!error.contains("token"), "{error}");
        }
    }
}
