//! The admin plane as a function of an endpoint and a request's body.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use http_body_util::BodyExt;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    cli::throw_away_with_administrator,
    clock,
    deployment::Deployment,
    server::{App, Node, Unbound},
    store::LogTail,
};

/// The endpoints that take a body or a query. `{}` is replaced with the id of an active key.
pub const ENDPOINTS: [(Method, &str); 14] = [
    (Method::POST, "/v1/api-keys"),
    (Method::POST, "/v1/api-keys/batch"),
    (Method::POST, "/v1/api-keys/{}/suspend"),
    (Method::POST, "/v1/api-keys/{}/resume"),
    (Method::POST, "/v1/api-keys/{}/reroll"),
    (Method::POST, "/v1/api-keys/{}/reroll-secret"),
    (Method::POST, "/v1/api-keys/{}/reveal"),
    (Method::POST, "/v1/revocations"),
    (Method::POST, "/v1/keyring/versions"),
    (Method::POST, "/v1/keyring/versions/1/activate"),
    (Method::POST, "/v1/keyring/versions/1/destroy"),
    (Method::GET, "/v1/api-keys?"),
    (Method::GET, "/v1/audit?"),
    (Method::DELETE, "/v1/api-keys/{}?"),
];

/// Calls after which the deployment is replaced, as it grows.
const CALLS: u32 = 5_000;
const APP: &str = "3f2b8c1e-9a7d-4d52-8a55-0123456789ab";

/// An admin plane on a throw-away deployment.
pub struct AdminPlane {
    runtime: Runtime,
    app: Arc<App>,
    plane: Unbound,
    administrator: SecretString,
    calls: u32,
    _folder: TempDir,
}

impl AdminPlane {
    /// Makes the deployment and loads it.
    pub fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let (config, administrator) = throw_away_with_administrator(folder.path())?;
        let mut config = Deployment::open(&config)?.config;
        // No key source is opened that an input names.
        config.keyring.trusted_sources = vec!["file:master-1.key".to_owned()];
        let app = Node::load(Deployment::of(config), false)?.app();
        let plane = Unbound::admin(Arc::clone(&app));
        Ok(AdminPlane { runtime: Runtime::new()?, app, plane, administrator, calls: 0, _folder: folder })
    }

    /// The status that an endpoint answers to this body, or to this query where it takes none.
    pub fn call(&mut self, endpoint: usize, input: &[u8]) -> Result<StatusCode, Box<dyn std::error::Error>> {
        self.calls += 1;
        if self.calls > CALLS {
            *self = Self::new()?;
        }
        let (method, path) = &ENDPOINTS[endpoint % ENDPOINTS.len()];
        let id = if path.contains("{}") { self.issue()? } else { String::new() };
        let path = path.replace("{}", &id);
        let (path, body) = match path.strip_suffix('?') {
            Some(path) => (format!("{path}?{}", query(input)), Vec::new()),
            None => (path, input.to_vec()),
        };
        let (status, _) = self.send(method, &path, body)?;
        if status == StatusCode::UNAUTHORIZED {
            // The administrator's key was revoked by its own hand.
            *self = Self::new()?;
        }
        Ok(status)
    }

    /// Returns whether the service goes on: its log can be read, by itself and from the beginning.
    pub fn goes_on(&self) -> Result<(), Box<dyn std::error::Error>> {
        self.app.catch_up()?;
        LogTail::default().poll(&*self.app.store, clock::now_seconds())?;
        Ok(())
    }

    /// The id of a new key with a secret half.
    fn issue(&self) -> Result<String, Box<dyn std::error::Error>> {
        let body = json!({"realm": "live", "app_id": APP, "expires_in": "1d", "secret": true}).to_string();
        let (status, answer) = self.send(&Method::POST, "/v1/api-keys", body.into_bytes())?;
        let answer: Value = serde_json::from_slice(&answer)?;
        // Without an active version, or under a rule that lies ahead, no key is issued.
        let id = answer.get("api_key_id").and_then(Value::as_str).filter(|_| status == StatusCode::CREATED);
        Ok(id.unwrap_or("live_0000000000000000000000").to_owned())
    }

    fn send(
        &self,
        method: &Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<(StatusCode, Vec<u8>), Box<dyn std::error::Error>> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .header("x-api-key", self.administrator.expose_secret())
            .body(Body::from(body))?;
        self.runtime.block_on(async {
            let answer = self.plane.answer(request).await;
            let status = answer.status();
            Ok((status, answer.into_body().collect().await?.to_bytes().to_vec()))
        })
    }
}

/// The bytes as the query of a request; those that a query cannot have are escaped.
fn query(input: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"&=%._-+:~".contains(&byte);
    input.iter().map(|byte| if plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02x}") }).collect()
}
