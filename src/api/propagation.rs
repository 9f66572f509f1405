//! Whether a revocation is in force everywhere: what `?wait=` and `--wait` tell.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{fleet, query, schema};
use crate::{
    config::Span,
    store::{FollowerRow, LogPlace, Role, Short},
};

/// The longest wait.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(60);
/// Those that are named.
pub(crate) const MAX_NAMED: u32 = 100;

/// How long the answer may wait for the fleet.
#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct WaitQuery {
    /// Waits until every registered node and follower has it in force, or for this long, 60 s at most.
    #[param(value_type = Option<schema::Span>)]
    #[serde(deserialize_with = "query::given")]
    pub(crate) wait: Option<Span>,
}

/// Who has a change in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Propagation {
    /// The log, and the place in it that every member has to reach.
    #[schema(value_type = schema::LogId)]
    pub(crate) log_id: String,
    pub(crate) seq: u64,
    /// Nodes and followers that are registered.
    pub(crate) registered: u64,
    /// The followers among them.
    pub(crate) followers: u64,
    /// How many have reported this place, or one behind it.
    pub(crate) reached: u64,
    /// The first hundred of the others.
    pub(crate) missing: Vec<Missing>,
    /// Why it could not be found out, where it could not. The change is made all the same.
    #[schema(nullable = false)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// A member of the fleet that has not reported a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Missing {
    pub(crate) name: String,
    #[schema(value_type = schema::MemberRole)]
    pub(crate) role: Role,
    /// The place that it reported last.
    pub(crate) seq: u64,
    pub(crate) last_contact: Timestamp,
    pub(crate) why: String,
}

impl Propagation {
    pub(crate) fn new(goal: &LogPlace, short: Short, now: Timestamp) -> Self {
        let missing = |row: FollowerRow| {
            let (_, why) = fleet::condition(&row, goal, None, now);
            let why = why.unwrap_or_else(|| format!("it is at {} of {} and reports", row.seq, goal.seq));
            Missing { name: row.name, role: row.role, seq: row.seq, last_contact: row.last_contact, why }
        };
        Propagation {
            log_id: goal.log_id.clone(),
            seq: goal.seq,
            registered: short.registered,
            followers: short.followers,
            reached: short.registered.saturating_sub(short.missing),
            missing: short.rows.into_iter().map(missing).collect(),
            error: None,
        }
    }

    /// One of which nothing is known.
    pub(crate) fn unknown(goal: &LogPlace, error: String) -> Self {
        Propagation { error: Some(error), ..Propagation::new(goal, Short::default(), Timestamp::UNIX_EPOCH) }
    }

    /// Whether every member has it.
    pub(crate) fn is_complete(&self) -> bool {
        self.error.is_none() && self.reached == self.registered
    }
}
