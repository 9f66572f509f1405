//! The header `Idempotency-Key`: a client draws a key for each request, and the request is done once however often it
//! arrives. `action/idempotency.rs` does the rest.

use bulla::ApiKey;

use crate::{
    action::idempotency::IdempotencyKey,
    input::text::TextError,
    server::{extract::JsonBody, problem::Problem},
};

/// Longest key, in characters.
const LONGEST: usize = 255;

/// The request's key, with a digest of endpoint and body: the same key must not come with another request.
pub(super) fn key<T, B>(body: &JsonBody<T, B>, endpoint: &str) -> Result<Option<IdempotencyKey>, Problem> {
    let mut given = body.headers().get_all("idempotency-key").iter();
    let (key, another) = (given.next(), given.next());
    let Some(key) = key else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| (1..=LONGEST).contains(&key.len()) && another.is_none());
    let key = key
        .ok_or_else(|| Problem::bad_request(format!("give one Idempotency-Key of 1 to {LONGEST} ASCII characters")))?;
    if ApiKey::is_within(key) {
        return Err(Problem::bad_request(format!("Idempotency-Key: {}", TextError::HoldsKey)));
    }
    Ok(Some(IdempotencyKey::new(key, endpoint, body.bytes())))
}
