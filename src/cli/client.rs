//! Commands against a running server: `--server URL`, with the admin API key from `BULLA_ADMIN_KEY_FILE`.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use serde_json::Value;
use ureq::Agent;
use zeroize::Zeroizing;

#[derive(Args)]
pub(super) struct ServerArgument {
    /// Ask this server instead of the store and keyring that the configuration names; the admin API key is read from the
    /// file that BULLA_ADMIN_KEY_FILE names
    #[arg(long, value_name = "URL")]
    pub(super) server: Option<String>,
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
    #[error("BULLA_ADMIN_KEY_FILE names no file with the admin API key: set it to the path of one")]
    NoKeyFile,
    #[error("cannot read the admin API key from {path}: {error}")]
    KeyFile { path: PathBuf, error: std::io::Error },
    #[error("{url} does not answer: {error}")]
    Unreachable { url: String, error: String },
    #[error("{url} answered {status}: {detail}")]
    Refused { url: String, status: u16, detail: String },
}

impl Client {
    /// A client that shows no key, as data-plane callers do.
    pub(super) fn anonymous(url: &str) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(30)));
        Client { agent: config.build().into(), url: url.trim_end_matches('/').to_owned(), key: None }
    }

    /// A client that shows this key.
    pub(super) fn with_key(url: &str, key: &str) -> Self {
        Client { key: Some(Zeroizing::new(key.trim().to_owned())), ..Self::anonymous(url) }
    }

    /// A client that shows the key from `BULLA_ADMIN_KEY_FILE`.
    pub(super) fn from_environment(url: &str) -> Result<Self, ClientError> {
        let path: PathBuf = std::env::var_os("BULLA_ADMIN_KEY_FILE").ok_or(ClientError::NoKeyFile)?.into();
        let key = std::fs::read_to_string(&path).map_err(|error| ClientError::KeyFile { path, error })?;
        Ok(Self::with_key(url, &Zeroizing::new(key)))
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
