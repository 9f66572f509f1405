//! The data plane as a function of a request's bytes.

use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use http_body_util::BodyExt;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    cli::throw_away,
    deployment::Deployment,
    server::{Node, Unbound},
};

/// A data plane on a throw-away deployment.
pub struct DataPlane {
    runtime: Runtime,
    plane: Unbound,
    _folder: TempDir,
}

/// What gRPC answers.
pub struct GrpcAnswer {
    /// The status of HTTP.
    pub http: StatusCode,
    /// The status of gRPC.
    pub grpc: Option<i32>,
    /// The message, in its frame.
    pub message: Vec<u8>,
}

impl DataPlane {
    /// Makes the deployment and loads it.
    pub fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let deployment = Deployment::open(&throw_away(folder.path())?)?;
        let plane = Unbound::data(Node::load(deployment, false)?.app());
        Ok(DataPlane { runtime: Runtime::new()?, plane, _folder: folder })
    }

    /// The status that `POST /v1/verify` answers to this body.
    pub fn verify(&self, body: &[u8]) -> StatusCode {
        let Ok(request) = post("/v1/verify", "application/json", body) else { return StatusCode::BAD_REQUEST };
        self.runtime.block_on(self.plane.answer(request)).status()
    }

    /// What gRPC `Check` answers to this body.
    pub fn check(&self, body: &[u8]) -> Result<GrpcAnswer, Box<dyn std::error::Error>> {
        let request = post("/envoy.service.auth.v3.Authorization/Check", "application/grpc", body)?;
        self.runtime.block_on(async {
            let (head, body) = self.plane.answer(request).await.into_parts();
            let collected = body.collect().await?;
            // Without a message the status comes first.
            let grpc = grpc_status(&head.headers).or_else(|| collected.trailers().and_then(grpc_status));
            Ok(GrpcAnswer { http: head.status, grpc, message: collected.to_bytes().to_vec() })
        })
    }
}

fn post(path: &str, content_type: &str, body: &[u8]) -> axum::http::Result<Request<Body>> {
    Request::post(path).header("content-type", content_type).body(Body::from(body.to_vec()))
}

fn grpc_status(headers: &HeaderMap) -> Option<i32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}
