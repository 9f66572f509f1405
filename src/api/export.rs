//! `POST /v1/keyring/exports`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schema;

/// Which realm's keys an edge is to have.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = Export)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportRequest {
    /// The realm whose keys the edge is to verify.
    #[schema(value_type = schema::Realm)]
    pub(crate) realm: String,
    /// The edge's recipient, as `bulla edge recipient` prints it there.
    #[schema(max_length = 128)]
    pub(crate) recipient: String,
}

/// A realm's keys for an edge.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct Exported {
    #[schema(value_type = schema::Realm)]
    pub(crate) realm: String,
    pub(crate) recipient: String,
    /// The text of the file for the edge's folder `follow.exports`. Nobody but the edge can open it.
    pub(crate) export: String,
}
