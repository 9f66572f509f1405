//! One connection: HTTP/1.1 or HTTP/2, within limits.

use std::{
    convert::Infallible,
    io,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::http::Version;
use futures_util::FutureExt;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::Watcher},
};

use super::{
    Answers, Asked, Limits, Peer, answers::answer, connections::Place, lingering::Lingering, sending,
    transport::Secured, unread,
};
use crate::{server::patience::Patience, telemetry::limit::LineLimit};

/// Streams that one HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 128;

/// What may be under way of the bodies of one HTTP/2 connection that nobody reads yet.
const WINDOW: u32 = 256 << 10;

/// Answers requests until the other end has no more, others need the place, or `watcher` says that the service stops.
pub(super) async fn serve(
    Secured { stream, client }: Secured,
    place: Place,
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
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .keep_alive_interval(Some(Duration::from_secs(20)));
    let connection = Arc::clone(&place.connection);
    let service = {
        let (connection, budget, time) = (Arc::clone(&connection), limits.bodies, limits.body_timeout);
        hyper::service::service_fn(move |request| {
            let (asking, budget) = (connection.asks(), Arc::clone(&budget));
            let is_http2 = request.version() == Version::HTTP_2;
            let (request, watch) = unread::watch(request, &budget);
            let asked = Asked { request, peer, client: client.clone() };
            answer(answers.clone(), asked).map(move |response| {
                let response = watch.answered(response, asking.connection(), time);
                Ok::<_, Infallible>(sending::until_sent(response, asking, is_http2, &budget))
            })
        })
    };
    let stream = Patience::new(Lingering::new(stream, place), limits.head_timeout, limits.idle_timeout);
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    let mut serving = pin!(watcher.watch(serving));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = connection.evicted() => return,
    };
    if let Err(error) = ended {
        // Of a request that is refused as it stands there may be a rest; a client that is waited for in vain has none.
        if !timed_out(&*error) {
            connection.leaves_unread();
        }
        static LINES: LineLimit = LineLimit::new();
        if tracing::enabled!(tracing::Level::DEBUG)
            && let Some(kept_back) = LINES.allow(Instant::now())
        {
            tracing::debug!(%error, kept_back, "a connection ended early");
        }
    }
}

fn timed_out(error: &(dyn std::error::Error + 'static)) -> bool {
    let is_late = |error: &(dyn std::error::Error + 'static)| {
        let late_head = error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_timeout);
        late_head || error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
    };
    std::iter::successors(Some(error), |error| error.source()).any(is_late)
}
