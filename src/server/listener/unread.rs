//! Request bodies: what they take of the memory budget, and what becomes of one that nobody reads to its end.
//!
//! Over HTTP/1.1 what is left of a body lies in the way of the next request. The answer goes out at once, and the rest is
//! drained behind it, up to a bound: a gateway that is still writing would see a reset in place of its answer. Where that may
//! not do the connection ends, and the answer has to say so, or a client sends the next request there.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderValue, StatusCode, Version, header, request::Parts},
    response::Response,
};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};

use super::connections::Connection;
use crate::server::budget::{Budget, NoRoom, Share};

/// As much as is drained of a body. Gateways that send bodies along send 20 MB and more.
const MOST: u64 = 32 << 20;
/// How long it is waited for more of it.
const SILENCE: Duration = Duration::from_secs(5);

/// A request's body as the connection sees it; none where there is no body.
pub(super) struct Watch(Option<Watched>);

struct Watched {
    slot: Arc<Slot>,
    is_http1: bool,
    /// Whether the client waits to be told to send it.
    expects: bool,
}

#[derive(Default)]
struct Slot(Mutex<State>);

#[derive(Default)]
struct State {
    /// The memory that the head takes, which waits with the body.
    head: usize,
    /// What nobody wants to read.
    left: Option<Incoming>,
    share: Option<Share>,
    polled: bool,
    ended: bool,
}

/// The body for the handler.
struct Charged {
    body: Option<Incoming>,
    slot: Arc<Slot>,
}

/// The request for whoever answers it.
pub(super) fn watch(request: hyper::Request<Incoming>, budget: &Arc<Budget>) -> (Request, Watch) {
    let (head, body) = request.into_parts();
    if body.is_end_stream() {
        return (Request::from_parts(head, Body::empty()), Watch(None));
    }
    let state = State { head: weigh(&head), share: Some(budget.share()), ..State::default() };
    let slot = Arc::new(Slot(Mutex::new(state)));
    let watched = Watched {
        slot: Arc::clone(&slot),
        is_http1: head.version <= Version::HTTP_11,
        expects: head.headers.contains_key(header::EXPECT),
    };
    (Request::from_parts(head, Body::new(Charged { body: Some(body), slot })), Watch(Some(watched)))
}

/// What a head takes in memory. HTTP/2 packs heads, so that a few bytes may make a long one.
fn weigh(head: &Parts) -> usize {
    /// Beside name and value.
    const ENTRY: usize = 100;
    let path = head.uri.path_and_query().map_or(0, |path| path.as_str().len());
    head.headers.iter().fold(path, |all, (name, value)| all + ENTRY + name.as_str().len() + value.len())
}

impl Watch {
    /// The answer, with the end of the connection in it where it has to end. What is left of the body is drained in `time`.
    pub(super) fn answered(self, mut response: Response, connection: &Arc<Connection>, time: Duration) -> Response {
        let Some(Watched { slot, is_http1, expects }) = self.0 else { return response };
        let mut state = slot.state();
        state.share = None;
        if state.ended || !is_http1 {
            return response;
        }
        // To ask for a body that the client holds back would have it sent, and one that did not come in time will not.
        let waited = response.status() == StatusCode::REQUEST_TIMEOUT;
        let left = state.left.take().filter(|_| !waited && (state.polled || !expects));
        if left.as_ref().is_none_or(|left| left.size_hint().exact().is_none_or(|rest| rest > MOST)) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            connection.leaves_unread();
        }
        if let Some(left) = left {
            tokio::spawn(drain(left, Arc::clone(connection), time));
        }
        response
    }
}

async fn drain(mut body: Incoming, connection: Arc<Connection>, time: Duration) {
    let all = async {
        let mut dropped = 0;
        while let Ok(Some(Ok(frame))) = tokio::time::timeout(SILENCE, body.frame()).await {
            dropped += frame.data_ref().map_or(0, |data| data.len() as u64);
            if dropped > MOST {
                return;
            }
        }
    };
    let _or_too_long = tokio::time::timeout(time, all).await;
    // Where it was not all, the connection ends with this body, and the client may be at it still.
    if !body.is_end_stream() {
        connection.leaves_unread();
    }
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl hyper::body::Body for Charged {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let frame = Pin::new(&mut *body).poll_frame(cx);
        let (ended, mut state) = (body.is_end_stream(), this.slot.state());
        state.polled = true;
        state.ended |= ended || matches!(frame, Poll::Ready(None));
        let head = std::mem::take(&mut state.head);
        let Some(share) = &mut state.share else { return frame.map_err(Into::into) };
        let bytes = match &frame {
            Poll::Ready(Some(Ok(frame))) => frame.data_ref().map_or(0, Bytes::len),
            _ => 0,
        };
        // A body without a known length tells its end only behind its last data.
        let finished = ended || matches!(frame, Poll::Ready(None));
        if (bytes + head > 0 || finished)
            && let Err(no_room) = share.take(bytes + head, !finished, Instant::now())
        {
            return Poll::Ready(Some(Err(no_room.into())));
        }
        if frame.is_pending() && share.poll_evicted(cx).is_ready() {
            return Poll::Ready(Some(Err(NoRoom::Evicted.into())));
        }
        frame.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Incoming::size_hint)
    }
}

impl Drop for Charged {
    fn drop(&mut self) {
        let mut state = self.slot.state();
        if !state.ended {
            state.left = self.body.take();
        }
    }
}
