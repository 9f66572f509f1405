//! `GET /v1/revocations` and the snapshots beside it.

use bulla::Realm;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{query, schema};
use crate::config::Span;

/// What a follower asks for.
#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct FeedQuery {
    /// The place in the log up to which the follower has read; 0 by default.
    #[param(value_type = Option<schema::Seq>)]
    #[serde(deserialize_with = "query::given")]
    pub(crate) after: Option<u64>,
    /// How long to wait for something new, 25 s at most.
    #[param(value_type = Option<schema::Span>)]
    #[serde(deserialize_with = "query::given")]
    pub(crate) wait: Option<Span>,
    /// This realm alone.
    #[param(value_type = Option<schema::Realm>)]
    #[serde(deserialize_with = "query::given")]
    pub(crate) realm: Option<Realm>,
}

/// Which snapshot a follower asks for.
#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct SnapshotQuery {
    /// This realm alone.
    #[param(value_type = Option<schema::Realm>)]
    #[serde(deserialize_with = "query::given")]
    pub(crate) realm: Option<Realm>,
}
