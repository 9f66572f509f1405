//! The ledger as it is shown: on the command line with `--json`, and over the admin plane.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use bulla::Realm;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    schema,
    store::{LedgerEntry, LedgerFilter, State, Store, StoreError},
};

/// Rows of a page unless it is said otherwise, and at most.
pub(crate) const PAGE: u32 = 100;
pub(crate) const LONGEST_PAGE: u32 = 1_000;

/// Some of the API keys on record, and where to go on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page {
    pub(crate) api_keys: Vec<ApiKeyView>,
    /// Gives the next page; none at the end.
    #[schema(required)]
    pub(crate) next_cursor: Option<String>,
}

/// An API key on record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiKeyView {
    #[schema(value_type = schema::ApiKeyId)]
    pub(crate) api_key_id: String,
    #[schema(value_type = schema::Realm)]
    pub(crate) realm: String,
    pub(crate) app_id: Uuid,
    pub(crate) version: u32,
    pub(crate) state: State,
    #[schema(required)]
    pub(crate) name: Option<String>,
    pub(crate) issued_at: Timestamp,
    #[schema(required)]
    pub(crate) expires_at: Option<Timestamp>,
    /// When it was revoked, or is to be; the time before which a rule takes keys back counts too.
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
    /// What it is restricted to; none on record for the oldest keys.
    #[schema(required)]
    pub(crate) audience: Option<Vec<String>>,
    #[schema(required)]
    pub(crate) cidr: Option<Vec<String>>,
    pub(crate) meta: BTreeMap<String, String>,
    pub(crate) issued_by: String,
    #[schema(required, value_type = Option<schema::ApiKeyId>)]
    pub(crate) rerolled_from: Option<String>,
}

/// Which page is wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) realm: Option<Realm>,
    pub(crate) app_id: Option<Uuid>,
    /// A realm to leave out.
    pub(crate) without: Option<Realm>,
    pub(crate) cursor: Option<String>,
    pub(crate) limit: Option<u32>,
}

/// No page can be given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PageError {
    #[error("`cursor` is none that a page gave")]
    Cursor,
    #[error("`limit` is 1 to {LONGEST_PAGE}")]
    Limit,
    #[error("`realm`: there is no realm `{0}` in the configuration, and the ledger has no key of it")]
    Realm(Realm),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Page {
    /// Reads the page from `store`. A cursor only says where to go on: whoever forges one sees what he might see anyway.
    pub(crate) fn read(store: &dyn Store, wanted: &Wanted, now: Timestamp) -> Result<Self, PageError> {
        let after = wanted.cursor.as_deref().map_or(Some(0), place).ok_or(PageError::Cursor)?;
        let limit = wanted.limit.unwrap_or(PAGE);
        if !(1..=LONGEST_PAGE).contains(&limit) {
            return Err(PageError::Limit);
        }
        let Wanted { realm, app_id, without, .. } = *wanted;
        let filter = LedgerFilter { realm, app_id, without, after, limit: limit + 1 };
        let mut rows = store.list(&filter)?;
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next_cursor = rows.last().filter(|_| more).map(|entry| cursor(entry.place));
        Ok(Page { api_keys: rows.into_iter().map(|entry| ApiKeyView::new(entry, now)).collect(), next_cursor })
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
