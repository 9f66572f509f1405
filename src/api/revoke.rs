//! Revoking, suspending and resuming: `DELETE /v1/api-keys/{id}`, `/suspend`, `/resume`, and `POST /v1/revocations`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    keyring::ActiveKeys,
    propagation::{self, Propagates, Propagation},
    query, schema,
};
use crate::{clock, config::Span, store::State};

/// What `POST /v1/revocations` revokes: ids, or what was issued for an app or in a realm before some time.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[schema(as = Revocation)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevokeRequest {
    /// These keys. No other field but `reason` may be given then.
    #[schema(value_type = Vec<schema::ApiKeyId>, max_items = 10_000)]
    #[serde(default)]
    pub(crate) ids: Vec<String>,
    /// All that was issued for this app before that time, in this realm or in all.
    pub(crate) app_id: Option<Uuid>,
    /// Without `app_id`: all that was issued in this realm before that time.
    #[schema(value_type = Option<schema::Realm>)]
    pub(crate) realm: Option<String>,
    /// At most five minutes ahead. With `app_id` the default is now.
    #[serde(default, deserialize_with = "clock::optional_time")]
    pub(crate) issued_before: Option<Timestamp>,
    #[schema(value_type = Option<schema::Note>)]
    pub(crate) reason: Option<String>,
    /// Revokes in a realm that the configuration does not have, too.
    #[serde(default)]
    pub(crate) force: bool,
    /// Revokes nothing, and answers how many active keys the request would revoke. Not with `ids`.
    #[serde(default)]
    pub(crate) dry_run: bool,
}

/// Why a key is revoked, and whether to wait for the fleet.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RevokeQuery {
    #[param(value_type = Option<schema::Note>)]
    #[serde(default, deserialize_with = "query::given")]
    pub(crate) reason: Option<String>,
    /// Waits until every registered node and follower has it in force, or for this long, 60 s at most.
    #[param(value_type = Option<schema::Span>)]
    #[serde(default, deserialize_with = "propagation::wait")]
    pub(crate) wait: Option<Span>,
}

/// Why a key is suspended or resumed.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Reason {
    #[schema(value_type = Option<schema::Note>)]
    pub(crate) reason: Option<String>,
}

/// What became of one key.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct RevokeOutcome {
    #[schema(value_type = schema::ApiKeyId)]
    pub(crate) api_key_id: String,
    #[schema(value_type = schema::ApiKeyState)]
    pub(crate) state: State,
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revoked_at: Option<Timestamp>,
    /// Whether this request changed it.
    pub(crate) changed: bool,
    /// Whether the ledger has the key. If not, the id may be mistyped.
    pub(crate) on_record: bool,
    /// The other ids of the same key, where it was imported under several rules.
    #[schema(value_type = Vec<schema::ApiKeyId>)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) also_revoked: Vec<String>,
    /// The same where it was suspended, which only the command does with a whole key.
    #[schema(ignore)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) also_suspended: Vec<String>,
    /// Who has it in force, where the request waited for that.
    #[schema(nullable = false)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) propagation: Option<Propagation>,
}

/// What became of several keys.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RevokeManyOutcome {
    pub(crate) revoked: usize,
    pub(crate) already_revoked: usize,
    /// How many of these the ledger does not have: their ids may be mistyped.
    pub(crate) not_on_record: usize,
    /// Who has it in force, where the request waited for that.
    #[schema(nullable = false)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) propagation: Option<Propagation>,
}

/// A rule that revokes everything issued before some time.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct RevocationRule {
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) app_id: Option<Uuid>,
    #[schema(value_type = Option<schema::Realm>, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) realm: Option<String>,
    pub(crate) issued_before: Timestamp,
    /// Whether this request made the rule. If not, there was one that reaches as far.
    pub(crate) changed: bool,
    /// How many keys on record it revokes. If none, app or realm may be mistyped.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keys_on_record: Option<u64>,
    /// Who has it in force, where the request waited for that.
    #[schema(nullable = false)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) propagation: Option<Propagation>,
}

/// The answer of `POST /v1/revocations`: for ids, for a rule, or for a dry run.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum RevokeResponse {
    Many(RevokeManyOutcome),
    Rule(RevocationRule),
    Count(ActiveKeys),
}

impl Propagates for RevokeOutcome {
    fn set_propagation(&mut self, propagation: Propagation) {
        self.propagation = Some(propagation);
    }
}

impl Propagates for RevokeManyOutcome {
    fn set_propagation(&mut self, propagation: Propagation) {
        self.propagation = Some(propagation);
    }
}

impl Propagates for RevocationRule {
    fn set_propagation(&mut self, propagation: Propagation) {
        self.propagation = Some(propagation);
    }
}

impl From<RevokeManyOutcome> for RevokeResponse {
    fn from(outcome: RevokeManyOutcome) -> Self {
        RevokeResponse::Many(outcome)
    }
}

impl From<RevocationRule> for RevokeResponse {
    fn from(rule: RevocationRule) -> Self {
        RevokeResponse::Rule(rule)
    }
}
