//! `POST /v1/introspect`: token introspection (RFC 7662) for callers with a credential of their own.

use std::{sync::Arc, time::Instant};

use axum::{
    Json,
    extract::{Extension, Request, State},
    http::HeaderMap,
};

use super::realms::accepted_realms;
use crate::{
    api::{
        introspect::{Introspection, IntrospectionRequest},
        responses::{BodyProblems, CouldNotTellOrBusy, Credential},
    },
    scope::Scope,
    server::{
        auth::Permission,
        core::Core,
        door::Door,
        extract::body::{self, Bounds},
        listener::Peer,
        problem::Problem,
        rejection,
        stream_credential::RECHECK_INTERVAL,
    },
    tls::ClientCertificate,
    verification::Wanted,
};

/// Reads the form.
fn read(body: &[u8]) -> Result<IntrospectionRequest, Problem> {
    let once = |wanted: &str| {
        let mut values =
            form_urlencoded::parse(body).filter(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(Problem::bad_request(format!("the form may hold `{wanted}` once"))),
        }
    };
    let token = once("token")?.ok_or_else(|| Problem::bad_request("the form has to hold `token`"))?;
    Ok(IntrospectionRequest { token, realm: once("realm")?, audience: once("audience")?, ip: once("ip")? })
}

/// Introspects an API key (RFC 7662).
///
/// With an administrator's API key that has the scope `read`. Without `audience` and `ip` a key that is bound to some is
/// inactive.
#[utoipa::path(
    post, path = "/v1/introspect",
    request_body(content_type = "application/x-www-form-urlencoded", content = IntrospectionRequest),
    responses(
        (status = 200, description = "Active, or not.", body = Introspection),
        BodyProblems, Credential, CouldNotTellOrBusy,
    )
)]
pub(super) async fn introspect(
    State(core): State<Core>,
    peer: Peer,
    door: Door,
    headers: HeaderMap,
    client: Option<Extension<Arc<ClientCertificate>>>,
    request: Request,
) -> Result<Json<Introspection>, Problem> {
    let permission = Permission::anywhere(Scope::Read);
    let client = client.as_deref().map(|client| &**client);
    core.callers.identify(&core, &headers, client, peer).await?.needs(&core, permission)?;
    let asked = Instant::now();
    let body = body::form(request, Bounds::single(&core.config.server)).await?;
    if asked.elapsed() >= RECHECK_INTERVAL {
        // The caller's key may have been ended while the body was on its way.
        core.callers.identify(&core, &headers, client, peer).await?.needs(&core, permission)?;
    }
    let form = read(&body)?;
    let snapshot = door.enter();
    let address = form.ip.map(|ip| ip.parse()).transpose();
    // A key bound to audiences or addresses is active only where the caller says who, and from where, it was used.
    let wanted = Wanted {
        realms: accepted_realms(&snapshot, &form.realm.into())?,
        audience: form.audience,
        address: address.map_err(|_| Problem::bad_request("`ip` is no IPv4 or IPv6 address"))?,
        ..Wanted::default()
    };
    let answer = match core.verification.verify(&snapshot, &form.token, &wanted).await {
        Ok(accepted) => Introspection::active(&accepted),
        Err(error) => rejection::of_token(error)?,
    };
    Ok(Json(answer))
}
