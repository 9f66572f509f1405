//! The query of a URL.

use axum::{extract::FromRequestParts, http::request::Parts};
use serde::de::DeserializeOwned;

use super::parameters::read;
use crate::server::problem::Problem;

/// The parameters. The fields of `T` are read from texts, with the functions of `api::query`; `T` denies unknown
/// fields.
pub(in crate::server) struct Query<T>(pub(in crate::server) T);

/// No parameters: a mistyped or mistaken one would be passed over, and the request done without it.
pub(in crate::server) struct NoQuery;

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match parts.uri.query().unwrap_or_default() {
            "" => Ok(NoQuery),
            _ => Err(Problem::bad_request("the query has an unknown parameter: this endpoint has none, remove it")),
        }
    }
}

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        read("the query", query.as_bytes()).map(Query).map_err(Problem::bad_request)
    }
}
