//! One connection: HTTP/1.1 or HTTP/2, within limits.

use std::{
    convert::Infallible,
    io,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{http::Version, response::IntoResponse};
use futures_util::{
    FutureExt,
    future::{self, Either},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::Watcher},
};

use super::{
    Limits, Peer, PeerRequest, Service, connections::ConnectionPermit, drain, lingering::Lingering, sending,
    service::answer, timeout::IdleTimeout, transport::Secured,
};
use crate::{server::problem::Problem, telemetry::limit::LineLimit};

/// Streams that one HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 128;

/// Bytes of bodies that one HTTP/2 connection may send before a handler reads them.
const WINDOW: u32 = 256 << 10;

/// Answers requests until the client has no more, the connection is evicted, or `watcher` says that the service stops.
pub(super) async fn serve(
    Secured { stream, client }: Secured,
    permit: ConnectionPermit,
    peer: Peer,
    endpoints: impl Service,
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
    let connection = Arc::clone(&permit.connection);
    let service = {
        let (connection, budget, time) = (Arc::clone(&connection), limits.bodies, limits.body_timeout);
        hyper::service::service_fn(move |request| {
            let (in_flight, budget) = (connection.begin_request(), Arc::clone(&budget));
            let is_http2 = request.version() == Version::HTTP_2;
            let (endpoints, client) = (endpoints.clone(), client.clone());
            // Here, because the head is decoded already, and the future is polled later.
            let (answer, drain) = match drain::watch(request, &budget) {
                Ok((request, drain)) => {
                    (Either::Left(answer(endpoints, PeerRequest { request, peer, client })), Some(drain))
                }
                Err(_) => (Either::Right(future::ready(Problem::busy().into_response())), None),
            };
            answer.map(move |response| {
                let response = match drain {
                    Some(drain) => drain.answered(response, in_flight.connection(), time),
                    None => response,
                };
                Ok::<_, Infallible>(sending::until_sent(response, in_flight, is_http2, &budget))
            })
        })
    };
    let stream = IdleTimeout::new(Lingering::new(stream, permit), limits.head_timeout, limits.idle_timeout);
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    let mut serving = pin!(watcher.watch(serving));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = connection.evicted() => return,
    };
    if let Err(error) = ended {
        // A client whose request is refused may still be sending it; one that timed out is not.
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
