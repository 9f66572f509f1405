//! Where a request gets the state that it goes by.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};

use super::{core::Core, live::Live, snapshot::Snapshot};

/// Lets one request load the state in force, once: a request sees the old state or the new one. It enters when all of its body
/// is there, which may take as long as the client likes, and passes the snapshot down.
pub(super) struct Door(Arc<Live>);

impl Door {
    /// The door of a request.
    pub(super) fn of(core: &Core) -> Self {
        Door(Arc::clone(&core.live))
    }

    /// The state of this moment. The door is gone with that.
    pub(super) fn enter(self) -> Arc<Snapshot> {
        self.0.load_full()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Door
where
    Core: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        Ok(Door::of(&Core::from_ref(state)))
    }
}
