//! The revocation feed: what the revocation log has behind a follower's place, signed.

use std::{sync::Arc, time::Instant};

use bulla::{
    Realm,
    feed::{Head, LogId, Message, SigningKey, VerifyingKey},
    revocation::RevocationEvent,
};

use super::{health::Health, live::Live, problem::Problem, revocations};
use crate::{clock, config::FeedConfig, store::Store, telemetry::limit::LineLimit};

/// What signs the feed, and what it reads.
pub(crate) struct Feed {
    key: SigningKey,
    valid_for: u64,
    live: Arc<Live>,
    store: Arc<dyn Store>,
    health: Arc<Health>,
}

/// One message for a follower.
pub(super) struct Signed {
    pub(super) bytes: Vec<u8>,
    /// The follower's place after it.
    pub(super) seq: u64,
}

impl Feed {
    pub(super) fn new(
        key: SigningKey,
        config: &FeedConfig,
        live: &Arc<Live>,
        store: &Arc<dyn Store>,
        health: &Arc<Health>,
    ) -> Self {
        let (live, store, health) = (Arc::clone(live), Arc::clone(store), Arc::clone(health));
        Feed { key, valid_for: config.valid_for.0.as_secs(), live, store, health }
    }

    pub(super) fn public_key(&self) -> VerifyingKey {
        self.key.verifying_key()
    }

    /// What happened behind `after`, in one realm or in all. Reads the store.
    pub(super) fn message(&self, realm: Option<Realm>, after: u64) -> Result<Signed, Problem> {
        if self.health.since(revocations::HEALTH).is_some() {
            return Err(Problem::unavailable("this server cannot read its own log of revocations at the moment"));
        }
        let part = self.store.revocations_after(after, Message::MAX_EVENTS as u32)?;
        if after > part.end {
            return Err(Problem::ahead_of_log(after, part.end));
        }
        let log_id: LogId = part.log_id.parse().map_err(|_| Problem::internal())?;
        let concerns = |event: &RevocationEvent| realm.is_none_or(|realm| event.change.concerns(realm));
        let events: Vec<_> = part.events.into_iter().filter(concerns).collect();
        let (snapshot, now) = (self.live.load(), clock::now_seconds());
        let versions = snapshot.document.versions().iter().map(|record| (record.number, record.state));
        let head = Head {
            keyring_id: snapshot.document.id(),
            log_id,
            realm,
            after,
            seq: part.through,
            head: part.end,
            this_update: now,
            next_update: now + self.valid_for,
            keyring_serial: snapshot.document.serial(),
            versions: versions.collect(),
        };
        let bytes = Message::write(&head, &events, &self.key).map_err(|error| {
            static LINES: LineLimit = LineLimit::new();
            if let Some(kept_back) = LINES.allow(Instant::now()) {
                tracing::error!(%error, kept_back, "a message of the revocation feed cannot be written");
            }
            Problem::internal()
        })?;
        Ok(Signed { bytes, seq: part.through })
    }
}
