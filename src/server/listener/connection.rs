//! One connection: HTTP/1.1 or HTTP/2, within limits.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::Request};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::Watcher},
};
use tower::ServiceExt;

use super::{Limits, Peer, transport::Secured};
use crate::server::patience::Patience;

/// Streams that one HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 256;

/// Answers requests until the other end has no more, or `watcher` says that the service stops.
pub(super) async fn serve(
    Secured { stream, client }: Secured,
    peer: Peer,
    router: Router,
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
    let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer);
        if let Some(client) = &client {
            request.extensions_mut().insert(Arc::clone(client));
        }
        let request: Request = request.map(Body::new);
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {})) }
    });
    let stream = Patience::new(stream, limits.head_timeout, limits.idle_timeout);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended early");
    }
}
