//! Whether a change is in force everywhere: what `?wait=` and `--wait` tell.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use utoipa::{IntoParams, ToSchema};

use super::{condition, query, schema};
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
    #[serde(deserialize_with = "wait")]
    pub(crate) wait: Option<Span>,
}

/// Reads how long to wait.
pub(super) fn wait<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Span>, D::Error> {
    let wait: Option<Span> = query::given(deserializer)?;
    match wait.filter(|wait| wait.0 > MAX_WAIT) {
        Some(_) => Err(D::Error::custom("must be at most 60s: to wait longer, ask again")),
        None => Ok(wait),
    }
}

/// Who has a change in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Propagation {
    /// The log, and the place in it that every member has to reach.
    #[schema(value_type = Option<schema::LogId>, nullable = false)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) log_id: Option<String>,
    #[schema(nullable = false)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seq: Option<u64>,
    /// After a change of the keyring, in place of both: the serial number that every member but relays has to know.
    #[schema(nullable = false)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) keyring_serial: Option<u64>,
    /// Nodes and followers that are registered.
    pub(crate) registered: u64,
    /// The followers among them.
    pub(crate) followers: u64,
    /// How many have reported it, or something later.
    pub(crate) reached: u64,
    /// The first hundred of the others.
    pub(crate) missing: Vec<Missing>,
    /// Why it could not be found out, where it could not. The change is made all the same.
    #[schema(nullable = false)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// What every member of the fleet is to have in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The revocation log up to this place.
    Log(LogPlace),
    /// The states of key versions in the keyring of this serial number.
    Keyring(u64),
}

/// A member of the fleet that has not reported it.
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

impl Goal {
    /// Why a member has not reported it.
    fn why(&self, row: &FollowerRow, now: Timestamp) -> String {
        match self {
            Goal::Log(place) => {
                let (_, why) = condition::condition(row, place, None, now);
                why.unwrap_or_else(|| format!("it is at {} of {} and reports", row.seq, place.seq))
            }
            Goal::Keyring(serial) => condition::tells_nothing(row, now).map_or_else(
                || format!("it knows the keyring of serial {}, and not yet {serial}", row.keyring_serial),
                |(_, why)| why,
            ),
        }
    }
}

impl Propagation {
    pub(crate) fn new(goal: &Goal, short: Short, now: Timestamp) -> Self {
        let missing = |row: FollowerRow| {
            let why = goal.why(&row, now);
            Missing { name: row.name, role: row.role, seq: row.seq, last_contact: row.last_contact, why }
        };
        let (log_id, seq, keyring_serial) = match goal {
            Goal::Log(place) => (Some(place.log_id.clone()), Some(place.seq), None),
            Goal::Keyring(serial) => (None, None, Some(*serial)),
        };
        Propagation {
            log_id,
            seq,
            keyring_serial,
            registered: short.registered,
            followers: short.followers,
            reached: short.registered.saturating_sub(short.missing),
            missing: short.rows.into_iter().map(missing).collect(),
            error: None,
        }
    }

    /// One of which nothing is known.
    pub(crate) fn unknown(goal: &Goal, error: String) -> Self {
        Propagation { error: Some(error), ..Propagation::new(goal, Short::default(), Timestamp::UNIX_EPOCH) }
    }

    /// One of a change that this process could not read: it does not know its place in the log.
    pub(crate) fn unknown_place(error: String) -> Self {
        let nowhere = Goal::Log(LogPlace { log_id: String::new(), seq: 0, newest_at: None });
        Propagation { log_id: None, seq: None, ..Propagation::unknown(&nowhere, error) }
    }

    /// The same without names, for someone who is not to know them.
    pub(crate) fn without_names(self) -> Self {
        Propagation { missing: Vec::new(), ..self }
    }

    /// Returns whether every member has it.
    pub(crate) fn is_complete(&self) -> bool {
        self.error.is_none() && self.reached == self.registered
    }
}

/// The answer to a wait behind which stands nothing else.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Waited {
    pub(crate) propagation: Propagation,
}

/// An outcome that can tell who has it in force.
pub(crate) trait Propagates {
    /// Adds who has.
    fn set_propagation(&mut self, propagation: Propagation);
}
