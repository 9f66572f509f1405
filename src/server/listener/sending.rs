//! Answers on their way. While a stream without an end goes on, its connection is at work and is not evicted. A long
//! answer over HTTP/2, where a client opens many streams and need not read any, is charged to the memory budget until
//! it is sent.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use hyper::body::{Body as _, Frame, SizeHint};

use super::connections::InFlight;
use crate::server::{
    body_budget::{BodyBudget, Charge},
    problem::Problem,
};

/// The size of one piece of an answer that is charged.
const PIECE: usize = 4096;

/// The longest answer that is not charged: a verdict fits, and all streams of a connection hold 64 KiB of these.
const UNCHARGED: u64 = 512;

/// The answer, which keeps its charge and its connection at work until it is sent. Without a budget nothing is charged.
pub(super) fn until_sent(response: Response, in_flight: InFlight, budget: Option<Arc<BodyBudget>>) -> Response {
    let charge = match (response.body().size_hint().exact(), budget) {
        (Some(length), budget) if length <= UNCHARGED || budget.is_none() => return response,
        (Some(length), Some(budget)) => {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            match budget.answer(length, Arc::clone(in_flight.connection()) as _, Instant::now()) {
                Ok(charge) => Some(charge),
                Err(_) => return Problem::busy().into_response(),
            }
        }
        _ => None,
    };
    response.map(|body| Body::new(Sending { body, piece: Bytes::new(), charge, _in_flight: in_flight }))
}

struct Sending {
    body: Body,
    /// The rest of a frame of the body.
    piece: Bytes,
    charge: Option<Charge>,
    _in_flight: InFlight,
}

impl hyper::body::Body for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.charge.is_none() {
            return Pin::new(&mut self.body).poll_frame(cx);
        }
        if self.piece.is_empty() {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.piece = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => return other,
            }
        }
        let length = self.piece.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.piece.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.piece.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.body.size_hint().exact() {
            Some(rest) => SizeHint::with_exact(rest + self.piece.len() as u64),
            None => self.body.size_hint(),
        }
    }
}
