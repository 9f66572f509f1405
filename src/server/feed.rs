//! The revocation feed: what the log of revocations has behind a follower's place, signed.

use std::{sync::Arc, time::Instant};

use bulla::{
    Realm,
    feed::{Head, LogId, Message, SigningKey, VerifyingKey},
};

use super::{App, problem::Problem};
use crate::{
    clock,
    deployment::{Deployment, DeploymentError},
    telemetry::limit::LineLimit,
};

/// What signing takes.
pub(crate) struct Feed {
    key: SigningKey,
    valid_for: u64,
}

/// One message for a follower.
pub(super) struct Signed {
    pub(super) bytes: Vec<u8>,
    /// The follower's place after it.
    pub(super) seq: u64,
}

impl Feed {
    /// The feed of this deployment, if its configuration names a key.
    pub(super) fn load(deployment: &Deployment) -> Result<Option<Self>, DeploymentError> {
        let Some(key) = deployment.feed_key()? else { return Ok(None) };
        Ok(Some(Feed { key, valid_for: deployment.config.feed.valid_for.0.as_secs() }))
    }

    pub(super) fn public_key(&self) -> VerifyingKey {
        self.key.verifying_key()
    }
}

impl App {
    /// What happened behind `after`, in one realm or in all. Reads the store.
    pub(super) fn feed_message(&self, realm: Option<Realm>, after: u64) -> Result<Signed, Problem> {
        let feed = self.feed.as_ref().ok_or_else(Problem::no_feed)?;
        if self.degraded.all().iter().any(|failing| failing.what == "revocations") {
            return Err(Problem::unavailable("this server cannot read its own log of revocations at the moment"));
        }
        let part = self.store.revocations_after(after, Message::MAX_EVENTS as u32)?;
        if after > part.end {
            return Err(Problem::ahead_of_log(after, part.end));
        }
        let log_id: LogId = part.log_id.parse().map_err(|_| Problem::internal())?;
        let concerns = |event: &bulla::RevocationEvent| realm.is_none_or(|realm| event.change.concerns(realm));
        let events: Vec<_> = part.events.into_iter().filter(concerns).collect();
        let (snapshot, now) = (self.snapshot(), clock::now_seconds());
        let versions = snapshot.document.versions().iter().map(|record| (record.number, record.state));
        let head = Head {
            keyring_id: snapshot.document.id(),
            log_id,
            realm,
            after,
            seq: part.through,
            head: part.end,
            this_update: now,
            next_update: now + feed.valid_for,
            keyring_serial: snapshot.document.serial(),
            versions: versions.collect(),
        };
        let bytes = Message::write(&head, &events, &feed.key).map_err(|error| {
            static LINES: LineLimit = LineLimit::new();
            if let Some(kept_back) = LINES.allow(Instant::now()) {
                tracing::error!(%error, kept_back, "a message of the revocation feed cannot be written");
            }
            Problem::internal()
        })?;
        Ok(Signed { bytes, seq: part.through })
    }

    /// Waits until the log goes beyond `seq`, the service stops, or `limit` has passed, which is `false`.
    pub(super) async fn log_beyond(self: &Arc<Self>, seq: u64, limit: std::time::Duration) -> bool {
        let (mut newest, mut stopping) = (self.taken_back.newest(), self.stopping.subscribe());
        tokio::select! {
            _ = newest.wait_for(|newest| *newest > seq) => true,
            _ = stopping.wait_for(|stopping| *stopping) => true,
            () = tokio::time::sleep(limit) => false,
        }
    }
}
