//! `ANY /v1/authorize`: forward authentication for gateways. The key comes from the client's header, what is required from
//! the gateway's route, and every identity header is in every 200, so that a client's own never gets through.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use bulla::{Rejection, VerifyError, layer::Credential};

use super::required::{self, Required};
use crate::{
    clock, schema,
    server::{
        App,
        openapi::problems::{CouldNotTell, Misconfigured},
        problem::Problem,
    },
    view::{accepted::Accepted, verdict::Wanted},
};

/// Answers a gateway: may this request pass?
///
/// The key is the client's, in one header. What is required stands in the first path segment, which the gateway's own route
/// sets; what stands behind it and the query are the client's and never read. A segment that does not parse is a 500.
#[utoipa::path(
    method(get, put, post, delete, options, head, patch, trace), path = "/v1/authorize/{required}",
    params(("required" = schema::Required, Path)),
    responses(
        (status = 200, description = "It may. Every header is there, and empty where there is nothing to say.", headers(
            ("X-Bulla-App-Id" = String, description = "Whom the API key belongs to."),
            ("X-Bulla-Api-Key-Id" = String, description = "The API key's id."),
            ("X-Bulla-Realm" = String, description = "Its realm."),
            ("X-Bulla-Scopes" = String, description = "Its scopes, with spaces between them."),
            ("X-Bulla-Expires-At" = String, description = "When it expires."),
        )),
        (status = 401, description = "No key, one that is not accepted, or more than one.", headers(
            ("WWW-Authenticate" = String, description = "With `error=\"invalid_request\"` where there is more than one."),
        )),
        (status = 403, description = "The key lacks a scope.", headers(("WWW-Authenticate" = String))),
        Misconfigured, CouldNotTell,
    )
)]
pub(super) async fn authorize(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Response {
    let required = match requirements(&uri).and_then(|required| known_realms(&app, required)) {
        Ok(required) => required,
        Err(detail) => {
            if let Some(kept_back) = app.route_lines.allow(Instant::now()) {
                tracing::error!(detail, kept_back, "a gateway's route requires what does not parse");
            }
            return Problem::misconfigured_route(detail).into_response();
        }
    };
    let text = match Credential::read(&headers, required.from.as_ref()) {
        Credential::One(text) => text,
        Credential::None => return challenge(StatusCode::UNAUTHORIZED, HeaderValue::from_static("Bearer")),
        Credential::Several => {
            return challenge(StatusCode::UNAUTHORIZED, HeaderValue::from_static("Bearer error=\"invalid_request\""));
        }
    };
    let realms = if required.realms.is_empty() { app.snapshot().default_realms.clone() } else { required.realms };
    let wanted = Wanted { realms, scopes: required.scopes, audience: required.audience, address: None };
    match app.judge(text.expose(), &wanted).await {
        Ok(accepted) => identity(&accepted).unwrap_or_else(|| {
            tracing::error!(id = %accepted.id(), "the key's scopes fit in no header");
            Problem::internal().into_response()
        }),
        Err(VerifyError::Rejected(Rejection::Scope)) => {
            let scopes = wanted.scopes.join(" ").replace(['"', '\\'], "");
            let value = HeaderValue::from_str(&format!("Bearer error=\"insufficient_scope\", scope=\"{scopes}\""));
            challenge(
                StatusCode::FORBIDDEN,
                value.unwrap_or(HeaderValue::from_static("Bearer error=\"insufficient_scope\"")),
            )
        }
        Err(VerifyError::Rejected(_)) => challenge(StatusCode::UNAUTHORIZED, HeaderValue::from_static("Bearer")),
        Err(VerifyError::SecretUnchecked) => Problem::could_not_tell().into_response(),
    }
}

/// What the route requires: the segment behind `/v1/authorize/`, or the defaults where there is none. What stands behind
/// it and the query are the client's and not looked at.
fn requirements(uri: &Uri) -> Result<Required, String> {
    match uri.path().strip_prefix("/v1/authorize/") {
        None => Ok(Required::default()),
        Some(rest) => required::parse(rest.split('/').next().unwrap_or_default()),
    }
}

/// A realm that the configuration does not have is a mistake of the route: no key of it could ever be accepted.
fn known_realms(app: &App, required: Required) -> Result<Required, String> {
    match required.realms.iter().find(|realm| !app.snapshot().config.realms.contains_key(realm.as_str())) {
        Some(realm) => Err(format!("the route requires the realm `{realm}`, and there is no [realms.{realm}]")),
        None => Ok(required),
    }
}

fn challenge(status: StatusCode, value: HeaderValue) -> Response {
    (status, [(header::WWW_AUTHENTICATE, value)]).into_response()
}

/// 200 with every identity header, empty where there is nothing to say.
fn identity(accepted: &Accepted) -> Option<Response> {
    let expires_at = accepted.expires_at().map(|time| clock::timestamp(time).to_string()).unwrap_or_default();
    let headers = [
        ("x-bulla-app-id", accepted.app_id().to_string()),
        ("x-bulla-api-key-id", accepted.id().to_string()),
        ("x-bulla-realm", accepted.id().realm().to_string()),
        ("x-bulla-scopes", accepted.scopes().join(" ")),
        ("x-bulla-expires-at", expires_at),
    ];
    let mut response = StatusCode::OK.into_response();
    for (name, value) in headers {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?);
    }
    Some(response)
}
