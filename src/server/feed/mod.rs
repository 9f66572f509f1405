//! The revocation feed: what the revocation log has behind a follower's place, signed.

mod recent_messages;
pub(super) mod snapshots;

use std::{sync::Arc, time::Instant};

use axum::body::Bytes;
use bulla::{
    Realm,
    feed::{FeedError, Format, Head, LogId, Message, SigningKey, Snapshot, SnapshotHead, VerifyingKey},
    keyring::{KeyVersion, KeyringDocument, VersionState},
    revocation::RevocationEvent,
};

use self::{
    recent_messages::{Moment, RecentMessages},
    snapshots::{Snapshots, Written},
};
use super::{
    failures::Failures,
    live::Live,
    problem::Problem,
    revocations::{self, RevocationState},
};
use crate::{
    clock,
    config::FeedConfig,
    store::{LogPart, Store, StoreError},
    telemetry::rate_limit::LineLimit,
};

/// What signs the feed, and what it reads.
pub(crate) struct Feed {
    key: SigningKey,
    valid_for: u64,
    live: Arc<Live>,
    revocations: Arc<RevocationState>,
    store: Arc<dyn Store>,
    health: Arc<Failures>,
    recent: RecentMessages,
    pub(super) snapshots: Snapshots,
}

/// What a follower asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    /// The newest format that it reads.
    pub(super) format: Format,
    /// One realm, or all.
    pub(super) realm: Option<Realm>,
    /// The place in the log behind which to begin.
    pub(super) after: u64,
}

/// One message for a follower.
pub(super) struct Signed {
    pub(super) bytes: Bytes,
    /// The follower's place after it.
    pub(super) seq: u64,
}

impl Feed {
    pub(super) fn new(
        key: SigningKey,
        config: &FeedConfig,
        live: &Arc<Live>,
        revocations: &Arc<RevocationState>,
        store: &Arc<dyn Store>,
        health: &Arc<Failures>,
    ) -> Self {
        let (live, store, health) = (Arc::clone(live), Arc::clone(store), Arc::clone(health));
        let valid_for = config.valid_for.0.as_secs();
        let (revocations, snapshots) = (Arc::clone(revocations), Snapshots::default());
        Feed { key, valid_for, live, revocations, store, health, recent: RecentMessages::default(), snapshots }
    }

    pub(super) fn public_key(&self) -> VerifyingKey {
        self.key.verifying_key()
    }

    /// The answer, if it was signed a moment ago for another follower. Waits for nothing.
    pub(super) fn recent(&self, question: &Question) -> Option<Arc<Signed>> {
        self.recent.get(self.moment(), question).filter(|_| self.check_health().is_ok())
    }

    /// What happened behind a place: what `read` brings, once for all who ask the same.
    pub(super) async fn message<W>(&self, question: Question, read: impl FnOnce() -> W) -> Result<Arc<Signed>, Problem>
    where
        W: Future<Output = Result<Arc<Signed>, Problem>>,
    {
        self.recent.get_or(|| self.moment(), question, read).await
    }

    /// The same, read from the store.
    pub(super) fn read(&self, question: Question) -> Result<Arc<Signed>, Problem> {
        self.write(question).map(Arc::new)
    }

    fn moment(&self) -> Moment {
        let keyring_serial = self.live.load().document.serial();
        Moment { now: clock::now_seconds(), place: self.revocations.newest_place(), keyring_serial }
    }

    fn write(&self, Question { format, realm, after }: Question) -> Result<Signed, Problem> {
        self.check_health()?;
        let mut part = self.store.revocations_for_followers(after, Message::MAX_EVENTS as u32)?;
        if part.lost_before(after) && self.begin_new_log(&part, after)? {
            part = self.store.revocations_for_followers(after, Message::MAX_EVENTS as u32)?;
        }
        if let Some(event) = part.events.iter().find(|event| Format::of(&event.change) > format) {
            let seq = event.seq;
            return Err(Problem::unavailable(format!(
                "event {seq} of the log needs a newer format than was asked for"
            )));
        }
        // A follower of an earlier log learns of this one by its id.
        if after > part.kept && !part.of_earlier_log {
            return Err(Problem::ahead_of_log(after, part.kept));
        }
        let log_id: LogId = part.log_id.parse().map_err(|_| Problem::internal())?;
        let concerns = |event: &RevocationEvent| realm.is_none_or(|realm| event.change.concerns(realm));
        let events: Vec<_> = part.events.into_iter().filter(concerns).collect();
        let (snapshot, now) = (self.live.load(), clock::now_seconds());
        let versions = versions(&snapshot.document);
        let at_end = format >= Format::V2 && part.through == part.end;
        let live = at_end.then(|| self.revocations.live(&part.log_id, part.end, realm, now, &versions)).flatten();
        let head = Head {
            format,
            keyring_id: snapshot.document.id(),
            log_id,
            realm,
            after,
            seq: part.through,
            head: part.end,
            this_update: now,
            next_update: now + self.valid_for,
            keyring_serial: snapshot.document.serial(),
            versions,
            live,
        };
        let bytes = Message::write(&head, &events, &self.key).map_err(unwritten)?;
        Ok(Signed { bytes: bytes.into(), seq: part.through })
    }

    /// The database lost the end of the log in a failover, a follower knows of it, and perhaps no process here does. So
    /// a new log begins, which all followers read from the beginning, as it does where a process remembers the end.
    fn begin_new_log(&self, part: &LogPart, place: u64) -> Result<bool, StoreError> {
        let begun = self.store.begin_new_log(&part.log_id, place)?;
        if begun {
            let (kept, end) = (part.kept, part.end);
            tracing::error!(
                place,
                kept,
                end,
                "a follower asks from a place that the database lost, or never had: a new log begins"
            );
        }
        Ok(begun)
    }

    /// Writes down what the log says, in one realm or in all. That takes a second for each few millions of keys.
    pub(super) fn write_snapshot(&self, realm: Option<Realm>) -> Result<Written, Problem> {
        self.check_health()?;
        let (log_id, log) = self.revocations.log_to_write().ok_or_else(|| {
            Problem::unavailable("rows of this server's log of revocations are damaged: read the log itself")
        })?;
        let document = self.live.load().document.clone();
        let head = SnapshotHead {
            keyring_id: document.id(),
            log_id: log_id.parse().map_err(|_| Problem::internal())?,
            realm,
            this_update: clock::now_seconds(),
            keyring_serial: document.serial(),
            versions: versions(&document),
        };
        let (manifest, body) = Snapshot::write(&head, &log, &self.key).map_err(unwritten)?;
        let snapshot = Snapshot::read(&manifest, head.keyring_id, &self.public_key()).map_err(unwritten)?;
        let name = snapshot.name();
        Ok(Written { realm, log_id, seq: log.seq(), name, manifest: manifest.into(), body: body.into() })
    }

    fn check_health(&self) -> Result<(), Problem> {
        match self.health.since(revocations::HEALTH) {
            Some(_) => Err(Problem::unavailable("this server cannot read its own log of revocations at the moment")),
            None => Ok(()),
        }
    }
}

fn versions(document: &KeyringDocument) -> Vec<(KeyVersion, VersionState)> {
    document.versions().iter().map(|record| (record.number, record.state)).collect()
}

fn unwritten(error: FeedError) -> Problem {
    static LINES: LineLimit = LineLimit::new();
    if let Some(kept_back) = LINES.allow(Instant::now()) {
        tracing::error!(%error, kept_back, "a message of the revocation feed cannot be written");
    }
    Problem::internal()
}
