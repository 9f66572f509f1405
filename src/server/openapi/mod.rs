//! `GET /openapi.json`: the HTTP interface as OpenAPI 3.1 has it, made of the handlers and types that do the work.

mod assembly;
mod examples;
pub(super) mod problems;

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::Extension,
    http::{HeaderName, header},
};
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) use self::assembly::authorize;
use super::{App, data};

/// The document, rendered once.
#[derive(Clone)]
struct Rendered(Bytes);

/// The endpoint that answers the document, in which the `admin` plane is described as its router does.
pub(super) fn router(admin: OpenApi) -> Router<Arc<App>> {
    let (router, own) = OpenApiRouter::default().routes(routes!(document)).split_for_parts();
    let document = assembly::document(data::routes().into_openapi(), admin, own);
    router.layer(Extension(Rendered(document.to_string().into())))
}

/// Describes the HTTP interface.
///
/// This document. It needs no credential.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "openapi",
    responses((status = 200, description = "OpenAPI 3.1, both planes.", body = Object))
)]
async fn document(Extension(Rendered(document)): Extension<Rendered>) -> ([(HeaderName, &'static str); 1], Bytes) {
    ([(header::CONTENT_TYPE, "application/json")], document)
}
