//! Where a request gets the state that it goes by.

use std::{convert::Infallible, sync::Arc};

use arc_swap::Guard;
use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};

use super::Core;
use crate::server::snapshot::Snapshot;

/// Lets one request load the state in force, once: a request sees the old state or the new one. It enters when all of
/// its body is there, which may take as long as the client likes, and passes the snapshot down.
pub(in crate::server) struct Door(Core);

impl Door {
    /// The door of a request. A router makes it.
    pub(in crate::server) fn of(core: &Core) -> Self {
        Door(core.clone())
    }

    /// The parts that do not change while the service runs, such as the bounds of a body.
    pub(in crate::server) fn core(&self) -> &Core {
        &self.0
    }

    /// The state of this moment, to turn a stranger away before its body is read. The request does not go by it: it
    /// enters later.
    pub(in crate::server) fn look(&self) -> Arc<Snapshot> {
        self.0.0.live.load_full()
    }

    /// The state of this moment. The door is gone with that.
    pub(in crate::server) fn enter(self) -> Arc<Snapshot> {
        self.look()
    }

    /// The same without counting who holds it, for one verification and nothing beside it.
    pub(in crate::server) fn pass(self) -> (Core, Guard<Arc<Snapshot>>) {
        let snapshot = Door::pass_at_once(&self.0);
        (self.0, snapshot)
    }

    /// The same for a request that is here as a whole, so that no door has to be made for it.
    pub(in crate::server) fn pass_at_once(core: &Core) -> Guard<Arc<Snapshot>> {
        core.0.live.load()
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
