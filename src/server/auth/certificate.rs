//! Callers that authenticate with a client certificate instead of an API key.

use std::sync::Arc;

use axum::http::HeaderMap;

use super::{Caller, browser};
use crate::{
    action::Actor,
    clock,
    config::Plane,
    server::{core::CoreParts, listener::Peer, problem::Problem, snapshot::Snapshot},
    tls::{ClientCertificate, Mapped},
};

/// Identifies the caller by the certificate of the connection. Every request checks it anew: authorities, time and
/// mapping may have changed since the handshake.
pub(in crate::server) fn identify(
    core: &CoreParts,
    snapshot: Arc<Snapshot>,
    headers: &HeaderMap,
    certificate: &ClientCertificate,
    peer: Peer,
    plane: Plane,
) -> Result<Caller, Problem> {
    let refuse = |detail: &str| {
        core.metrics.admin_refused.inc();
        Err(Problem::certificate(detail))
    };
    if browser::may_be_of_another_site(headers) {
        return refuse("a page of another site may have sent this: in a browser present an API key");
    }
    let config = snapshot.config.listeners().into_iter().find(|listener| listener.plane == plane);
    let (Some(tls), Some(config)) = (snapshot.tls().of(plane), config.and_then(|listener| listener.tls)) else {
        return refuse("no client certificates are accepted");
    };
    if !tls.accepts(certificate, clock::now_seconds()) {
        return refuse("the client certificate has expired, or its authority is not trusted any more");
    }
    match certificate.mapped(&config.clients) {
        Mapped::One(name, scopes) => {
            let actor = Actor::certificate(name, peer.0.map(|peer| peer.ip()));
            Ok(Caller::new(Arc::clone(&snapshot), actor, scopes))
        }
        Mapped::Nothing => {
            refuse(&format!("the client certificate's name has no scopes; add it to [{plane}.tls.clients]"))
        }
        Mapped::Several => {
            refuse(&format!("several names of the client certificate have scopes; leave one in [{plane}.tls.clients]"))
        }
    }
}
