//! Sweeping rows that nobody needs any more, by a time that a wrong clock cannot push. And the opposite: revocations
//! that the log lost are appended to it again.

use std::time::{Duration, Instant};

use bulla::{
    keyring::{KeyringDocument, VersionState},
    revocation::{Revocations, SweepClock},
};
use jiff::Timestamp;

use super::{Node, steady_clock::SteadyClock};
use crate::{
    action::{fleet, idempotency, restore::restore},
    clock,
    store::{Store, StoreError, Sweep},
};

/// Revoked keys of the ledger that are compared with the log in one step.
const PAGE: u32 = 5_000;

/// The time to sweep by is written down at least this often, in seconds.
const REMEMBERED: u64 = 300;

/// Where sweeping stands.
pub(super) struct Sweeper {
    clock: SweepClock,
    steady: SteadyClock,
    /// When the clock was advanced last.
    since: Instant,
    /// The part of the list in memory that is swept next.
    part: usize,
    /// The time that was written down last, in Unix seconds.
    remembered: u64,
    /// The place in the ledger behind which revoked keys are compared with the log next.
    place: i64,
}

impl Sweeper {
    /// Goes on from where the store says that the last one stood.
    pub(super) fn new(at: u64) -> Self {
        let mut clock = SweepClock::new(at);
        clock.advance(std::time::Duration::ZERO, clock::now_seconds());
        let steady = SteadyClock::new(clock::now_seconds());
        Sweeper { clock, steady, since: Instant::now(), part: 0, remembered: clock.now(), place: 0 }
    }

    /// The program runs for so long, as a simulation has it.
    #[cfg(test)]
    pub(super) fn run_for(&mut self, time: Duration) {
        self.ran(time);
    }

    /// The time that the list in memory is swept by.
    #[cfg(test)]
    pub(super) fn sweep_by(&self) -> u64 {
        self.clock.sweep_at()
    }

    fn advance(&mut self) -> Timestamp {
        let now = Instant::now();
        self.ran(now - self.since);
        self.since = now;
        clock::timestamp(self.clock.now())
    }

    fn ran(&mut self, time: Duration) {
        let now = clock::now_seconds();
        self.clock.advance(time, now);
        self.steady.advance(time, now);
    }

    /// Grace periods that ended by this time have ended for good. After a pause of the process the time to sweep by is
    /// behind by the length of the pause, and a clock that is set back would revive what ended meanwhile. A clock that
    /// runs steadily is believed sooner.
    fn settle_at(&self) -> Timestamp {
        clock::timestamp(self.steady.time().unwrap_or(self.clock.now()))
    }

    fn sweep_at(&self) -> Timestamp {
        clock::timestamp(self.clock.sweep_at())
    }

    /// Sweeps a part of the list in memory, settles what has ended, and compares a page of the ledger with the log.
    pub(super) fn sweep_part(&mut self, node: &Node) -> Result<(), StoreError> {
        self.advance();
        self.part = (self.part + 1) % Revocations::PARTS;
        node.revocations.sweep_part(self.part, self.clock.sweep_at());
        node.store.settle(self.settle_at())?;
        if self.clock.now().abs_diff(self.remembered) >= REMEMBERED {
            self.remember(node)?;
        }
        let page = node.store.revoked_page(self.place, PAGE, self.sweep_at(), false)?;
        let document = node.snapshot().document.clone();
        self.place = page.next.unwrap_or(0);
        let lost: Vec<_> = page.lost.into_iter().filter(|one| !is_destroyed(&document, one.id.version())).collect();
        if log_restored(restore(&*node.store, &lost, clock::now())?) > 0 {
            node.catch_up()?;
        }
        Ok(())
    }

    /// Writes down where the clock stands.
    pub(super) fn remember(&mut self, node: &Node) -> Result<(), StoreError> {
        let now = self.advance();
        node.store.remember_sweep_clock(now)?;
        self.remembered = self.clock.now();
        Ok(())
    }

    /// Sweeps the store.
    pub(super) fn sweep_store(&mut self, node: &Node) -> Result<(), StoreError> {
        let now = self.advance();
        let destroyed = destroyed(&node.snapshot().document);
        node.store.sweep(&Sweep {
            now,
            expired_before: self.sweep_at(),
            destroyed: &destroyed,
            answered_before: idempotency::forgotten_before(now),
        })
    }

    /// Removes nodes and followers that do not report any more. A clock that is ahead removes none that other nodes
    /// hear of: until they report again, a revocation would not wait for them.
    pub(super) fn drop_silent(&mut self, node: &Node) -> Result<(), StoreError> {
        let heard_after = fleet::heard_after(node.config.fleet.forget_after, self.advance());
        node.store.drop_followers(heard_after)
    }

    /// Appends everything that the log lost; `list` was just read from it. Returns the number of entries. A look into
    /// the list is quicker than a query for each key, of which there may be millions.
    pub(super) fn restore_all(
        &self,
        store: &dyn Store,
        document: &KeyringDocument,
        list: &Revocations,
    ) -> Result<usize, StoreError> {
        let (mut place, mut restored) = (Some(0), 0);
        while let Some(after) = place {
            let page = store.revoked_page(after, PAGE, self.sweep_at(), true)?;
            place = page.next;
            let mut lost = page.lost;
            lost.retain(|one| {
                !list.contains(&one.id, one.app_id, one.issued_at) && !is_destroyed(document, one.id.version())
            });
            restored += restore(store, &lost, clock::now())?;
        }
        Ok(log_restored(restored))
    }
}

fn log_restored(restored: usize) -> usize {
    if restored > 0 {
        tracing::warn!(restored, "revocation log had lost entries of the ledger, appended them again");
    }
    restored
}

/// Their keys do not open any more, and the log does not need them.
fn destroyed(document: &KeyringDocument) -> Vec<u32> {
    let destroyed = document.versions().iter().filter(|record| record.state == VersionState::Destroyed);
    destroyed.map(|record| record.number.number()).collect()
}

fn is_destroyed(document: &KeyringDocument, version: u32) -> bool {
    destroyed(document).contains(&version)
}
