//! A sealed key for an imported one that was just accepted.

use std::{sync::Arc, time::Instant};

use super::{App, blocking, snapshot::Snapshot};
use crate::{
    action::{Actor, replace::replace},
    api::issue::IssuedApiKey,
    imported::Key,
    telemetry::limit::LineLimit,
};

/// Issues one, where the realm of the key hands out such, and none was handed out before. If it cannot be issued, the
/// verification holds all the same.
pub(super) async fn replace_imported(app: &Arc<App>, snapshot: Arc<Snapshot>, key: Arc<Key>) -> Option<IssuedApiKey> {
    let policy = snapshot.config.realms.get(key.id.realm().as_str()).is_some_and(|one| one.replace_imported);
    if !policy || key.is_replaced() {
        return None;
    }
    let (store, id) = (Arc::clone(&app.store), key.id);
    let replaced = blocking::run(move || {
        let actor = Actor::service();
        replace(id, &snapshot.issue_context(&*store, &actor))
    });
    match replaced.await {
        Ok(Ok(issued)) => {
            key.note_replaced();
            issued
        }
        Ok(Err(error)) => {
            static LINES: LineLimit = LineLimit::new();
            if let Some(kept_back) = LINES.allow(Instant::now()) {
                tracing::warn!(%id, %error, kept_back, "issuing a replacement for an imported key failed");
            }
            None
        }
        Err(_) => None,
    }
}
