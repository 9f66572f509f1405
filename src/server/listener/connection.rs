//! One connection: HTTP/1.1 or HTTP/2, within limits.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::Watcher},
};

use super::{Answers, Asked, Limits, Peer, transport::Secured, unread};
use crate::{server::patience::Patience, telemetry::limit::LineLimit};

/// Streams that one HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 256;

/// Answers requests until the other end has no more, or `watcher` says that the service stops.
pub(super) async fn serve(
    Secured { stream, client }: Secured,
    peer: Peer,
    answers: impl Answers,
    limits: Limits,
    watcher: Watcher,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.head_timeout).max_buf_size(limits.max_head);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.max_head).unwrap_or(u32::MAX))
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(Some(Duration::from_secs(20)));
    let service = hyper::service::service_fn(move |request| {
        let (request, watch) = unread::watch(request);
        let asked = Asked { request, peer, client: client.clone() };
        answers.clone().answer(asked).map(|response| Ok::<_, Infallible>(watch.seen(response)))
    });
    let stream = Patience::new(stream, limits.head_timeout, limits.idle_timeout);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        static LINES: LineLimit = LineLimit::new();
        if tracing::enabled!(tracing::Level::DEBUG)
            && let Some(kept_back) = LINES.allow(Instant::now())
        {
            tracing::debug!(%error, kept_back, "a connection ended early");
        }
    }
}
