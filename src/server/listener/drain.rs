//! Request bodies: charges them to the memory budget, and drains one that the handler did not read to its end.
//!
//! Over HTTP/1.1 the rest of a body lies before the next request. The answer goes out at once, and the rest is drained
//! behind it, up to a bound: a gateway that is still writing would see a reset instead of its answer. A rest that may
//! be too long ends the connection, and the answer says so with `Connection: close`, or a client would send the next
//! request there.
//!
//! HTTP/2 packs heads, so that a few bytes may make a long one. Long heads are charged as soon as they are decoded,
//! until their request is answered. The heads of one connection's streams are decoded together, so
//! [`MAX_STREAMS`](super::connection) times `server.max_head` is what each thread may hold before it has charged them.

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
use crate::server::body_budget::{BodyBudget, Charge, NoRoom};

/// The most that is drained of a body. Gateways that send bodies along send 20 MB and more.
const MAX_DRAINED: u64 = 32 << 20;
/// How long draining waits for more.
const SILENCE: Duration = Duration::from_secs(5);
/// A head over HTTP/2 up to this size is charged with its body, or not at all. That of a usual request is shorter.
const SHORT_HEAD: usize = 4096;

/// The connection's side of a request, until it is answered.
pub(super) struct BodyDrain {
    /// Of a request with a body.
    body: Option<Drained>,
    /// Of a long head without a body.
    _head: Option<Charge>,
}

struct Drained {
    slot: Arc<Slot>,
    is_http1: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    expects: bool,
}

#[derive(Default)]
struct Slot(Mutex<BodyState>);

#[derive(Default)]
struct BodyState {
    /// The memory of the head, which is charged with the first part of the body.
    head: usize,
    /// The rest that the handler did not read.
    left: Option<Incoming>,
    charge: Option<Charge>,
    polled: bool,
    ended: bool,
}

/// The body for the handler.
struct ChargedBody {
    body: Option<Incoming>,
    slot: Arc<Slot>,
}

/// The request for the handler, and the drain of its body. `NoRoom` if the budget has no room for its head.
pub(super) fn watch(
    request: hyper::Request<Incoming>,
    budget: &Arc<BodyBudget>,
) -> Result<(Request, Option<BodyDrain>), NoRoom> {
    let (is_http1, has_body) = (request.version() <= Version::HTTP_11, !request.body().is_end_stream());
    if is_http1 && !has_body {
        return Ok((request.map(|_| Body::empty()), None));
    }
    let (head, body) = request.into_parts();
    let mut charge = budget.charge();
    // HTTP/1.1 has one head at a time, in the connection's own buffer.
    let weight = weigh(&head);
    let is_long = !is_http1 && weight > SHORT_HEAD;
    if is_long {
        charge.take(weight, has_body, Instant::now())?;
    }
    if !has_body {
        let drain = BodyDrain { body: None, _head: is_long.then_some(charge) };
        return Ok((Request::from_parts(head, Body::empty()), Some(drain)));
    }
    let state = BodyState { head: if is_long { 0 } else { weight }, charge: Some(charge), ..BodyState::default() };
    let slot = Arc::new(Slot(Mutex::new(state)));
    let expects = head.headers.contains_key(header::EXPECT);
    let drained = Drained { slot: Arc::clone(&slot), is_http1, expects };
    let body = Body::new(ChargedBody { body: Some(body), slot });
    Ok((Request::from_parts(head, body), Some(BodyDrain { body: Some(drained), _head: None })))
}

/// The memory of a head.
fn weigh(head: &Parts) -> usize {
    /// The memory of an entry without name and value.
    const ENTRY: usize = 100;
    let path = head.uri.path_and_query().map_or(0, |path| path.as_str().len());
    head.headers.iter().fold(path, |all, (name, value)| all + ENTRY + name.as_str().len() + value.len())
}

impl BodyDrain {
    /// The answer, with `Connection: close` where the connection has to end. The rest of the body is drained within
    /// `time`.
    pub(super) fn answered(self, mut response: Response, connection: &Arc<Connection>, time: Duration) -> Response {
        let Some(Drained { slot, is_http1, expects }) = self.body else { return response };
        let mut state = slot.state();
        state.charge = None;
        if state.ended || !is_http1 {
            return response;
        }
        // To read a body that the client holds back would make it send it, and one that did not come in time will not
        // come.
        let waited = response.status() == StatusCode::REQUEST_TIMEOUT;
        let left = state.left.take().filter(|_| !waited && (state.polled || !expects));
        if left.as_ref().is_none_or(|left| left.size_hint().exact().is_none_or(|rest| rest > MAX_DRAINED)) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            connection.leaves_unread();
        }
        if let Some(left) = left {
            connection.drains(true);
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
            if dropped > MAX_DRAINED {
                return;
            }
        }
    };
    let _or_too_long = tokio::time::timeout(time, all).await;
    connection.drains(false);
    // If that was not all, the connection ends with this body, and the client may still be sending.
    if !body.is_end_stream() {
        connection.leaves_unread();
    }
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, BodyState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl hyper::body::Body for ChargedBody {
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
        let Some(charge) = &mut state.charge else { return frame.map_err(Into::into) };
        let bytes = match &frame {
            Poll::Ready(Some(Ok(frame))) => frame.data_ref().map_or(0, Bytes::len),
            _ => 0,
        };
        // A body without a known length tells its end only behind its last data.
        let finished = ended || matches!(frame, Poll::Ready(None));
        // Most bodies come in one piece, for which no clock is read.
        if (bytes + head > 0 || finished)
            && !(finished && charge.take_whole(bytes + head))
            && let Err(no_room) = charge.take(bytes + head, !finished, Instant::now())
        {
            return Poll::Ready(Some(Err(no_room.into())));
        }
        if frame.is_pending() && charge.poll_evicted(cx).is_ready() {
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

impl Drop for ChargedBody {
    fn drop(&mut self) {
        let mut state = self.slot.state();
        if !state.ended {
            state.left = self.body.take();
        }
    }
}
