//! `/v1/secret-halves`: what an edge that asks about secret halves is told.

use bulla::{ApiKeyId, Realm};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{query, schema};
use crate::config::Span;

/// From where an edge wants to hear which secret halves were changed.
#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct SecretChangesQuery {
    /// The place among the changes up to which the edge knows them. Without it the answer is where they stand now.
    #[param(value_type = Option<schema::Seq>)]
    #[serde(deserialize_with = "query::given")]
    pub(crate) after: Option<u64>,
    /// How long to wait for a change, 10 s at most.
    #[param(value_type = Option<schema::Span>)]
    #[serde(deserialize_with = "query::given")]
    pub(crate) wait: Option<Span>,
    /// Those of this realm alone.
    #[param(value_type = Option<schema::Realm>)]
    #[serde(deserialize_with = "query::given")]
    pub(crate) realm: Option<Realm>,
}

/// Which secret halves were changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangedSecrets {
    /// The revocation log of the same store: places mean something beside it alone.
    #[schema(value_type = schema::LogId)]
    pub(crate) log_id: String,
    /// The place up to which these are all.
    #[schema(value_type = schema::Seq)]
    pub(crate) seq: u64,
    /// Missing where no place was named, or this node does not know every change behind it: each secret half may have
    /// been changed.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) changed: Option<Vec<ChangedSecret>>,
}

/// One changed secret half.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangedSecret {
    #[schema(value_type = schema::Seq)]
    seq: u64,
    #[schema(value_type = schema::ApiKeyId)]
    api_key_id: String,
}

impl ChangedSecret {
    pub(crate) fn new(seq: u64, id: ApiKeyId) -> Self {
        ChangedSecret { seq, api_key_id: id.to_string() }
    }
}

/// Whether an API key is accepted, and the place at which its secret half was right.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct CheckedSecret {
    pub(crate) active: bool,
    /// The revocation log of the same store. Missing where the answer must not be remembered.
    #[schema(value_type = Option<schema::LogId>, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_id: Option<String>,
    /// The place among the changes, beside `log_id`. The first change of this key behind it ends the proof.
    #[schema(value_type = Option<schema::Seq>, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seq: Option<u64>,
    /// In how many seconds this secret half ends, where it does.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ends_in: Option<u64>,
}
