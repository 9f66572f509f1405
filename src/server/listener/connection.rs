//! One connection: HTTP/1.1 or HTTP/2, within limits.

use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use futures_util::FutureExt;
use hyper::body::{Body as _, Frame, SizeHint};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::Watcher},
};

use super::{
    Answers, Asked, Limits, Peer,
    connections::{Asking, Place},
    lingering::Lingering,
    transport::Secured,
    unread,
};
use crate::{server::patience::Patience, telemetry::limit::LineLimit};

/// Streams that one HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 256;

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
            let asking = connection.asks();
            let (request, watch) = unread::watch(request, &budget);
            let asked = Asked { request, peer, client: client.clone() };
            answers.clone().answer(asked).map(move |response| {
                let response = watch.answered(response, asking.connection(), time);
                Ok::<_, Infallible>(until_sent(response, asking))
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

/// A connection is at work for as long as an answer without an end goes on.
fn until_sent(response: Response, asking: Asking) -> Response {
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| Body::new(Sending { body, _asking: asking }))
}

struct Sending {
    body: Body,
    _asking: Asking,
}

impl hyper::body::Body for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
