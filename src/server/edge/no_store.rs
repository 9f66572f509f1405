//! What stands behind an edge's verifier: nothing that knows stored hashes.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::{
    api::issue::IssuedApiKey,
    imported::Key,
    server::{snapshot::Snapshot, verification::Behind},
    telemetry::metrics::Metrics,
    verification::{Checked, Question},
};

/// An edge has no store: a key with a secret half is "could not tell" there.
pub(super) struct NoStore(pub(super) Arc<Metrics>);

impl Behind for NoStore {
    fn check<'a>(&'a self, _: &'a Snapshot, _: &'a str, _: Question<'a>) -> BoxFuture<'a, Checked> {
        self.0.secret_unchecked("edge");
        Box::pin(async { Checked::CouldNotTell })
    }

    fn replacement(&self, _: Arc<Snapshot>, _: Arc<Key>) -> BoxFuture<'_, Option<IssuedApiKey>> {
        Box::pin(async { None })
    }
}
