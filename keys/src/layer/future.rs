//! The layers' future: the inner service's, or a refusal that is there at once.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::Response;
use pin_project_lite::pin_project;

use super::{CredentialRules, Refusal};

pin_project! {
    /// The response of a service behind [`VerifyLayer`](super::VerifyLayer) or [`RequireScopes`](super::RequireScopes).
    #[derive(Debug)]
    pub struct Answer<F> {
        #[pin]
        inner: Option<F>,
        refused: Option<Response<()>>,
    }
}

impl<F> Answer<F> {
    pub(super) fn of(inner: F) -> Self {
        Answer { inner: Some(inner), refused: None }
    }

    pub(super) fn refused(refusal: Refusal, rules: &CredentialRules) -> Self {
        Answer { inner: None, refused: Some(refusal.into_response(rules)) }
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
        match (this.inner.as_pin_mut(), this.refused.take()) {
            (Some(inner), _) => inner.poll(cx),
            (None, Some(refused)) => Poll::Ready(Ok(refused.map(|()| B::default()))),
            // Nobody polls a future again that was ready.
            (None, None) => Poll::Pending,
        }
    }
}
