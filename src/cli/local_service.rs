//! What the service on this machine says of itself: `/readyz` and `/healthz` at the address that the configuration
//! gives the data plane.

use std::time::Duration;

use bulla::keyring::KeyringId;
use serde::{Deserialize, Serialize};
use ureq::{
    Agent,
    tls::TlsConfig,
    unversioned::{
        resolver::DefaultResolver,
        transport::{Connector, RustlsConnector},
    },
};

use super::unix_socket::UnixConnector;
use crate::{
    api::health::KEYRING_ID,
    config::{DataConfig, Listen},
    tls,
};

/// Timeout of the request.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Longer than any answer, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// The answer of `/readyz`.
#[derive(Serialize, Deserialize)]
pub(super) struct Ready {
    pub(super) ready: bool,
    /// Whether the service has the keyring that the question named.
    #[serde(skip_serializing)]
    pub(super) same_keyring: Option<bool>,
    pub(super) degraded: Vec<Failing>,
}

/// What fails, since when and why.
#[derive(Serialize, Deserialize)]
pub(super) struct Failing {
    pub(super) what: String,
    pub(super) since: String,
    pub(super) detail: String,
}

/// How the question ended.
pub(super) enum LocalService {
    Ready(Ready),
    /// Another program answers.
    Stranger,
    Nobody,
}

/// Asks whether the service is ready, and whether it has this keyring.
pub(super) fn ask(data: &DataConfig, keyring: Option<KeyringId>) -> LocalService {
    let query = keyring.map(|id| format!("?{KEYRING_ID}={id}")).unwrap_or_default();
    match get(data, &format!("/readyz{query}")) {
        None => LocalService::Nobody,
        Some((_, answer)) => serde_json::from_str(&answer).map_or(LocalService::Stranger, LocalService::Ready),
    }
}

/// Returns whether the service serves, ready or not.
pub(super) fn is_alive(data: &DataConfig) -> bool {
    get(data, "/healthz").is_some_and(|(status, _)| status == 200)
}

/// Status and body of the answer, if there is one.
fn get(data: &DataConfig, path: &str) -> Option<(u16, String)> {
    // The question holds no secret, and the service's name is not this machine's: to check its certificate would find
    // nothing.
    let tls =
        TlsConfig::builder().unversioned_rustls_crypto_provider(tls::provider()).disable_verification(true).build();
    // No proxy: the service runs on this machine.
    let config = Agent::config_builder()
        .proxy(None)
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .max_redirects(0)
        .tls_config(tls)
        .build();
    let (agent, host) = match &data.listen {
        Listen::None => return None,
        Listen::Tcp(address) => {
            let mut address = *address;
            if address.ip().is_unspecified() {
                let loopback =
                    if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
                address.set_ip(loopback);
            }
            (Agent::from(config), address.to_string())
        }
        Listen::Unix(path) => {
            let connector = ().chain(UnixConnector(path.clone())).chain(RustlsConnector::default());
            (Agent::with_parts(config, connector, DefaultResolver::default()), "127.0.0.1".to_owned())
        }
    };
    let scheme = if data.tls.is_some() { "https" } else { "http" };
    let mut answer = agent.get(format!("{scheme}://{host}{path}")).call().ok()?;
    let body = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_string().ok()?;
    Some((answer.status().as_u16(), body))
}
