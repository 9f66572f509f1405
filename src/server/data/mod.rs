//! The data plane: verify, authorize, introspect. A caller hears whether a key is accepted, and not why not.

pub(super) mod authorize;
mod batch;
pub(super) mod feed;
pub(super) mod feed_snapshot;
mod followers;
mod grpc;
mod jwks;
mod metrics;
mod oauth;
mod rabbitmq;
mod readiness;
mod realms;
mod secret_halves;
mod self_revoke;
mod unread_imports;
mod verify;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::FromRef,
    http::{HeaderValue, Method, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tower_http::compression::CompressionLayer;
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouterExt},
    routes,
};

use super::{
    App,
    core::{Core, Door},
    listener::{Answer, PeerRequest, Service},
    problem::Problem,
};

pub(super) use self::metrics::{metrics_router, metrics_router_of_edge};

/// The data plane. The endpoints of gateways come before the router, which takes longer to find them than a key takes
/// to be verified.
#[derive(Clone)]
pub(super) struct DataPlane {
    core: Core,
    others: Router,
}

impl DataPlane {
    pub(super) fn of_node(app: Arc<App>) -> Self {
        DataPlane { core: app.core.clone(), others: router(app) }
    }

    /// That of an edge: what verifies, and nothing else.
    pub(super) fn of_edge(core: Core) -> Self {
        let (router, _description) = verifying_routes().split_for_parts();
        let router = router.route("/.well-known/oauth-authorization-server", get(oauth::metadata::of_edge));
        DataPlane { others: with_fallbacks(router, core.clone()), core }
    }
}

/// A body that is JSON already.
struct Written(String);

impl IntoResponse for Written {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.0));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

impl Service for DataPlane {
    fn call(&self, request: PeerRequest) -> Answer {
        let method = request.request.method();
        let (only_head, is_post) = (method == Method::HEAD, method == Method::POST);
        let answer = match request.request.uri().path() {
            "/v1/verify" if is_post => return verify::answer(&self.core, request.request),
            path if authorize::is_authorize(path) => authorize::authorize(&self.core, request),
            authorize::EXT_AUTHZ => Answer::later(authorize::ext_authz(Door::of(&self.core), request)),
            _ if grpc::is_grpc(request.request.headers()) => Answer::later(grpc::answer(self.core.clone(), request)),
            _ => return self.others.call(request),
        };
        // As a router does it. Over HTTP/2 a body would end the stream with an error.
        if only_head { answer.without_body() } else { answer }
    }
}

/// The endpoints except those of gateways.
pub(super) fn router(app: Arc<App>) -> Router {
    let (router, _description) = routes().split_for_parts();
    with_fallbacks(router, app)
}

/// The endpoints of a node and their description.
pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    verifying_routes()
        .routes(routes!(feed::revocations).layer(CompressionLayer::new()))
        .routes(routes!(feed_snapshot::snapshot_manifest))
        .routes(routes!(feed_snapshot::snapshot_body))
        .routes(routes!(followers::report))
        .routes(routes!(followers::uses))
        .routes(routes!(secret_halves::secret_changes, secret_halves::check_secret))
        .routes(routes!(self_revoke::self_revoke))
        .routes(routes!(oauth::revoke::revoke))
        .routes(routes!(oauth::metadata::of_node))
}

/// Those that verify, which need neither store nor keyring.
fn verifying_routes<S: Clone + Send + Sync + 'static>() -> OpenApiRouter<S>
where
    Core: FromRef<S>,
{
    OpenApiRouter::default()
        .routes(routes!(verify::verify))
        .routes(routes!(batch::verify_batch))
        .routes(routes!(oauth::introspect::introspect))
        .routes(routes!(rabbitmq::rabbitmq))
        .merge(OpenApiRouter::with_openapi(authorize::description()))
        .routes(routes!(jwks::jwks))
        .routes(routes!(readiness::healthy))
        .routes(routes!(readiness::ready))
}

pub(super) fn with_fallbacks<S: Clone + Send + Sync + 'static>(router: Router<S>, state: S) -> Router {
    router
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::method() })
        .with_state(state)
}
