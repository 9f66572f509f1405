//! Callers who show a client certificate in the place of an API key.

use axum::http::HeaderMap;

use super::{auth::Caller, page};
use crate::{
    action::Actor,
    clock,
    config::Plane,
    server::{App, listener::Peer, problem::Problem},
    tls::{ClientCertificate, Mapped},
};

/// Who calls, by the certificate of the connection. It is judged for every request: by the authorities, the time and the
/// mapping of now.
pub(super) fn identify(
    app: &App,
    headers: &HeaderMap,
    certificate: &ClientCertificate,
    peer: Peer,
) -> Result<Caller, Problem> {
    let refuse = |detail: &str| {
        app.metrics.admin_refused.inc();
        Err(Problem::certificate(detail))
    };
    if page::may_be_of_another_site(headers) {
        return refuse("a page of another site may have sent this: a browser is to present an API key");
    }
    let snapshot = app.snapshot();
    let (tls, config) = (snapshot.tls().of(Plane::Admin), &snapshot.config.admin.tls);
    let (Some(tls), Some(config)) = (tls, config) else {
        return refuse("no client certificates are accepted");
    };
    if !tls.vouches_for(certificate, clock::now_seconds()) {
        return refuse("the client certificate has expired, or its authority is not trusted any more");
    }
    match certificate.mapped(&config.clients) {
        Mapped::One(name, scopes) => Ok(Caller::new(Actor::certificate(name, peer.0.map(|peer| peer.ip())), scopes)),
        Mapped::Nothing => refuse("the client certificate's name has no scopes; add it to [admin.tls.clients]"),
        Mapped::Several => {
            refuse("several names of the client certificate have scopes; leave one in [admin.tls.clients]")
        }
    }
}
