//! The table of answers to requests with an `Idempotency-Key`.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::store::{
    IdempotentAnswer, StoreError,
    rows::{damaged, remembered_answer},
};

/// The stored answer to this caller's request with this key.
pub(super) fn answer(connection: &Connection, caller: &str, key: &str) -> Result<Option<IdempotentAnswer>, StoreError> {
    let mut query =
        connection.prepare_cached("SELECT request, api_key_ids, at FROM idempotency WHERE caller = ?1 AND key = ?2")?;
    let row = query.query_row([caller, key], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
    });
    let Some((request, ids, at)) = row.optional()? else { return Ok(None) };
    let answer = remembered_answer(request, &ids, at);
    answer.ok_or_else(|| damaged("the remembered answers", format_args!("({caller}, {key})"))).map(Some)
}

/// Remembers an answer.
pub(super) fn remember(
    connection: &Connection,
    caller: &str,
    key: &str,
    answer: &IdempotentAnswer,
) -> Result<(), StoreError> {
    let ids: Vec<String> = answer.api_key_ids.iter().map(ToString::to_string).collect();
    let ids = serde_json::to_string(&ids).map_err(|error| StoreError::Failed(error.to_string()))?;
    connection
        .prepare_cached("INSERT INTO idempotency (caller, key, request, api_key_ids, at) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![caller, key, answer.request, ids, answer.at.as_second()])?;
    Ok(())
}

/// Forgets at most `limit` old answers; how many.
pub(super) fn sweep(connection: &Connection, before: Timestamp, limit: u32) -> Result<usize, StoreError> {
    let delete = "DELETE FROM idempotency
                  WHERE (caller, key) IN (SELECT caller, key FROM idempotency WHERE at < ?1 LIMIT ?2)";
    Ok(connection.execute(delete, params![before.as_second(), limit])?)
}
