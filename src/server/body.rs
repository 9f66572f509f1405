//! Request bodies: bounded, of the right media type, and parsed with an error that says what was wrong.

use std::time::Duration;

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, header},
};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::{budget::NoRoom, problem::Problem};
use crate::{config::ServerConfig, json::TWICE};

/// Longer than the names of all fields, and shorter than every API key.
const LONGEST_NAME: usize = 32;

const WRONG_KIND: &str = "a value of the wrong kind";

/// What a body may cost.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    size: usize,
    time: Duration,
}

impl Bounds {
    /// Of a single request.
    pub(super) fn single(config: &ServerConfig) -> Self {
        Bounds { size: config.max_body, time: config.body_timeout.0 }
    }

    /// Of what an Envoy asks.
    pub(super) fn check(config: &ServerConfig) -> Self {
        Bounds { size: config.max_check(), time: config.body_timeout.0 }
    }

    /// Of a batch.
    pub(super) fn batch(config: &ServerConfig) -> Self {
        Bounds { size: config.max_batch_body, time: config.body_timeout.0 }
    }
}

/// The same request with its body at hand, so that none of it is left on the connection whatever is answered: a client
/// that sends the next request there would find it closed.
pub(super) async fn at_hand(request: Request, bounds: Bounds) -> Result<Request, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = bytes(Request::new(body), bounds).await?;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

/// The body as JSON.
pub(super) async fn json<T: DeserializeOwned>(request: Request, bounds: Bounds) -> Result<T, Problem> {
    Ok(json_and_bytes(request, bounds).await?.0)
}

/// The body as JSON, and its bytes.
pub(super) async fn json_and_bytes<T: DeserializeOwned>(
    request: Request,
    bounds: Bounds,
) -> Result<(T, Vec<u8>), Problem> {
    expect_type(request.headers(), "application/json")?;
    let bytes = bytes(request, bounds).await?;
    Ok((parse(&bytes)?, bytes))
}

/// The body as JSON, or the defaults where there is none.
pub(super) async fn optional_json<T: DeserializeOwned + Default>(
    request: Request,
    bounds: Bounds,
) -> Result<T, Problem> {
    let typed = expect_type(request.headers(), "application/json");
    let bytes = bytes(request, bounds).await?;
    if bytes.is_empty() {
        return Ok(T::default());
    }
    typed?;
    parse(&bytes)
}

/// The body as bytes, after its media type was found to be `wanted`.
pub(super) async fn form(request: Request, bounds: Bounds) -> Result<Vec<u8>, Problem> {
    expect_type(request.headers(), "application/x-www-form-urlencoded")?;
    bytes(request, bounds).await
}

/// The body as bytes, of whichever media type.
pub(super) async fn bytes(request: Request, bounds: Bounds) -> Result<Vec<u8>, Problem> {
    tokio::time::timeout(bounds.time, collect(request, bounds.size)).await.unwrap_or_else(|_| Err(Problem::timed_out()))
}

/// Reads at most `limit` bytes. What becomes of the rest of a larger body is the connection's business.
async fn collect(request: Request, limit: usize) -> Result<Vec<u8>, Problem> {
    let mut body = request.into_body();
    let mut kept = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match error.into_inner().downcast_ref::<NoRoom>() {
            Some(NoRoom::Full) => Problem::busy(),
            Some(NoRoom::Evicted) => Problem::timed_out(),
            None => Problem::bad_request("the body ended early"),
        })?;
        let Some(data) = frame.data_ref() else { continue };
        if kept.len() + data.len() > limit {
            return Err(Problem::too_large(limit));
        }
        kept.extend_from_slice(data);
    }
    Ok(kept)
}

/// The body is read as UTF-8, so no other charset is taken, nor two statements of which each may be the right one.
fn expect_type(headers: &HeaderMap, wanted: &'static str) -> Result<(), Problem> {
    let mut given = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return Err(Problem::media_type(wanted)) };
    let mut parts = value.to_str().unwrap_or_default().split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let mut parameters = parts.filter_map(|part| part.split_once('='));
    let in_utf_8 = parameters.all(|(name, value)| {
        !name.trim().eq_ignore_ascii_case("charset") || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    if essence.eq_ignore_ascii_case(wanted) && in_utf_8 { Ok(()) } else { Err(Problem::media_type(wanted)) }
}

/// The parser's own words may quote what it stumbled on, which may be an API key: only place and kind are told.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        let told = explain(&error);
        match place::<T>(bytes) {
            Some(place) if told.starts_with(WRONG_KIND) => Problem::bad_request(format!("`{place}`: {told}")),
            _ => Problem::bad_request(told),
        }
    })
}

/// Which field holds a value that does not fit, as `api_keys[1].scopes`. Parses again, which only a refused body costs.
fn place<T: DeserializeOwned>(bytes: &[u8]) -> Option<String> {
    let error = serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_slice(bytes)).err()?;
    let mut place = String::new();
    for segment in error.path() {
        match segment {
            Segment::Seq { index } => place += &format!("[{index}]"),
            // A longer name may be an API key in the wrong place.
            Segment::Map { key } if key.len() <= LONGEST_NAME => {
                place += if place.is_empty() { "" } else { "." };
                place += key;
            }
            _ => break,
        }
    }
    Some(place).filter(|place| !place.is_empty() && error.inner().is_data())
}

fn explain(error: &serde_json::Error) -> String {
    let place = format!("line {}, column {}", error.line(), error.column());
    let text = error.to_string();
    match error.classify() {
        serde_json::error::Category::Data => {
            // A name as short as a field's is told; a longer one may be an API key in the wrong place.
            let name = text.split('`').nth(1).unwrap_or_default();
            let told =
                ["unknown field", "missing field", "duplicate field", TWICE].iter().any(|kind| text.starts_with(kind));
            match (told, name.len() <= LONGEST_NAME) {
                (true, true) => text,
                (true, false) => format!("unknown field at {place}"),
                (false, _) => format!("{WRONG_KIND} at {place}"),
            }
        }
        serde_json::error::Category::Eof => "the JSON ends early, or there is none".to_owned(),
        _ => format!("not JSON at {place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::new_api_key::NewApiKey;

    #[test]
    fn a_body_has_one_media_type_and_is_in_utf_8() {
        const JSON: &str = "application/json";
        let expect = |given: &[&'static str]| {
            let value = |value| (header::CONTENT_TYPE, header::HeaderValue::from_static(value));
            let mut headers = HeaderMap::new();
            headers.extend(given.iter().copied().map(value));
            expect_type(&headers, JSON).is_ok()
        };
        for good in [JSON, "Application/JSON ; charset=UTF-8", "application/json;charset=\"utf-8\"; x=y"] {
            assert!(expect(&[good]), "{good}");
        }
        for bad in ["text/json", "application/json; charset=utf-16", "application/json;Charset=latin1", ""] {
            assert!(!expect(&[bad]), "{bad}");
        }
        assert!(!expect(&[]) && !expect(&[JSON, JSON]) && !expect(&[JSON, "text/plain"]));
    }

    #[test]
    fn errors_say_what_is_wrong_and_never_quote_values() {
        for (body, told) in [
            (r#"{"realm":"live","app_id":"x","nope":1}"#, "unknown field `nope`"),
            (r#"{"realm":"live"}"#, "missing field `app_id`"),
            (r#"{"realm":"live","realm":"live"}"#, "duplicate field `realm`"),
            (r#"{"realm":"live","app_id":"x","meta":{"live_hidden":"a","live_hidden":"b"}}"#, "a name stands twice"),
            (r#"{"realm":"live","app_id":"x","scopes":"live_hidden"}"#, "wrong kind at line 1"),
            (r#"{"realm":"#, "ends early"),
            (r#"{"realm":live_hidden}"#, "not JSON at line 1"),
            (r#"{"live_hidden0000000000000000000000000000":1}"#, "unknown field at line 1"),
        ] {
            let error = explain(&serde_json::from_str::<NewApiKey>(body).expect_err("a wrong body"));
            assert!(error.contains(told) && !error.contains("hidden"), "{body}: {error}");
        }
    }

    #[test]
    fn errors_name_the_field_and_never_a_name_as_long_as_an_api_key() {
        let long = "k".repeat(LONGEST_NAME + 1);
        for (body, told) in [
            (r#"{"realm":"live","app_id":"x","scopes":null}"#, Some("scopes")),
            (r#"{"realm":"live","app_id":"x","scopes":["a",1]}"#, Some("scopes[1]")),
            (r#"{"realm":"live","app_id":"x","meta":{"plan":1}}"#, Some("meta.plan")),
            (&format!(r#"{{"realm":"live","app_id":"x","meta":{{"{long}":1}}}}"#), Some("meta")),
            (r#"{"realm":"live","app_id":"x""#, None),
        ] {
            assert_eq!(place::<NewApiKey>(body.as_bytes()).as_deref(), told, "{body}");
        }
    }
}
