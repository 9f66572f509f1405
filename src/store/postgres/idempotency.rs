//! The table of answers to requests with an `Idempotency-Key`.

use jiff::Timestamp;

use super::{damaged, params::params, session::Session};
use crate::store::{IdempotentAnswer, StoreError};

/// What this caller's request of this key was answered.
pub(super) fn answer(session: &Session, caller: &str, key: &str) -> Result<Option<IdempotentAnswer>, StoreError> {
    let row = session.first(
        "SELECT request, api_key_ids, at FROM bulla.idempotency WHERE caller = $1 AND key = $2",
        &params![caller, key],
    )?;
    let Some(row) = row else { return Ok(None) };
    let (ids, at): (&str, i64) = (row.get(1), row.get(2));
    let texts: Vec<String> = serde_json::from_str(ids).unwrap_or_default();
    let ids: Result<Vec<_>, _> = texts.iter().map(|id| id.parse()).collect();
    match (ids, Timestamp::from_second(at)) {
        (Ok(api_key_ids), Ok(at)) => Ok(Some(IdempotentAnswer { request: row.get(0), api_key_ids, at })),
        _ => Err(damaged("the answers of", at)),
    }
}

/// Remembers an answer.
pub(super) fn remember(
    session: &Session,
    caller: &str,
    key: &str,
    answer: &IdempotentAnswer,
) -> Result<(), StoreError> {
    let ids: Vec<String> = answer.api_key_ids.iter().map(ToString::to_string).collect();
    let ids = serde_json::to_string(&ids).map_err(|error| StoreError::Failed(error.to_string()))?;
    session.execute(
        "INSERT INTO bulla.idempotency (caller, key, request, api_key_ids, at) VALUES ($1, $2, $3, $4, $5)",
        &params![caller, key, answer.request.as_str(), ids, answer.at.as_second()],
    )?;
    Ok(())
}

/// Forgets old answers.
pub(super) fn sweep(session: &Session, before: Timestamp) -> Result<(), StoreError> {
    session.execute("DELETE FROM bulla.idempotency WHERE at < $1", &params![before.as_second()])?;
    Ok(())
}
