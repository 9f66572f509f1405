//! The fleet as it is shown: nodes and followers, and how each of them is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    condition::{Condition, condition},
    followers::check_name,
    query::{self, LONGEST_PAGE, Parameter},
    schema,
};
use crate::{
    clock,
    store::{FollowerRow, LogPlace, Role, Store, StoreError},
};

/// Which page is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FollowersQuery {
    /// The name behind which the page begins.
    #[param(value_type = Option<schema::FollowerName>)]
    #[serde(default, deserialize_with = "query::given")]
    pub(crate) after: Option<MemberName>,
    /// The most members of the page; 1,000 by default.
    #[param(value_type = Option<schema::PageSize>)]
    #[serde(default, deserialize_with = "query::given")]
    pub(crate) limit: Option<u32>,
}

/// The name of a node or follower.
#[derive(Debug)]
pub(crate) struct MemberName(pub(crate) String);

impl Parameter for MemberName {
    fn parse(text: &str) -> Result<Self, String> {
        check_name(text).map_err(|error| error.trim_start_matches("name: it ").to_owned())?;
        Ok(MemberName(text.to_owned()))
    }
}

/// Some of the fleet, and where more begins.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Fleet {
    /// The revocation log, and its end.
    #[schema(value_type = schema::LogId)]
    pub(crate) log_id: String,
    pub(crate) end: u64,
    pub(crate) followers: Vec<FollowerView>,
    /// For the next page, as `after`; null at the end.
    #[schema(required)]
    pub(crate) next_after: Option<String>,
}

/// A node or a follower.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Follower)]
pub(crate) struct FollowerView {
    pub(crate) name: String,
    #[schema(value_type = schema::MemberRole)]
    pub(crate) role: Role,
    /// The app whose API key registered the name; null of a node.
    #[schema(required)]
    #[serde(default)]
    pub(crate) app_id: Option<String>,
    #[schema(required)]
    pub(crate) address: Option<String>,
    pub(crate) version: String,
    pub(crate) state: Condition,
    /// What is wrong, and what to do; null where nothing is.
    #[schema(required)]
    pub(crate) trouble: Option<String>,
    #[schema(required)]
    pub(crate) log_id: Option<String>,
    pub(crate) seq: u64,
    /// When its state was signed; of a node, when it read the log last.
    #[schema(required)]
    pub(crate) this_update: Option<Timestamp>,
    pub(crate) keyring_serial: u64,
    pub(crate) versions: Vec<u32>,
    pub(crate) realms: Vec<String>,
    pub(crate) formats: Vec<String>,
    pub(crate) refused: u64,
    #[schema(required)]
    pub(crate) last_error: Option<String>,
    #[schema(required)]
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) last_contact: Timestamp,
}

impl FollowerView {
    fn new(row: FollowerRow, end: &LogPlace, active: Option<u32>, now: Timestamp) -> Self {
        let (state, trouble) = condition(&row, end, active, now);
        let time = |seconds: u64| (seconds > 0).then(|| clock::timestamp(seconds));
        FollowerView {
            state,
            trouble,
            this_update: time(row.this_update),
            started_at: time(row.started_at),
            app_id: Some(row.owner).filter(|_| row.role != Role::Node),
            name: row.name,
            role: row.role,
            address: row.address,
            version: row.version,
            log_id: row.log_id,
            seq: row.seq,
            keyring_serial: row.keyring_serial,
            versions: row.versions,
            realms: row.realms,
            formats: row.formats,
            refused: row.refused,
            last_error: row.last_error,
            last_contact: row.last_contact,
        }
    }
}

impl Fleet {
    /// A page of those that were heard of since `heard_after`.
    pub(crate) fn read(
        store: &dyn Store,
        query: &FollowersQuery,
        active: Option<u32>,
        (now, heard_after): (Timestamp, Timestamp),
    ) -> Result<Self, StoreError> {
        let limit = query.limit.unwrap_or(LONGEST_PAGE);
        let mut rows =
            store.followers(query.after.as_ref().map_or("", |after| after.0.as_str()), limit + 1, heard_after)?;
        // After the rows: none of them can be ahead of the end.
        let end = store.log_end()?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        Ok(Fleet {
            next_after: rows.last().filter(|_| more).map(|row| row.name.clone()),
            followers: rows.into_iter().map(|row| FollowerView::new(row, &end, active, now)).collect(),
            log_id: end.log_id,
            end: end.seq,
        })
    }
}

/// What `bulla fleet forget` did.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Forgotten {
    pub(crate) name: String,
    /// Whether there was one of this name.
    pub(crate) changed: bool,
}

/// Whose nodes and followers are to be forgotten.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ForgetQuery {
    /// The app whose API keys registered them.
    #[param(value_type = schema::AppId)]
    #[serde(deserialize_with = "query::required")]
    pub(crate) app_id: Uuid,
}

/// What forgetting all that an app registered did.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ForgottenApp {
    pub(crate) app_id: Uuid,
    /// How many there were.
    pub(crate) forgotten: u64,
}
