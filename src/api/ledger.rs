//! The ledger as it is shown.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use bulla::Realm;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    query::{self, LONGEST_PAGE, PAGE},
    schema,
};
use crate::store::{LedgerEntry, LedgerFilter, State, Store, StoreError};

/// Some of the API keys on record, and the cursor for more.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Page)]
pub(crate) struct ApiKeyPage {
    pub(crate) api_keys: Vec<ApiKeyView>,
    /// For the next page; null at the end.
    #[schema(required)]
    pub(crate) next_cursor: Option<String>,
}

/// An API key on record.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ApiKeyView {
    #[schema(value_type = schema::ApiKeyId)]
    pub(crate) api_key_id: String,
    #[schema(value_type = schema::Realm)]
    pub(crate) realm: String,
    pub(crate) app_id: Uuid,
    pub(crate) version: u32,
    #[schema(value_type = schema::ApiKeyState)]
    pub(crate) state: State,
    #[schema(required)]
    pub(crate) name: Option<String>,
    /// 1970-01-01T00:00:00Z for an imported key whose old system did not say it.
    pub(crate) issued_at: Timestamp,
    #[schema(required)]
    pub(crate) expires_at: Option<Timestamp>,
    /// When it was revoked, or is to be. For a rule: the time before which the rule revokes keys.
    #[schema(required)]
    pub(crate) revoked_at: Option<Timestamp>,
    #[schema(required)]
    pub(crate) revoke_reason: Option<String>,
    #[schema(required)]
    pub(crate) suspended_at: Option<Timestamp>,
    /// Up to a flush interval behind.
    #[schema(required)]
    pub(crate) last_used_at: Option<Timestamp>,
    pub(crate) use_count: u64,
    pub(crate) scopes: Vec<String>,
    /// What it is restricted to; null for the oldest keys, whose restrictions are not on record.
    #[schema(required)]
    pub(crate) audience: Option<Vec<String>>,
    #[schema(required)]
    pub(crate) cidr: Option<Vec<String>>,
    pub(crate) meta: BTreeMap<String, String>,
    pub(crate) issued_by: String,
    #[schema(required, value_type = Option<schema::ApiKeyId>)]
    pub(crate) rerolled_from: Option<String>,
}

/// Which page is asked for.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct LedgerQuery {
    /// This realm alone.
    #[param(value_type = Option<schema::RealmOrNothing>)]
    #[serde(deserialize_with = "query::unless_empty")]
    pub(crate) realm: Option<Realm>,
    /// This app alone.
    #[param(value_type = Option<schema::AppIdOrNothing>)]
    #[serde(deserialize_with = "query::unless_empty")]
    pub(crate) app_id: Option<Uuid>,
    /// A realm to leave out.
    #[serde(skip)]
    pub(crate) without: Option<Realm>,
    /// A page's `next_cursor`.
    #[serde(deserialize_with = "query::unless_empty")]
    pub(crate) cursor: Option<String>,
    /// The most keys of the page; 100 by default.
    #[param(value_type = Option<schema::PageSizeOrNothing>)]
    #[serde(deserialize_with = "query::unless_empty")]
    pub(crate) limit: Option<u32>,
}

/// Why a page cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PageError {
    #[error("`cursor` must be the `next_cursor` of a page")]
    Cursor,
    #[error("`limit` must be 1 to {LONGEST_PAGE}")]
    Limit,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ApiKeyPage {
    /// Reads the page from `store`. A forged cursor only shows keys that the caller may see anyway.
    pub(crate) fn read(store: &dyn Store, query: &LedgerQuery, now: Timestamp) -> Result<Self, PageError> {
        let after = query.cursor.as_deref().map_or(Some(0), place).ok_or(PageError::Cursor)?;
        let limit = query.limit.unwrap_or(PAGE);
        if !(1..=LONGEST_PAGE).contains(&limit) {
            return Err(PageError::Limit);
        }
        let LedgerQuery { realm, app_id, without, .. } = *query;
        let filter = LedgerFilter { realm, app_id, without, after, limit: limit + 1 };
        let mut rows = store.list(&filter)?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next_cursor = rows.last().filter(|_| more).map(|entry| cursor(entry.place));
        Ok(ApiKeyPage { api_keys: rows.into_iter().map(|entry| ApiKeyView::new(entry, now)).collect(), next_cursor })
    }
}

impl ApiKeyView {
    pub(crate) fn new(entry: LedgerEntry, now: Timestamp) -> Self {
        let state = entry.state(now);
        let ruled_out = entry.issued_before.filter(|before| entry.row.issued_at < *before);
        let row = entry.row;
        let (audience, cidr) = row.restrictions.map(|all| (all.audience, all.cidr)).unzip();
        ApiKeyView {
            api_key_id: row.id.to_string(),
            realm: row.id.realm().to_string(),
            app_id: row.app_id,
            version: row.id.version(),
            state,
            name: row.name,
            issued_at: row.issued_at,
            expires_at: row.expires_at,
            revoked_at: entry.revoked_at.into_iter().chain(ruled_out).min(),
            revoke_reason: entry.revoke_reason,
            suspended_at: entry.suspended_at,
            last_used_at: entry.last_used_at,
            use_count: entry.use_count,
            scopes: row.scopes,
            audience,
            cidr,
            meta: row.meta,
            issued_by: row.issued_by,
            rerolled_from: row.rerolled_from.map(|id| id.to_string()),
        }
    }
}

fn cursor(seq: i64) -> String {
    BASE64URL.encode(seq.to_be_bytes())
}

fn place(cursor: &str) -> Option<i64> {
    let bytes = BASE64URL.decode(cursor).ok()?;
    Some(i64::from_be_bytes(bytes.try_into().ok()?)).filter(|seq| *seq >= 0)
}
