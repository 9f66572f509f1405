//! The revocation log of the store, followed in memory. Nothing else changes memory, so memory and store cannot
//! differ for longer than a look takes.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use bulla::{
    Realm,
    keyring::{KeyVersion, KeyringDocument, VersionState},
    revocation::{LiveSet, RevocationLog, Revocations},
};
use tokio::sync::watch;

use super::{failures::Failures, live::Live, staleness::is_stale};
use crate::{
    action::restore_end::restore_end,
    clock,
    store::{LogTail, Store, StoreError},
    verification::Stale,
};

/// What [`Failures`] calls the reading of the log.
pub(super) const HEALTH: &str = "revocations";

/// The log as far as it has been read, and the list that is made of it.
pub(crate) struct RevocationState {
    live: Arc<Live>,
    store: Arc<dyn Store>,
    /// Held while the store is read: one reads at a time.
    reading: Mutex<()>,
    /// Held for moments, and never while the store is read: a store that hangs must not keep grace periods from ending.
    log: Mutex<LogTail>,
    /// Where the log stands, for those who wait for more.
    newest: watch::Sender<u64>,
    /// When the log was read to its end last.
    caught_up: Mutex<Instant>,
}

/// The log, held so that nobody else changes it.
type LogGuard<'a> = MutexGuard<'a, LogTail>;

impl RevocationState {
    /// Reads the whole log, and puts it in force.
    pub(super) fn load(live: Arc<Live>, store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let state = RevocationState {
            live,
            store,
            reading: Mutex::default(),
            log: Mutex::default(),
            newest: watch::Sender::new(0),
            caught_up: Mutex::new(Instant::now()),
        };
        state.read()?;
        Ok(state)
    }

    /// Reads what the store's log has more; it is in force when this returns.
    pub(super) fn read(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = self.log().due(clock::now_seconds());
        let read = self.read_parts(&mut changed);
        let log = self.log();
        // Entries that were read before a failure count, too.
        if changed || read.is_err() {
            self.put_in_force(&log);
        }
        let place = log.place();
        drop(log);
        self.newest.send_if_modified(|newest| std::mem::replace(newest, place) != place);
        read
    }

    fn read_parts(&self, changed: &mut bool) -> Result<(), StoreError> {
        let read_behind = |place| self.store.revocations_after(place, LogTail::CHUNK);
        let mut next = None;
        loop {
            let place = self.log().place();
            let part = match next.take() {
                // Another store may have come in between, which is read from its beginning.
                Some((behind, part)) if behind == place => part?,
                _ => read_behind(place)?,
            };
            let (behind, is_last) = (part.through, part.through >= part.end);
            let progress = thread::scope(|scope| {
                // The next part of a long log is read while this one is taken in.
                let thread = thread::Builder::new().name("revocation log".to_owned());
                let ahead = (!is_last).then(|| thread.spawn_scoped(scope, || read_behind(behind)));
                let progress = self.log().advance(part, clock::now_seconds());
                next = ahead.and_then(|ahead| Some((behind, ahead.ok()?.join().ok()?)));
                progress
            })?;
            *changed |= progress.changed;
            if !self.write_lost_end()? && progress.at_end {
                return Ok(());
            }
        }
    }

    /// Appends again what the log lost in a failover after it was read here, to a new log, which all followers read
    /// from the beginning. Returns whether there was anything.
    fn write_lost_end(&self) -> Result<bool, StoreError> {
        let Some(lost) = self.log().lost() else { return Ok(false) };
        if self.store.begin_new_log(&lost.log_id, lost.place)? {
            let restored = restore_end(&*self.store, &lost.events, clock::now())?;
            tracing::error!(
                place = lost.place,
                lost = lost.events.len(),
                restored,
                "the database lost the end of the revocation log: a new log begins, with what is remembered of it"
            );
        }
        self.log().forget_lost();
        Ok(true)
    }

    /// Revokes keys whose grace period is over.
    pub(super) fn end_grace_periods(&self) {
        let mut log = self.log();
        if log.due(clock::now_seconds()) {
            self.put_in_force(&log);
        }
    }

    /// Forgets keys that had expired at `at`, in Unix seconds, in one part of the list.
    pub(super) fn sweep_part(&self, part: usize, at: u64) {
        let mut log = self.log();
        log.log.sweep_part(part, at);
        self.put_in_force(&log);
    }

    /// Forgets revoked ids of versions that are destroyed: none of their keys opens any more.
    pub(super) fn forget_destroyed(&self, document: &KeyringDocument) {
        let mut log = self.log();
        for record in document.versions().iter().filter(|record| record.state == VersionState::Destroyed) {
            log.log.forget_version(record.number.number());
        }
        self.put_in_force(&log);
    }

    /// The rows of the log that cannot be read: how many, and what to do.
    pub(super) fn check_damage(&self) -> Result<(usize, Option<String>), StoreError> {
        let rows = self.log().damaged_rows();
        if !rows.is_empty() {
            let still = self.store.still_damaged(&rows)?;
            self.log().forget_repaired(&rows, &still);
        }
        let log = self.log();
        Ok((log.damaged(), log.damage()))
    }

    /// The list.
    pub(super) fn list(&self) -> Arc<Revocations> {
        list(&self.log())
    }

    /// The log, and the place up to which it is in force.
    pub(super) fn place(&self) -> (Option<String>, u64) {
        let log = self.log();
        (log.log_id().map(str::to_owned), log.place())
    }

    /// What the log comes to at a place, for a message signed at `now`; `None` where memory is at another place.
    pub(super) fn live(
        &self,
        log_id: &str,
        seq: u64,
        realm: Option<Realm>,
        now: u64,
        versions: &[(KeyVersion, VersionState)],
    ) -> Option<LiveSet> {
        let destroyed = versions.iter().filter(|(_, state)| *state == VersionState::Destroyed);
        let destroyed: Vec<u32> = destroyed.map(|(version, _)| version.number()).collect();
        let log = self.log();
        log.is_at(log_id, seq).then(|| log.log.live(realm, LiveSet::from_day_of(now), &destroyed))
    }

    /// The log as far as it has been read, to be written down; `None` while rows of it are damaged.
    pub(super) fn log_to_write(&self) -> Option<(String, RevocationLog)> {
        let log = self.log();
        let log_id = log.log_id()?.to_owned();
        log.is_at(&log_id, log.place()).then(|| (log_id, log.log.clone()))
    }

    /// The newest place that is in force.
    pub(super) fn newest_place(&self) -> u64 {
        *self.newest.borrow()
    }

    /// Tells of each new place in the log.
    pub(super) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Notes that the log was read to its end, and everything that belongs to it.
    pub(super) fn note_caught_up(&self) {
        *self.caught_up.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// How long ago the log was read to its end, by a monotonic clock. A store that hangs shows here.
    pub(super) fn unread_for(&self) -> Duration {
        self.caught_up.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Whether half of the time is over after which no key is accepted: then the log is read, even if nothing is heard
    /// of.
    pub(super) fn is_due(&self) -> bool {
        let max = self.live.load().config.verify.max_staleness;
        max.is_some_and(|max| self.unread_for() >= max.0 / 2)
    }

    /// Finds out whether the revocations are too old to accept any key by, or lack some, as the log has lost its end.
    pub(super) fn check_staleness(&self, health: &Failures, lost_end: bool) {
        let max = self.live.load().config.verify.max_staleness.map(|max| max.0);
        let is_stale = is_stale(max, health.since(HEALTH), self.unread_for(), clock::now());
        let stale = if lost_end && !is_stale { Stale::LostEnd } else { Stale::all(is_stale) };
        if self.live.put_staleness(&stale) {
            match stale {
                Stale::Everything => {
                    tracing::error!("the revocation log is older than verify.max_staleness: no key is accepted");
                }
                Stale::LostEnd => {
                    tracing::error!("the revocation log has lost its end: no application's key is accepted")
                }
                Stale::Nothing | Stale::Realms(_) => {
                    tracing::info!("the revocation log is current again: keys are accepted");
                }
            }
        }
    }

    fn log(&self) -> LogGuard<'_> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The caller holds the log, so that no older list wins over a newer one.
    fn put_in_force(&self, log: &LogGuard<'_>) {
        self.live.put_revocations(&list(log));
    }
}

fn list(log: &LogGuard<'_>) -> Arc<Revocations> {
    Arc::new(log.log.revocations().clone())
}
