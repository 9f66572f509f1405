//! The middleware before every endpoint of the admin plane: it authenticates the caller, reads the body, and notes
//! failed calls.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{Extension, MatchedPath, Request, State},
    http::{HeaderMap, Method},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bulla::{
    ApiKey,
    layer::{Credential, CredentialRules},
};
use serde_json::json;

use crate::{
    action::Actor,
    clock,
    config::Plane,
    server::{
        App,
        auth::{self, Caller, certificate},
        core::Door,
        extract::body::{self, Bounds},
        listener::Peer,
        problem::{Kind, Problem},
        snapshot::Snapshot,
        stream_credential::RECHECK_INTERVAL,
    },
    telemetry::excerpt::excerpt,
    tls::ClientCertificate,
};

/// Bytes of a certificate's name in a record.
const LONGEST_NAME: usize = 128;

/// Identifies the caller, which endpoints take as [`Caller`]. They go by the state that its credential was accepted in.
pub(super) async fn authenticate(
    State(app): State<Arc<App>>,
    door: Door,
    peer: Peer,
    certificate: Option<Extension<Arc<ClientCertificate>>>,
    endpoint: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let method = standard(request.method());
    let called = format!("{method} {}", endpoint.as_ref().map_or("of no endpoint", MatchedPath::as_str));
    let certificate = certificate.as_deref().map(|certificate| &**certificate);
    // With an API key the certificate does not count, even if the key is rejected: the client chose the key for this
    // request.
    let keyless = !CredentialRules::usual().is_presented(request.headers());
    let certificate_alone = certificate.filter(|_| keyless);
    let identified = identify(&app, door.look(), request.headers(), certificate_alone, peer).await;
    let (actor, presented) = match &identified {
        Ok(caller) => (caller.actor(), None),
        Err(_) => (Actor::unknown(peer.0.map(|peer| peer.ip())), presented(request.headers(), certificate)),
    };
    let asked = Instant::now();
    // A stranger is answered at once: to wait for a body that does not come would hold one of the admin plane's few
    // connections.
    let request = match identified {
        Ok(_) => body::read_ahead(request, Bounds::batch(&app.config.server)).await,
        Err(_) => Ok(request),
    };
    let response = match (identified, request) {
        (Ok(caller), Ok(mut request)) => {
            // While the body was on its way the credential may have ended, and another state may have come into force.
            let snapshot = door.enter();
            let caller = match caller.was_accepted_in(&snapshot) && asked.elapsed() < RECHECK_INTERVAL {
                true => Ok(caller),
                false => identify(&app, snapshot, request.headers(), certificate_alone, peer).await,
            };
            match caller {
                Ok(caller) => {
                    request.extensions_mut().insert(caller);
                    next.run(request).await
                }
                Err(problem) => problem.into_response(),
            }
        }
        (Err(problem), _) | (_, Err(problem)) => problem.into_response(),
    };
    if response.status().is_client_error() || response.status().is_server_error() {
        let now = clock::now();
        app.failed_calls.note(now, || {
            let problem = response.extensions().get::<Kind>().map(|kind| kind.0);
            let detail = json!({
                "call": called, "status": response.status().as_u16(), "problem": problem, "presented": presented,
            });
            actor.record(now, "admin.refused", None, detail)
        });
    }
    response
}

async fn identify(
    app: &App,
    snapshot: Arc<Snapshot>,
    headers: &HeaderMap,
    certificate_alone: Option<&ClientCertificate>,
    peer: Peer,
) -> Result<Caller, Problem> {
    match certificate_alone {
        Some(certificate) => certificate::identify(app, snapshot, headers, certificate, peer, Plane::Admin),
        None => auth::identify(app, snapshot, headers, peer).await,
    }
}

/// A method that HTTP knows. Any other is a text of a stranger, of any length, and may be an API key.
fn standard(method: &Method) -> &str {
    match *method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::DELETE
        | Method::PATCH
        | Method::OPTIONS
        | Method::TRACE
        | Method::CONNECT => method.as_str(),
        _ => "another method",
    }
}

/// The id of the presented key, which may be forged, or the name of the certificate, which is genuine.
fn presented(headers: &HeaderMap, certificate: Option<&ClientCertificate>) -> Option<String> {
    match Credential::read(headers, CredentialRules::usual()) {
        Credential::One(text) => text.expose().parse::<ApiKey>().ok().map(|key| key.id().to_string()),
        Credential::None => {
            certificate.map(|certificate| format!("cert:{}", excerpt(certificate.shown().as_bytes(), LONGEST_NAME)))
        }
        Credential::Several => None,
    }
}
