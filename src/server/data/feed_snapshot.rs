//! `GET /v1/revocations/snapshot` and `/v1/revocations/snapshots/NAME`: the snapshots of `docs/FEED.md`.

use std::{ops::Range, sync::Arc};

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::feed::granted;
use crate::{
    api::{
        feed::SnapshotQuery,
        responses::{BadRequest, Credential, Internal, NoSnapshot, Unavailable},
        schema,
    },
    server::{
        App,
        auth::Caller,
        blocking,
        extract::{PathParam, Query},
        feed::snapshots::Written,
        problem::Problem,
    },
};

/// Reads the manifest of a snapshot of the revocation feed.
///
/// For followers that begin: it names a body that holds everything which the log says at one place, in few bytes.
/// Signed as a message is, and with the same authorization.
#[utoipa::path(
    get, path = "/v1/revocations/snapshot",
    params(SnapshotQuery),
    responses(
        (status = 200, description = "The manifest.", headers(("Cache-Control" = String)),
            content((String = "application/x-ndjson"))),
        BadRequest, Credential, Internal, Unavailable,
    )
)]
pub(super) async fn snapshot_manifest(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(query): Query<SnapshotQuery>,
) -> Result<Response, Problem> {
    let realm = granted(&app, &caller, query.realm).await?;
    let feed = app.feed.as_ref().ok_or_else(Problem::no_feed)?;
    let (log_id, end) = app.revocations.place();
    let log_id = log_id.ok_or_else(Problem::internal)?;
    let write = || {
        let app = Arc::clone(&app);
        async move { blocking::run(move || app.feed.as_ref().ok_or_else(Problem::no_feed)?.write_snapshot(realm)).await? }
    };
    feed.snapshots.newest(realm, (&log_id, end), write).await.map(|written| manifest_of(&written))
}

/// The manifest, as it is sent.
pub(in crate::server) fn manifest_of(written: &Written) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")];
    (headers, written.manifest.clone()).into_response()
}

/// Reads the body of a snapshot.
///
/// The manifest has the SHA-256 of each of its chunks. `Range` reads on from where a download was cut off.
#[utoipa::path(
    get, path = "/v1/revocations/snapshots/{name}",
    params(("name" = inline(schema::SnapshotName), Path, description = "The name of the body, as the manifest gives it."), SnapshotQuery),
    responses(
        (status = 200, description = "The body.", headers(("ETag" = String), ("Accept-Ranges" = String)),
            content((Vec<u8> = "application/octet-stream"))),
        (status = 206, description = "The part of it that `Range` names.", headers(("Content-Range" = String)),
            content((Vec<u8> = "application/octet-stream"))),
        (status = 416, description = "The body has no such part.", headers(("Content-Range" = String))),
        BadRequest, Credential, NoSnapshot, Internal, Unavailable,
    )
)]
pub(super) async fn snapshot_body(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathParam(name): PathParam<String>,
    Query(query): Query<SnapshotQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let realm = granted(&app, &caller, query.realm).await?;
    let feed = app.feed.as_ref().ok_or_else(Problem::no_feed)?;
    let written = feed.snapshots.named(realm, &name).ok_or_else(Problem::no_snapshot)?;
    Ok(body_of(&written, &headers))
}

/// The body, or the part of it that was asked for.
pub(in crate::server) fn body_of(written: &Written, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", written.name);
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let range = text(header::RANGE).filter(|_| text(header::IF_RANGE).is_none_or(|condition| condition == tag));
    let (body, whole) = (&written.body, written.body.len());
    let (status, part, range) = match range.map_or(ByteRange::All, |range| asked(range, whole)) {
        ByteRange::All => (StatusCode::OK, body.clone(), None),
        ByteRange::Part(part) => {
            let range = format!("bytes {}-{}/{whole}", part.start, part.end - 1);
            (StatusCode::PARTIAL_CONTENT, body.slice(part), Some(range))
        }
        ByteRange::Outside => (StatusCode::RANGE_NOT_SATISFIABLE, Bytes::new(), Some(format!("bytes */{whole}"))),
    };
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CACHE_CONTROL, "private, max-age=86400, immutable"),
        (header::ACCEPT_RANGES, "bytes"),
        (header::ETAG, &tag),
    ];
    (status, headers, range.map(|range| [(header::CONTENT_RANGE, range)]), part).into_response()
}

/// What a header `Range` asks for.
#[derive(Debug, PartialEq, Eq)]
enum ByteRange {
    /// It is not understood, or of several parts, and not heeded.
    All,
    Part(Range<usize>),
    Outside,
}

fn asked(range: &str, length: usize) -> ByteRange {
    let part = range.trim().strip_prefix("bytes=").and_then(|part| part.split_once('-'));
    let number = |text: &str| text.trim().parse::<usize>().ok();
    let (first, last) = match part {
        Some(("", last)) => match number(last) {
            Some(last) => (length.saturating_sub(last), length),
            None => return ByteRange::All,
        },
        Some((first, "")) => match number(first) {
            Some(first) => (first, length),
            None => return ByteRange::All,
        },
        Some((first, last)) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(length)),
            _ => return ByteRange::All,
        },
        None => return ByteRange::All,
    };
    if first < last { ByteRange::Part(first..last) } else { ByteRange::Outside }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_served_and_what_is_not_understood_is_not_heeded() {
        for (range, expected) in [
            ("bytes=0-", ByteRange::Part(0..10)),
            ("bytes=4-", ByteRange::Part(4..10)),
            ("bytes=4-4", ByteRange::Part(4..5)),
            ("bytes=4-99", ByteRange::Part(4..10)),
            ("bytes=-3", ByteRange::Part(7..10)),
            ("bytes=-99", ByteRange::Part(0..10)),
            ("bytes=10-", ByteRange::Outside),
            ("bytes=10-12", ByteRange::Outside),
            ("bytes=-0", ByteRange::Outside),
            ("bytes=5-4", ByteRange::All),
            ("bytes=0-1,4-5", ByteRange::All),
            ("bytes=a-5", ByteRange::All),
            ("lines=1-2", ByteRange::All),
            ("bytes", ByteRange::All),
        ] {
            assert_eq!(asked(range, 10), expected, "{range}");
        }
    }
}
