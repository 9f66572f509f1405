//! The layer of a route that asks for scopes.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::{Answer, CredentialRules, Refusal};
use crate::verifier::Verified;

/// Lets only keys through that have all of these scopes. It stands inside of a [`VerifyLayer`](super::VerifyLayer), as
/// a rule around single routes; without one nothing gets through.
#[derive(Clone, Debug)]
pub struct RequireScopes {
    wanted: Arc<[String]>,
}

/// A service behind [`RequireScopes`].
#[derive(Clone, Debug)]
pub struct ScopedService<S> {
    wanted: Arc<[String]>,
    inner: S,
}

impl RequireScopes {
    /// All of these scopes are needed.
    pub fn all<T: Into<String>>(scopes: impl IntoIterator<Item = T>) -> Self {
        RequireScopes { wanted: scopes.into_iter().map(Into::into).collect() }
    }
}

impl<S> Layer<S> for RequireScopes {
    type Service = ScopedService<S>;

    fn layer(&self, inner: S) -> ScopedService<S> {
        ScopedService { wanted: Arc::clone(&self.wanted), inner }
    }
}

impl<S, B, R> Service<Request<B>> for ScopedService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Answer<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Answer<S::Future> {
        match request.extensions().get::<Verified>() {
            None => Answer::refused(Refusal::NotVerified, CredentialRules::usual()),
            Some(verified) if self.wanted.iter().all(|wanted| verified.scopes().contains(wanted)) => {
                Answer::of(self.inner.call(request))
            }
            Some(_) => {
                let refusal = Refusal::InsufficientScope(self.wanted.join(" ").into());
                Answer::refused(refusal, CredentialRules::usual())
            }
        }
    }
}
