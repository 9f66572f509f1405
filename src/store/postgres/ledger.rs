//! The ledger's table.

use bulla::ApiKeyId;
use jiff::Timestamp;
use tokio_postgres::Row;

use super::{
    params::{Param, param, params},
    revocation::IN_EFFECT,
    revocation_rows::RULED_BEFORE,
    seal_counts::COUNT_SEAL,
    session::Session,
    transaction::Writing,
};
use crate::{
    clock,
    last_used::Use,
    store::{LedgerEntry, LedgerFilter, LedgerRow, StoreError, rows::LedgerColumns, seal_budget::check_seal_budget},
};

/// Uses in one statement.
const USES: usize = 10_000;
/// How often uses are written where other transactions are in the way.
const TRIES: usize = 5;

/// The latest time before which a rule revokes what a key's app or realm was issued; 0 without one.
pub(super) fn ruled_before() -> String {
    format!(
        "greatest(coalesce((SELECT max({RULED_BEFORE}) FROM bulla.revocations AS rule
                            WHERE rule.app_id = api_keys.app_id
                            AND (rule.realm IS NULL OR rule.realm = api_keys.realm)), 0),
                  coalesce((SELECT max({RULED_BEFORE}) FROM bulla.revocations AS rule
                            WHERE rule.kind = 'revoke_realm' AND rule.realm = api_keys.realm), 0))"
    )
}

/// The columns of a key. Rules, and whether its revocation is in effect, are in the revocation log.
fn select() -> String {
    let ruled_before = ruled_before();
    format!(
        "SELECT seq, api_key_id, app_id, name, issued_at, expires_at, scopes, audience, cidr, meta, issued_by, rerolled_from,
                revoked_at, revoke_reason, suspended_at, last_used_at, use_count,
                {ruled_before},
                coalesce((SELECT bool_or({IN_EFFECT}) FROM bulla.revocations AS own
                          WHERE own.api_key_id = api_keys.api_key_id), false)
         FROM bulla.api_keys"
    )
}

/// The keys behind a place, in the order they were recorded.
pub(super) fn list(session: &Session, filter: &LedgerFilter) -> Result<Vec<LedgerEntry>, StoreError> {
    let without = filter.without.map(|realm| realm.to_string());
    let (realm, app_id) = (filter.realm.map(|realm| realm.to_string()), filter.app_id.map(|app| app.to_string()));
    let (mut found, mut after) = (Vec::new(), filter.after);
    // A damaged row is left out, and another one takes its place.
    loop {
        let left = filter.limit as usize - found.len();
        let limit = i64::try_from(left).unwrap_or(i64::MAX);
        let mut query = format!("{} WHERE seq > $1", select());
        let mut values: Vec<Param<'_>> = vec![param(&after), param(&limit)];
        for (condition, value) in [("realm =", &realm), ("realm <>", &without), ("app_id =", &app_id)] {
            if let Some(value) = value {
                values.push(param(value));
                query.push_str(&format!(" AND {condition} ${}", values.len()));
            }
        }
        query.push_str(" ORDER BY seq LIMIT $2");
        let rows = session.query(&query, &values)?;
        for row in &rows {
            match read(row) {
                Ok(entry) => found.push(entry),
                Err(error) => tracing::error!(%error, "row of the ledger is damaged, left out of a list"),
            }
        }
        match rows.last() {
            Some(last) if rows.len() == left && found.len() < filter.limit as usize => after = last.get(0),
            _ => return Ok(found),
        }
    }
}

/// One key.
pub(super) fn find(session: &Session, id: &ApiKeyId) -> Result<Option<LedgerEntry>, StoreError> {
    let row = session.first(&format!("{} WHERE api_key_id = $1", select()), &params![id.to_string()])?;
    row.as_ref().map(read).transpose()
}

/// Records a key, and counts it against the budget of its realm and version.
pub(super) fn insert(writing: &mut Writing<'_>, row: &LedgerRow, budget: Option<u64>) -> Result<(), StoreError> {
    let columns = Columns::of(row, writing.numbers.key + 1)?;
    let counted = writing
        .writes()
        .first(&format!("WITH key AS ({INSERT} RETURNING realm, version) {COUNT_SEAL}"), &columns.params())?;
    let counted = counted.ok_or(StoreError::Duplicate)?;
    writing.numbers.key += 1;
    check_seal_budget(row.id.realm(), row.id.version(), counted.get(0), budget)
}

/// Records a key, unless the id is on record already.
pub(super) const INSERT: &str = "INSERT INTO bulla.api_keys
        (seq, api_key_id, realm, app_id, version, name, issued_at, expires_at, scopes, audience, cidr, meta, issued_by,
         rerolled_from)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (api_key_id) DO NOTHING";

/// A key as columns.
pub(super) struct Columns<'a> {
    row: &'a LedgerRow,
    place: i64,
    id: String,
    app_id: String,
    realm: String,
    version: i64,
    issued_at: i64,
    expires_at: Option<i64>,
    scopes: String,
    audience: Option<String>,
    cidr: Option<String>,
    meta: String,
    rerolled_from: Option<String>,
}

impl<'a> Columns<'a> {
    /// The columns of a key at this place.
    pub(super) fn of(row: &'a LedgerRow, place: i64) -> Result<Self, StoreError> {
        let json = |value: serde_json::Result<String>| value.map_err(|error| StoreError::Failed(error.to_string()));
        let restrictions = row.restrictions.as_ref();
        Ok(Columns {
            row,
            place,
            id: row.id.to_string(),
            app_id: row.app_id.to_string(),
            realm: row.id.realm().to_string(),
            version: i64::from(row.id.version()),
            issued_at: row.issued_at.as_second(),
            expires_at: row.expires_at.map(Timestamp::as_second),
            scopes: row.scopes.join(" "),
            audience: restrictions.map(|all| json(serde_json::to_string(&all.audience))).transpose()?,
            cidr: restrictions.map(|all| json(serde_json::to_string(&all.cidr))).transpose()?,
            meta: json(serde_json::to_string(&row.meta))?,
            rerolled_from: row.rerolled_from.map(|id| id.to_string()),
        })
    }

    /// The parameters of [`INSERT`].
    pub(super) fn params(&self) -> [Param<'_>; 14] {
        [
            param(&self.place),
            param(&self.id),
            param(&self.realm),
            param(&self.app_id),
            param(&self.version),
            param(&self.row.name),
            param(&self.issued_at),
            param(&self.expires_at),
            param(&self.scopes),
            param(&self.audience),
            param(&self.cidr),
            param(&self.meta),
            param(&self.row.issued_by),
            param(&self.rerolled_from),
        ]
    }
}

/// Adds uses; ids that are not on record are ignored. A count that is full stays so, and stops no other.
pub(super) fn note_uses(session: &Session, uses: &[Use]) -> Result<(), StoreError> {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    for part in uses.chunks(USES) {
        let ids: Vec<String> = part.iter().map(|used| used.id.to_string()).collect();
        let times: Vec<i64> = part.iter().map(|used| clock::timestamp(used.last_used).as_second()).collect();
        let counts: Vec<i64> = part.iter().map(|used| number(used.count)).collect();
        let values = params![ids, times, counts];
        let mut tries = 0;
        // Nodes lock the rows in orders of their own.
        while let Err(error) = session.execute(
            "UPDATE bulla.api_keys AS key
             SET last_used_at = greatest(key.last_used_at, used.at),
                 use_count = least(key.use_count, 9223372036854775807 - used.count) + used.count
             FROM (SELECT id, max(at) AS at, least(sum(count), 9223372036854775807)::bigint AS count
                   FROM unnest($1, $2, $3) AS one (id, at, count) GROUP BY id) AS used
             WHERE key.api_key_id = used.id",
            &values,
        ) {
            tries += 1;
            if tries == TRIES || !session.was_in_the_way() {
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Reads a row; an error where bulla did not write it.
fn read(row: &Row) -> Result<LedgerEntry, StoreError> {
    let columns = LedgerColumns {
        place: row.get(0),
        id: row.get(1),
        app_id: row.get(2),
        name: row.get(3),
        issued_at: row.get(4),
        expires_at: row.get(5),
        scopes: row.get(6),
        audience: row.get(7),
        cidr: row.get(8),
        meta: row.get(9),
        issued_by: row.get(10),
        rerolled_from: row.get(11),
        revoked_at: row.get(12),
        revoke_reason: row.get(13),
        suspended_at: row.get(14),
        last_used_at: row.get(15),
        use_count: row.get(16),
        issued_before: row.get(17),
        revoked_by_log: row.get(18),
    };
    columns.entry()
}
