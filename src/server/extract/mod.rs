//! What handlers take from a request: a path's segment, a query, a form or a body, and the peer. Each refuses a bad one
//! with a problem that names what is wrong.

pub(super) mod body;
mod form;
pub(super) mod json;
mod parameters;
mod path;
mod query;
mod realm;

use axum::{extract::FromRequestParts, http::request::Parts};

pub(super) use self::{
    form::Form,
    json::{Batch, JsonBody},
    path::{PathParam, PathSegment},
    query::{NoQuery, Query},
    realm::known_realm,
};
use super::{listener::Peer, problem::Problem};

/// The listener knows it.
impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().copied().ok_or_else(Problem::internal)
    }
}
