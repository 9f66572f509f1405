//! `POST /v1/introspect`: token introspection (RFC 7662), and its answers as signed JWTs (RFC 9701).

use std::sync::Arc;

use axum::{
    extract::{Extension, Request, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};

use super::{NO_STORE, OauthProblem, OauthRequest, answer, ask};
use crate::{
    api::{
        introspect::{Context, Introspection, IntrospectionRequest},
        responses::{BodyProblems, CouldNotTellOrBusy, Credential},
    },
    clock,
    scope::Scope,
    server::{
        auth::{Caller, Permission},
        core::{Core, Door},
        data::realms::accepted_realms,
        listener::Peer,
        problem::Problem,
        rejection,
        snapshot::Snapshot,
    },
    tls::ClientCertificate,
    verification::Wanted,
};

/// The media type of a signed answer.
const SIGNED: &str = "application/token-introspection+jwt";

/// Introspects an API key (RFC 7662).
///
/// With an administrator's API key that has the scope `read`, as `client_secret_basic`, `client_secret_post`, `Bearer`
/// or `X-API-Key`. Without `audience` and `ip` a key that is bound to some is inactive. With
/// `Accept: application/token-introspection+jwt` the answer is signed (RFC 9701), where assertions are.
#[utoipa::path(
    post, path = "/v1/introspect",
    request_body(content_type = "application/x-www-form-urlencoded", content = IntrospectionRequest),
    responses(
        (status = 200, description = "Active, or not.", content(
            (Introspection = "application/json"),
            (String = "application/token-introspection+jwt"),
        ), headers(("Cache-Control" = String))),
        BodyProblems, Credential, CouldNotTellOrBusy,
    )
)]
pub(in crate::server::data) async fn introspect(
    State(core): State<Core>,
    peer: Peer,
    door: Door,
    headers: HeaderMap,
    client: Option<Extension<Arc<ClientCertificate>>>,
    request: Request,
) -> Result<Response, OauthProblem> {
    let client = client.map(|Extension(client)| client);
    let permissions = [Permission::anywhere(Scope::Read)];
    let OauthRequest { caller, client_id, form } =
        ask(door, &headers, client.as_ref(), peer, request, &permissions).await?;
    let asked: IntrospectionRequest = form.parse()?;
    let snapshot = caller.snapshot();
    let address = asked.ip.map(|ip| ip.parse()).transpose();
    // A key bound to audiences or addresses is active only where the caller says who, and from where, it was used.
    let wanted = Wanted {
        realms: accepted_realms(snapshot, &asked.realm.into(), "realm")?,
        audience: asked.audience.or_else(|| audience_of(snapshot, &caller).map(str::to_owned)),
        address: address.map_err(|_| Problem::bad_request("`ip` must be an IPv4 or IPv6 address"))?,
        ..Wanted::default()
    };
    let now = clock::now_seconds();
    let issuer = Some(snapshot.config.assertion.issuer.as_str()).filter(|issuer| !issuer.is_empty());
    let told = match core.verification.verify(snapshot, &asked.token, &wanted).await {
        Ok(accepted) => {
            let max_exp = snapshot.config.introspection.max_exp.0.as_secs();
            Introspection::active(&accepted, Context { issuer, now, max_exp })
        }
        Err(error) => rejection::of_token(error)?,
    };
    if let (true, Some(assertions), Some(issuer)) = (wants_signed(&headers), snapshot.assertions(), issuer) {
        let client = client_id.unwrap_or_else(|| caller.name());
        let signed = assertions.sign_introspection(issuer, &client, now, &told).ok_or_else(Problem::internal)?;
        return Ok(([NO_STORE, (header::CONTENT_TYPE, SIGNED.parse().map_err(|_| Problem::internal())?)], signed)
            .into_response());
    }
    Ok(answer(told))
}

/// What the configuration says of a caller that cannot send its audience.
fn audience_of<'s>(snapshot: &'s Snapshot, caller: &Caller) -> Option<&'s str> {
    let audiences = &snapshot.config.introspection.audiences;
    let by = |name: String| audiences.get(&name).map(String::as_str);
    by(caller.name()).or_else(|| by(caller.app_id()?.to_string()))
}

/// Returns whether `Accept` names the signed form.
fn wants_signed(headers: &HeaderMap) -> bool {
    let ranges = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    ranges.filter_map(|range| range.split(';').next()).any(|media_type| media_type.trim().eq_ignore_ascii_case(SIGNED))
}
