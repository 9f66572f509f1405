//! What a node's store knows for a verification: stored hashes, and a sealed key for an imported one that was just
//! accepted.

use std::{sync::Arc, time::Instant};

use futures_util::future::BoxFuture;

use super::{
    blocking,
    key_verifier::Behind,
    old_system::{Memory, OldSystems},
    secrets::SecretChecks,
    snapshot::Snapshot,
};
use crate::{
    action::{Actor, replace::replace},
    api::issue::IssuedApiKey,
    clock,
    imported::Key,
    store::Store,
    telemetry::rate_limit::LineLimit,
    verification::{Checked, DigestSearch, Learned, OldSystem, Question, Wanted},
};

/// A node's store.
pub(super) struct FromStore {
    pub(super) secrets: Arc<SecretChecks>,
    pub(super) store: Arc<dyn Store>,
    pub(super) old_systems: Arc<OldSystems>,
}

impl Behind for FromStore {
    fn check<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        text: &'a str,
        _: &'a Wanted,
        question: Question<'a>,
    ) -> BoxFuture<'a, Checked> {
        Box::pin(async move {
            match question {
                Question::SecretHalf(check) => self.secrets.check(snapshot.peppers(), text, check).await,
                Question::Imported(candidate) => self.secrets.check_imported(candidate).await,
                Question::EndedImported(candidate) => self.secrets.check_ended_imported(candidate).await,
            }
        })
    }

    fn slow_digest<'a>(&'a self, search: &'a DigestSearch) -> BoxFuture<'a, Option<Arc<[u8]>>> {
        Box::pin(self.secrets.slow_digest(search.text(), search.is_known_key(), |digest| search.finds(digest)))
    }

    fn ask_old_system<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        old: &'a OldSystem,
        text: &'a str,
        memory: Memory,
    ) -> BoxFuture<'a, Learned> {
        Box::pin(self.old_systems.ask(&snapshot.config, old, text, memory))
    }

    fn replacement(&self, snapshot: Arc<Snapshot>, key: Arc<Key>) -> BoxFuture<'_, Option<IssuedApiKey>> {
        Box::pin(replace_imported(&self.store, snapshot, key))
    }
}

/// Issues one, where the realm of the key hands out such, and none was handed out before. If it cannot be issued, the
/// verification holds all the same.
async fn replace_imported(store: &Arc<dyn Store>, snapshot: Arc<Snapshot>, key: Arc<Key>) -> Option<IssuedApiKey> {
    let policy = snapshot.config.realms.get(key.id.realm().as_str()).is_some_and(|one| one.replace_imported);
    if !policy || key.is_replaced() {
        return None;
    }
    let (store, id) = (Arc::clone(store), key.id);
    let replaced = blocking::run(move || {
        let actor = Actor::service();
        replace(id, &snapshot.issue_context(&*store, &actor, clock::now()))
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
