//! The layer that verifies the API key of every request.

use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderName, Request, Response, header::Entry, request::Parts};
use tower_layer::Layer;
use tower_service::Service;

use super::{Answer, Credential, CredentialRules, Refusal};
use crate::{expectations::Expectations, realm::Realm, shared::SharedVerifier, verifier::Verified};

/// Verifies the API key of every request, in process, and puts the [`Verified`] among the request's extensions. A
/// request without a valid key is answered as [`Refusal`] says.
///
/// The key comes from `Authorization: Bearer`, `Authorization: Basic` (as the user name or the password) or
/// `X-API-Key`, never from the query, and never is it one of several. Its header does not reach the inner service.
///
/// The layer asks for no scopes; [`RequireScopes`](super::RequireScopes) does, inside of it.
#[derive(Clone)]
pub struct VerifyLayer {
    verifier: SharedVerifier,
    realms: Arc<[Realm]>,
    clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    audience: Option<Arc<str>>,
    address: Option<Arc<AddressOf>>,
    rules: CredentialRules,
    keeps_credential: bool,
}

type AddressOf = dyn Fn(&Parts) -> Option<IpAddr> + Send + Sync;

/// A service behind a [`VerifyLayer`].
#[derive(Clone, Debug)]
pub struct VerifyService<S> {
    layer: VerifyLayer,
    inner: S,
}

impl VerifyLayer {
    /// Accepts keys of these realms. The clock tells Unix seconds: this library reads none itself, and most programs
    /// pass
    ///
    /// ```
    /// let clock = || std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    /// # let _: u64 = clock();
    /// ```
    pub fn new(
        verifier: SharedVerifier,
        realms: impl IntoIterator<Item = Realm>,
        clock: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        VerifyLayer {
            verifier,
            realms: realms.into_iter().collect(),
            clock: Arc::new(clock),
            audience: None,
            address: None,
            rules: CredentialRules::usual().clone(),
            keeps_credential: false,
        }
    }

    /// The API's own audience, compared byte for byte. Without it a key that is bound to audiences is rejected.
    #[must_use]
    pub fn audience(self, audience: impl Into<Arc<str>>) -> Self {
        VerifyLayer { audience: Some(audience.into()), ..self }
    }

    /// How to tell the client's address. Without it, and where it yields none, a key that is bound to addresses is
    /// rejected.
    ///
    /// With axum, and nothing in front: `|parts| Some(parts.extensions.get::<ConnectInfo<SocketAddr>>()?.ip())`. Read a
    /// header such as `X-Forwarded-For` only where a proxy of your own sets it anew for every request.
    #[must_use]
    pub fn address(self, of: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        VerifyLayer { address: Some(Arc::new(of)), ..self }
    }

    /// Reads the key from this header alone. Others go through untouched.
    #[must_use]
    pub fn header(self, name: HeaderName) -> Self {
        self.credentials(CredentialRules::header(name))
    }

    /// Reads the key by these rules, for clients that send it in another form. Headers that they do not name go through
    /// untouched.
    #[must_use]
    pub fn credentials(self, rules: CredentialRules) -> Self {
        VerifyLayer { rules, ..self }
    }

    /// Leaves the header with the key in the request, marked as sensitive: for an inner service that hands it on.
    #[must_use]
    pub fn keeping_credential(self) -> Self {
        VerifyLayer { keeps_credential: true, ..self }
    }

    fn verify(&self, parts: &Parts) -> Result<Verified, Refusal> {
        let presented = match Credential::read(&parts.headers, &self.rules) {
            Credential::One(presented) => presented,
            Credential::None => return Err(Refusal::NoCredential),
            Credential::Several => return Err(Refusal::SeveralCredentials),
        };
        let mut expected = Expectations::realms(&self.realms);
        if let Some(audience) = &self.audience {
            expected = expected.audience(audience);
        }
        if let Some(address) = self.address.as_ref().and_then(|of| of(parts)) {
            expected = expected.address(address);
        }
        Ok(self.verifier.verify(presented.expose(), &expected, (self.clock)())?)
    }

    fn put_away(&self, headers: &mut HeaderMap) {
        for name in self.rules.headers() {
            if !self.keeps_credential {
                headers.remove(name);
            } else if let Entry::Occupied(mut values) = headers.entry(name) {
                values.iter_mut().for_each(|value| value.set_sensitive(true));
            }
        }
    }
}

impl<S> Layer<S> for VerifyLayer {
    type Service = VerifyService<S>;

    fn layer(&self, inner: S) -> VerifyService<S> {
        VerifyService { layer: self.clone(), inner }
    }
}

impl<S, B, R> Service<Request<B>> for VerifyService<S>
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
        let (mut parts, body) = request.into_parts();
        match self.layer.verify(&parts) {
            Ok(verified) => {
                self.layer.put_away(&mut parts.headers);
                parts.extensions.insert(verified);
                Answer::of(self.inner.call(Request::from_parts(parts, body)))
            }
            Err(refusal) => Answer::refused(refusal, &self.layer.rules),
        }
    }
}

impl fmt::Debug for VerifyLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("VerifyLayer");
        shown.field("realms", &self.realms).field("audience", &self.audience).field("credentials", &self.rules);
        shown.finish_non_exhaustive()
    }
}
