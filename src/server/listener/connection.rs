//! One connection: HTTP/1.1 or HTTP/2, within limits.

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use axum::{http::Version, response::IntoResponse};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::graceful::GracefulConnection,
};
use tokio::io::AsyncWriteExt;

use super::{
    Answer, Limits, Peer, PeerRequest, Service,
    alarm::{Alarm, HyperTimer},
    connections::{Connection, ConnectionPermit},
    drain,
    lingering::Lingering,
    sending,
    service::answer,
    timeout::IdleTimeout,
    transport::Secured,
};
use crate::{clock, server::problem::Problem, telemetry::rate_limit::LineLimit};

/// Streams that one HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 128;

/// Bytes of bodies that one HTTP/2 connection may send before a handler reads them.
const WINDOW: u32 = 256 << 10;

/// Answers requests until the client has no more, the connection is evicted, or the service stops.
pub(super) async fn serve(
    Secured { stream, client }: Secured,
    permit: ConnectionPermit,
    peer: Peer,
    endpoints: impl Service,
    limits: Limits,
) {
    let (connection, alarm) = (Arc::clone(&permit.connection), Arc::<Alarm>::default());
    let lingering = Lingering::new(stream, permit);
    let mut stream = IdleTimeout::new(lingering, limits.head_timeout, limits.idle_timeout, Arc::clone(&alarm));
    let Some(Ok(http2)) = unless_ended(stream.speaks_http2(), &connection).await else { return };
    let max_head = limits.max_head;
    let head_timeout = limits.head_timeout;
    let mut service = {
        let connection = Arc::clone(&connection);
        service_fn(move |request: hyper::Request<Incoming>| {
            let in_flight = connection.begin_request();
            let (is_http2, budget, time) = (request.version() == Version::HTTP_2, &limits.bodies, limits.body_timeout);
            // Here, because the head is decoded already, and the future is polled later.
            let (answer, drain) = match drain::watch(request, budget) {
                Ok((request, drain)) => {
                    (answer(&endpoints, PeerRequest { request, peer, client: client.clone() }), drain)
                }
                Err(_) => (Answer::Now(Problem::busy().into_response()), None),
            };
            // Only a long answer over HTTP/2 is charged.
            let budget = is_http2.then(|| Arc::clone(budget));
            answer.ended_by(move |response| {
                let response = match drain {
                    Some(drain) => drain.answered(response, in_flight.connection(), time),
                    None => response,
                };
                Ok::<_, Infallible>(sending::until_sent(response, in_flight, budget))
            })
        })
    };
    // Boxed, so that an idle connection takes the memory of its own version and nothing else.
    let ended = if http2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(HyperTimer(alarm))
            .max_header_list_size(u32::try_from(max_head).unwrap_or(u32::MAX))
            .max_concurrent_streams(MAX_STREAMS)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .keep_alive_interval(Some(Duration::from_secs(20)));
        let mut serving = Box::pin(builder.serve_connection(TokioIo::new(stream), service));
        drive(serving.as_mut(), &connection, || false).await
    } else {
        let traffic = stream.traffic();
        let is_at_rest = || alarm.has_rung() && traffic.is_at_rest(&connection, clock::coarse_millis());
        loop {
            alarm.look(true);
            let mut builder = http1::Builder::new();
            builder.timer(HyperTimer(Arc::clone(&alarm))).header_read_timeout(head_timeout).max_buf_size(max_head);
            let mut serving = Box::new(builder.serve_connection(TokioIo::new(stream), service));
            match drive(Pin::new(&mut *serving), &connection, is_at_rest).await {
                Driven::Rests => {}
                ended => break ended,
            }
            let parts = serving.into_parts();
            (stream, service) = (parts.io.into_inner(), parts.service);
            stream.put_back(&parts.read_buf);
            let arrived = !parts.read_buf.is_empty();
            // The buffer goes before the wait.
            drop(parts.read_buf);
            if !arrived {
                alarm.look(false);
                // One that ends, and one that was silent for too long, are told the same way as before.
                if unless_ended(stream.arrival(), &connection).await.is_none() {
                    if !connection.is_evicted() {
                        // The service stops: TLS says goodbye.
                        let _gone_already = stream.shutdown().await;
                    }
                    break Driven::Evicted;
                }
            }
        }
    };
    if let Driven::Ended(Err(error)) = ended {
        // A client whose request is refused may still be sending it; one that timed out is not.
        if !timed_out(&error) {
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

/// How serving a connection ended.
enum Driven<T> {
    Ended(T),
    Evicted,
    /// It goes on when bytes arrive.
    Rests,
}

/// Waits for something while nothing was asked. `None` if the connection ends before.
async fn unless_ended<T>(waiting: impl Future<Output = T>, connection: &Connection) -> Option<T> {
    let mut waiting = std::pin::pin!(waiting);
    poll_fn(|cx| {
        connection.listen(cx);
        if connection.is_evicted() || connection.is_stopping() {
            return Poll::Ready(None);
        }
        waiting.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Serves until the end, or until the connection is at rest.
async fn drive<C: GracefulConnection>(
    mut serving: Pin<&mut C>,
    connection: &Connection,
    is_at_rest: impl Fn() -> bool,
) -> Driven<C::Output> {
    let (mut listening, mut stopping) = (None::<Waker>, false);
    poll_fn(move |cx| {
        if !listening.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            connection.listen(cx);
            listening = Some(cx.waker().clone());
        }
        if connection.is_evicted() {
            return Poll::Ready(Driven::Evicted);
        }
        if !stopping && connection.is_stopping() {
            stopping = true;
            serving.as_mut().graceful_shutdown();
        }
        match serving.as_mut().poll(cx) {
            Poll::Ready(ended) => Poll::Ready(Driven::Ended(ended)),
            Poll::Pending if is_at_rest() => Poll::Ready(Driven::Rests),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

fn timed_out(error: &(dyn std::error::Error + 'static)) -> bool {
    let is_late = |error: &(dyn std::error::Error + 'static)| {
        let late_head = error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_timeout);
        late_head || error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
    };
    std::iter::successors(Some(error), |error| error.source()).any(is_late)
}
