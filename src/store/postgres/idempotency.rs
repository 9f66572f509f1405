//! The table of answers to requests with an `Idempotency-Key`.

use jiff::Timestamp;

use super::{params::params, session::Session};
use crate::store::{
    IdempotentAnswer, StoreError,
    rows::{damaged, remembered_answer},
};

/// The stored answer to this caller's request with this key.
pub(super) fn answer(session: &Session, caller: &str, key: &str) -> Result<Option<IdempotentAnswer>, StoreError> {
    let row = session.first(
        "SELECT request, api_key_ids, at FROM bulla.idempotency WHERE caller = $1 AND key = $2",
        &params![caller, key],
    )?;
    let Some(row) = row else { return Ok(None) };
    let answer = remembered_answer(row.get(0), row.get(1), row.get(2));
    answer.ok_or_else(|| damaged("the remembered answers", format_args!("({caller}, {key})"))).map(Some)
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
