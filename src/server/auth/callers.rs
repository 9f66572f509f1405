//! Who may introspect API keys on the data plane.

use axum::http::HeaderMap;

use super::{Caller, identify};
use crate::server::{core::CoreParts, listener::Peer, problem::Problem};

/// The callers of one process.
pub(in crate::server) enum Callers {
    /// Those with an API key of the realm `bulla`.
    Administrators,
}

impl Callers {
    /// Identifies the caller of a request.
    pub(in crate::server) async fn identify(
        &self,
        core: &CoreParts,
        headers: &HeaderMap,
        peer: Peer,
    ) -> Result<Caller, Problem> {
        match self {
            Callers::Administrators => identify(core, headers, peer).await,
        }
    }
}
