//! A row of the remembered answers.

use jiff::Timestamp;

use crate::store::IdempotentAnswer;

/// The answer, from its columns; `None` where the row is damaged. Its ids are a JSON array, and its time is in Unix
/// seconds.
pub(in crate::store) fn remembered_answer(request: String, ids: &str, at: i64) -> Option<IdempotentAnswer> {
    let ids: Vec<String> = serde_json::from_str(ids).ok()?;
    let api_key_ids = ids.iter().map(|id| id.parse().ok()).collect::<Option<_>>()?;
    Some(IdempotentAnswer { request, api_key_ids, at: Timestamp::from_second(at).ok()? })
}
