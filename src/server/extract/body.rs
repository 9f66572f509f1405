//! Request bodies: bounded, and of the right media type.

use std::time::Duration;

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, header},
};
use http_body_util::BodyExt;

use crate::{
    config::ServerConfig,
    server::{budget::NoRoom, problem::Problem},
};

/// The size of a body, and the time it may take.
#[derive(Clone, Copy)]
pub(in crate::server) struct Bounds {
    size: usize,
    time: Duration,
}

impl Bounds {
    /// Of a request for one thing.
    pub(in crate::server) fn single(config: &ServerConfig) -> Self {
        Bounds { size: config.max_body, time: config.body_timeout.0 }
    }

    /// Of a check of Envoy's.
    pub(in crate::server) fn check(config: &ServerConfig) -> Self {
        Bounds { size: config.max_check(), time: config.body_timeout.0 }
    }

    /// Of a batch.
    pub(in crate::server) fn batch(config: &ServerConfig) -> Self {
        Bounds { size: config.max_batch_body, time: config.body_timeout.0 }
    }
}

/// The same request with its body read, so that none of it is left on the connection whatever is answered: a client that sends
/// the next request there would find it closed.
pub(in crate::server) async fn read_ahead(request: Request, bounds: Bounds) -> Result<Request, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = bytes(Request::new(body), bounds).await?;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

/// The body as bytes, after its media type was found to be `wanted`.
pub(in crate::server) async fn form(request: Request, bounds: Bounds) -> Result<Vec<u8>, Problem> {
    expect_type(request.headers(), "application/x-www-form-urlencoded")?;
    bytes(request, bounds).await
}

/// The body as bytes, of any media type.
pub(in crate::server) async fn bytes(request: Request, bounds: Bounds) -> Result<Vec<u8>, Problem> {
    tokio::time::timeout(bounds.time, collect(request, bounds.size)).await.unwrap_or_else(|_| Err(Problem::timed_out()))
}

/// Reads at most `limit` bytes. The connection deals with the rest of a larger body.
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

/// The body is read as UTF-8, so no other charset is accepted, and no second header that may contradict the first.
pub(super) fn expect_type(headers: &HeaderMap, wanted: &'static str) -> Result<(), Problem> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
