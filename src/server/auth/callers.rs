//! Who may introspect API keys on the data plane.

use axum::http::HeaderMap;
use bulla::layer::CredentialRules;
use ctutils::CtEq;
use sha2::{Digest, Sha256};

use super::{Caller, browser, certificate, identify, presented};
use crate::{
    action::Actor,
    config::Plane,
    scope::Scope,
    server::{core::CoreParts, listener::Peer, problem::Problem},
    tls::ClientCertificate,
};

/// The callers of one process.
pub(in crate::server) enum Callers {
    /// Those with an API key of the realm `bulla`.
    Administrators,
    /// Those whose token or certificate the configuration lists: an edge has no key of the realm `bulla`.
    Listed,
}

impl Callers {
    /// Identifies the caller of a request.
    pub(in crate::server) async fn identify(
        &self,
        core: &CoreParts,
        headers: &HeaderMap,
        client: Option<&ClientCertificate>,
        peer: Peer,
    ) -> Result<Caller, Problem> {
        match self {
            Callers::Administrators => identify(core, headers, peer).await,
            Callers::Listed => match client.filter(|_| !CredentialRules::usual().is_presented(headers)) {
                Some(client) => certificate::identify(core, headers, client, peer, Plane::Data),
                None => listed(core, headers, peer),
            },
        }
    }
}

/// The caller whose token this is.
fn listed(core: &CoreParts, headers: &HeaderMap, peer: Peer) -> Result<Caller, Problem> {
    let refuse = |problem: Problem| {
        core.metrics.admin_refused.inc();
        problem
    };
    if browser::may_use_a_login(headers) {
        return Err(refuse(Problem::login_of_a_page()));
    }
    let token = presented(headers).map_err(refuse)?;
    let hash: [u8; 32] = Sha256::digest(token.expose()).into();
    let snapshot = core.snapshot();
    let callers = snapshot.config.follow.iter().flat_map(|follow| &follow.callers);
    let mut found = None;
    // All are compared, so that the time says nothing.
    for (name, known) in callers {
        if known.0.ct_eq(&hash).to_bool() {
            found = Some(name);
        }
    }
    let name = found.ok_or_else(|| refuse(Problem::unauthorized()))?;
    let actor = Actor::listed(name, peer.0.map(|peer| peer.ip()));
    Ok(Caller::new(actor, &[Scope::Read.to_string()]))
}
