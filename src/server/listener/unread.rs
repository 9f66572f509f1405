//! Request bodies that nobody reads to their end. Over HTTP/1.1 what is left of one lies in the way of the next request: the
//! connection ends, and the answer has to say so, or a client sends the next one there.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderValue, Version, header},
    response::Response,
};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};

/// Whether a body was read to its end; none where that does not matter.
pub(super) struct Watch(Option<Arc<AtomicBool>>);

struct Watched {
    body: Incoming,
    ended: Arc<AtomicBool>,
}

/// The request for whoever answers it.
pub(super) fn watch(request: hyper::Request<Incoming>) -> (Request, Watch) {
    let (head, body) = request.into_parts();
    let (body, watch) = if body.is_end_stream() {
        (Body::empty(), None)
    } else if head.version > Version::HTTP_11 {
        (Body::new(body), None)
    } else {
        let ended = Arc::new(AtomicBool::new(false));
        (Body::new(Watched { body, ended: Arc::clone(&ended) }), Some(ended))
    };
    (Request::from_parts(head, body), Watch(watch))
}

impl Watch {
    /// The answer, with the end of the connection in it where it has to end.
    pub(super) fn seen(self, mut response: Response) -> Response {
        if self.0.is_some_and(|ended| !ended.load(Ordering::Relaxed)) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None)) || self.body.is_end_stream() {
            self.ended.store(true, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
