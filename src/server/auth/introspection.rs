//! Who may introspect API keys on the data plane.

use std::sync::Arc;

use axum::http::HeaderMap;
use bulla::{
    ApiKey,
    layer::{Credential, CredentialRules},
};
use ctutils::CtEq;
use sha2::{Digest, Sha256};

use super::{Caller, browser, certificate, identify, identify_by};
use crate::{
    action::Actor,
    config::Plane,
    scope::Scope,
    server::{
        core::{Callers, CoreParts},
        listener::Peer,
        problem::Problem,
        snapshot::Snapshot,
    },
    tls::ClientCertificate,
};

impl Callers {
    /// Identifies the caller of a request.
    pub(in crate::server) async fn identify(
        &self,
        core: &CoreParts,
        snapshot: Arc<Snapshot>,
        headers: &HeaderMap,
        client: Option<&ClientCertificate>,
        peer: Peer,
    ) -> Result<Caller, Problem> {
        match self {
            Callers::Administrators => identify(core, snapshot, headers, peer).await,
            Callers::Listed => match client.filter(|_| !CredentialRules::usual().is_presented(headers)) {
                Some(client) => certificate::identify(core, snapshot, headers, client, peer, Plane::Data),
                None => listed(core, snapshot, headers, peer),
            },
        }
    }

    /// Identifies the caller by a credential that a form holds.
    pub(in crate::server) async fn identify_by(
        &self,
        core: &CoreParts,
        snapshot: Arc<Snapshot>,
        text: &str,
        peer: Peer,
    ) -> Result<Caller, Problem> {
        match self {
            Callers::Administrators => identify_by(core, snapshot, text, peer).await,
            Callers::Listed => listed_by(core, snapshot, text, peer),
        }
    }

    /// Returns whether this may be a caller's credential: one of two texts is.
    pub(in crate::server) fn knows(&self, snapshot: &Snapshot, text: &str) -> bool {
        match self {
            Callers::Administrators => text.parse::<ApiKey>().is_ok(),
            Callers::Listed => name_of(snapshot, text).is_some(),
        }
    }
}

/// The caller whose token is in the headers.
fn listed(core: &CoreParts, snapshot: Arc<Snapshot>, headers: &HeaderMap, peer: Peer) -> Result<Caller, Problem> {
    let refuse = |problem: Problem| {
        core.metrics.admin_refused.inc();
        problem
    };
    if browser::may_use_a_login(headers) {
        return Err(refuse(Problem::login_of_a_page()));
    }
    match CredentialRules::usual().read(headers, |text| name_of(&snapshot, text).is_some()) {
        Credential::One(token) => listed_by(core, snapshot, token.expose(), peer),
        Credential::None => Err(refuse(Problem::unauthorized())),
        Credential::Several => Err(refuse(Problem::several_credentials())),
    }
}

/// The caller whose token this is.
fn listed_by(core: &CoreParts, snapshot: Arc<Snapshot>, token: &str, peer: Peer) -> Result<Caller, Problem> {
    let name = name_of(&snapshot, token).ok_or_else(|| {
        core.metrics.admin_refused.inc();
        Problem::unauthorized()
    })?;
    let actor = Actor::listed(&name, peer.0.map(|peer| peer.ip()));
    Ok(Caller::new(snapshot, actor, &[Scope::Read.to_string()]))
}

/// What the configuration calls the holder of this token.
fn name_of(snapshot: &Snapshot, token: &str) -> Option<String> {
    let hash: [u8; 32] = Sha256::digest(token).into();
    let callers = snapshot.config.follow.iter().flat_map(|follow| &follow.callers);
    // All are compared, so that the time says nothing.
    callers.fold(None, |found, (name, known)| if known.0.ct_eq(&hash).to_bool() { Some(name.clone()) } else { found })
}
