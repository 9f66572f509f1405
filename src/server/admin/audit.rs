//! `GET /v1/audit`: who did what, in pages or as JSON lines.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Extension, RawQuery, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};

use super::auth::{Caller, Permission};
use crate::{
    schema,
    scope::Scope,
    server::{App, blocking, openapi::problems::Guarded, problem::Problem, query},
    text::json_in_one_line,
    view::audit::{AuditPage, LONGEST_PAGE, PAGE},
};

/// The media type of JSON lines.
const JSON_LINES: &str = "application/x-ndjson";

/// Reads the audit.
///
/// Scope `read`. With `Accept: application/x-ndjson` the records are JSON lines.
#[utoipa::path(
    get, path = "/v1/audit", operation_id = "audit",
    params(
        ("after" = Option<schema::Seq>, Query, description = "The number to go on behind; 0 if not said."),
        ("limit" = Option<schema::PageSize>, Query, description = "At most so many; 100 if not said."),
    ),
    responses(
        (status = 200, description = "A page of it.",
            content((AuditPage = "application/json"), (String = "application/x-ndjson"))),
        Guarded,
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.needs(&app, Permission::anywhere(Scope::Read))?;
    let [after, limit] = query::read(query.as_deref(), ["after", "limit"])?;
    let after = after.map_or(Ok(0), |after| after.parse());
    let after = after.map_err(|_| Problem::bad_request("`after` has to be a number"))?;
    let limit = limit.map_or(PAGE, |limit| limit.parse().unwrap_or(u32::MAX));
    if !(1..=LONGEST_PAGE).contains(&limit) {
        return Err(Problem::bad_request(format!("`limit` is 1 to {LONGEST_PAGE}")));
    }
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
