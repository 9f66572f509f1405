//! Request bodies: bounded, and of the right media type.

use std::time::Duration;

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{HeaderMap, header},
};
use futures_util::future::poll_immediate;
use http_body_util::BodyExt;

use crate::{
    config::ServerConfig,
    server::{body_budget::NoRoom, problem::Problem},
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

/// The same request with its body read, so that every answer leaves the connection without a rest of it: a client that
/// sends the next request there would find it closed.
pub(in crate::server) async fn read_ahead(request: Request, bounds: Bounds) -> Result<Request, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = bytes(body, bounds).await?;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

/// The body as bytes, of any media type.
pub(in crate::server) async fn bytes(body: Body, bounds: Bounds) -> Result<Bytes, Problem> {
    let mut collecting = std::pin::pin!(collect(body, bounds.size));
    // A body that arrived with its head needs no timer.
    match poll_immediate(collecting.as_mut()).await {
        Some(collected) => collected,
        None => tokio::time::timeout(bounds.time, collecting).await.unwrap_or_else(|_| Err(Problem::timed_out())),
    }
}

/// Reads at most `limit` bytes. The connection deals with the rest of a larger body.
async fn collect(mut body: Body, limit: usize) -> Result<Bytes, Problem> {
    let (mut first, mut kept) = (Bytes::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match error.into_inner().downcast_ref::<NoRoom>() {
            Some(NoRoom::Full) => Problem::busy(),
            Some(NoRoom::Evicted) => Problem::timed_out(),
            None => Problem::bad_request("the body ended early"),
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len().max(kept.len()) + data.len() > limit {
            return Err(Problem::too_large(limit));
        }
        if first.is_empty() && kept.is_empty() {
            // Most bodies come in one piece, which needs no copy.
            first = data;
            continue;
        }
        if kept.is_empty() {
            kept = Vec::with_capacity(body.size_hint().lower().min(limit as u64) as usize + first.len() + data.len());
            kept.extend_from_slice(&first);
        }
        kept.extend_from_slice(&data);
    }
    Ok(if kept.is_empty() { first } else { kept.into() })
}

/// The body is read as UTF-8, so no other charset is accepted, and no second header that may contradict the first.
pub(super) fn expect_type(headers: &HeaderMap, wanted: &'static str) -> Result<(), Problem> {
    let mut given = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return Err(Problem::media_type(wanted)) };
    // As nearly every client writes it.
    if value == wanted {
        return Ok(());
    }
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
