//! One plane of the service without a listener, for fuzz targets.

use std::sync::Arc;

use axum::{extract::Request, response::Response};

use super::{
    App, Endpoints, admin,
    data::DataPlane,
    listener::{PeerRequest, Service},
};

/// The endpoints of one plane.
#[derive(Clone)]
pub(crate) struct Unbound(Endpoints);

impl Unbound {
    /// The data plane.
    pub(crate) fn data(app: Arc<App>) -> Self {
        Unbound(Endpoints::Data(DataPlane::of_node(app)))
    }

    /// The admin plane.
    pub(crate) fn admin(app: Arc<App>) -> Self {
        Unbound(Endpoints::Others(admin::router(app)))
    }

    /// The answer to a request that comes from no address.
    pub(crate) async fn answer(&self, request: Request) -> Response {
        self.0.call(PeerRequest::local(request)).response().await
    }
}
