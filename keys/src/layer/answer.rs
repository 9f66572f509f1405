//! The layers' future: the inner service's, or a refusal that is there at once.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::Response;
use pin_project_lite::pin_project;

use super::Refusal;

pin_project! {
    /// The response of a service behind [`VerifyLayer`](super::VerifyLayer) or [`RequireScopes`](super::RequireScopes).
    #[derive(Debug)]
    pub struct Answer<F> {
        #[pin]
        inner: Option<F>,
        refusal: Option<Refusal>,
    }
}

impl<F> Answer<F> {
    pub(super) fn of(inner: F) -> Self {
        Answer { inner: Some(inner), refusal: None }
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        Answer { inner: None, refusal: Some(refusal) }
    }
}

impl<F, B, E> Future for Answer<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Default,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match (this.inner.as_pin_mut(), this.refusal.take()) {
            (Some(inner), _) => inner.poll(cx),
            (None, Some(refusal)) => Poll::Ready(Ok(refusal.into_response())),
            // Nobody polls a future again that was ready.
            (None, None) => Poll::Pending,
        }
    }
}
