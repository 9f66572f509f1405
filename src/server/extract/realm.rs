//! Realms that a request names to see a part of something.

use std::sync::Arc;

use bulla::Realm;

use crate::server::{App, blocking, problem::Problem, snapshot::Snapshot};

/// Refuses a realm that is not configured and has no keys on record: a mistyped name would see nothing, and not be
/// told.
pub(in crate::server) async fn known_realm(app: &App, snapshot: &Snapshot, realm: Realm) -> Result<(), Problem> {
    if snapshot.config.has_realm(realm) {
        return Ok(());
    }
    let store = Arc::clone(&app.store);
    if blocking::run(move || store.has_realm(realm)).await?? {
        return Ok(());
    }
    let detail = format!("`realm`: there is no realm `{realm}` in the configuration, and the ledger has no key of it");
    Err(Problem::bad_request(detail))
}
