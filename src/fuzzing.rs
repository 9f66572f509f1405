//! The way into the service for fuzz targets: the data plane as a function of a request's bytes.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt;

use crate::{
    cli::throw_away,
    deployment::Deployment,
    server::{App, data_router},
};

/// A data plane on a throw-away deployment, without a socket.
pub struct DataPlane {
    runtime: Runtime,
    router: Router,
    _folder: TempDir,
}

impl DataPlane {
    /// Makes the deployment and loads it.
    pub fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let deployment = Deployment::open(&throw_away(folder.path())?)?;
        let router = data_router(Arc::new(App::load(deployment, false)?));
        Ok(DataPlane { runtime: Runtime::new()?, router, _folder: folder })
    }

    /// The status that `POST /v1/verify` answers to this body.
    pub fn verify(&self, body: &[u8]) -> StatusCode {
        let request =
            Request::post("/v1/verify").header("content-type", "application/json").body(Body::from(body.to_vec()));
        let Ok(request) = request else { return StatusCode::BAD_REQUEST };
        self.runtime
            .block_on(self.router.clone().oneshot(request))
            .map_or_else(|never| match never {}, |answer| answer.status())
    }
}
