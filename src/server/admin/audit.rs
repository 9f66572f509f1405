//! `GET /v1/audit`: who did what, in pages or as JSON lines.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};

use crate::{
    api::{
        audit::{AuditPage, AuditQuery},
        query::PAGE,
        responses::Guarded,
    },
    input::text::json_in_one_line,
    scope::Scope,
    server::{
        App,
        auth::{Caller, Permission},
        blocking,
        extract::Query,
        problem::Problem,
    },
};

/// The media type of JSON lines.
const JSON_LINES: &str = "application/x-ndjson";

/// Reads the audit.
///
/// Scope `read`. With `Accept: application/x-ndjson` the records are JSON lines.
#[utoipa::path(
    get, path = "/v1/audit", operation_id = "audit", params(AuditQuery),
    responses(
        (status = 200, description = "A page of it.",
            content((AuditPage = "application/json"), (String = "application/x-ndjson"))),
        Guarded,
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<AuditQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.needs(&app, Permission::anywhere(Scope::Read))?;
    let (after, limit) = (query.after.unwrap_or(0), query.limit.unwrap_or(PAGE));
    let page = blocking::run(move || AuditPage::read(&*app.store, after, limit)).await??;
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !accepted.contains(JSON_LINES) {
        return Ok(Json(page).into_response());
    }
    let mut lines = String::new();
    for record in &page.records {
        let line = serde_json::to_string(record).map_err(|_| Problem::internal())?;
        lines.push_str(&json_in_one_line(&line));
        lines.push('\n');
    }
    Ok(([(header::CONTENT_TYPE, JSON_LINES)], lines).into_response())
}
