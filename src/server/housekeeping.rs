//! Background tasks: they sweep what has expired, and write down uses and failed calls. All of them wait for the store,
//! so they have a thread of their own.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{Node, secrets::Scrub, sweeping::Sweeper};
use crate::{
    action::fleet,
    clock,
    last_used::Use,
    store::{StoreError, transact},
};

/// The time between two collections of uses.
const COLLECT_INTERVAL: Duration = Duration::from_millis(100);
/// The time between two writes of failed calls, and two looks for keys that another process imported.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The time between two sweeps of the list in memory, of one part each.
const SWEEP_PART_INTERVAL: Duration = Duration::from_secs(10);
/// The time between two sweeps of the store.
const SWEEP_STORE_INTERVAL: Duration = Duration::from_secs(3_600);
/// The time between two removals of nodes and followers that do not report any more.
const FORGET_INTERVAL: Duration = Duration::from_secs(600);
/// The time between two looks for names under which two processes report.
const NAMES_INTERVAL: Duration = Duration::from_secs(5);
/// The time until a task that failed runs again.
const RETRY_DELAY: Duration = Duration::from_secs(5);
/// How long a transaction of uses may take: it keeps all other writes waiting, revocations among them.
const MAX_TRANSACTION: Duration = Duration::from_millis(20);
/// Uses in one transaction, at first and at the most.
const FIRST_USES: usize = 250;
const MAX_USES: usize = 5_000;
/// The gap between two of them, in which those who wait get their turn.
const GAP: Duration = Duration::from_millis(5);

/// A task that runs at intervals.
struct Task {
    every: Duration,
    next: Instant,
}

impl Task {
    fn new(every: Duration) -> Self {
        Task { every, next: Instant::now() + every }
    }

    /// Runs it again soon, as it failed.
    fn soon(&mut self) {
        self.next = Instant::now() + RETRY_DELAY;
    }

    /// Runs it at once.
    fn now(&mut self) {
        self.next = Instant::now();
    }

    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = now >= self.next;
        if due {
            self.next = now + self.every;
        }
        due
    }
}

/// Runs until `stop`.
pub(super) fn run(node: &Node, stop: &watch::Receiver<bool>) {
    let [mut look, mut sweep_part, mut sweep_store, mut forget, mut names] =
        [POLL_INTERVAL, SWEEP_PART_INTERVAL, SWEEP_STORE_INTERVAL, FORGET_INTERVAL, NAMES_INTERVAL].map(Task::new);
    let mut flush = Task::new(node.config.last_used.flush_interval.0);
    let mut scrubbing = Task::new(node.config.secret.scrub_interval.0);
    let (mut flushing, mut scrub) = (Flushing::default(), Scrub::default());
    // From now on it runs; where that fails it is tried again.
    let mut sweeper = node.store.sweep_clock().ok().map(Sweeper::new);
    sweep_store.soon();
    scrubbing.now();
    while !*stop.borrow() {
        std::thread::sleep(if flushing.uses.is_empty() { COLLECT_INTERVAL } else { GAP });
        node.verification.last_used.collect();
        if look.is_due() {
            node.health.note_task("imported keys", node.follow_imported());
            node.health.note_task("imported rows", node.verification.check_imported_rows());
            node.health.note_task("audit", write_failed_calls(node, false));
        }
        if flush.is_due() && flushing.uses.is_empty() {
            flushing.uses = node.verification.last_used.take();
        }
        if !flushing.uses.is_empty() {
            node.health.note_task("last use", flushing.step(node));
        }
        let snapshot = node.snapshot();
        if scrubbing.is_due() || scrub.has_other_peppers(snapshot.peppers()) {
            node.health.note_task("secret hashes", scrub.step(&*node.store, snapshot.peppers(), &node.metrics));
        }
        drop(snapshot);
        if sweep_part.is_due() {
            node.health.note_task("sweep", of(node, &mut sweeper).and_then(|sweeper| sweeper.sweep_part(node)));
        }
        if forget.is_due() {
            node.health.note_task("fleet sweep", of(node, &mut sweeper).and_then(|sweeper| sweeper.drop_silent(node)));
        }
        if names.is_due() {
            check_names(node);
            node.health.note_task("fleet sweep", fleet::drop_revoked(&*node.store, clock::now()));
            let heard_after = fleet::heard_after(node.config.fleet.forget_after, clock::now());
            // A store that does not answer says so elsewhere.
            let _unknown = node.fleet.behind.look_again(&*node.store, heard_after, &node.health, clock::now());
        }
        if sweep_store.is_due()
            && !node
                .health
                .note_task("store sweep", of(node, &mut sweeper).and_then(|sweeper| sweeper.sweep_store(node)))
        {
            sweep_store.soon();
        }
    }
    node.verification.last_used.put_back(flushing.uses);
    if let Some(mut sweeper) = sweeper {
        node.health.note_task("sweep", sweeper.remember(node));
    }
}

/// Says under which names two processes report. A store that does not answer says nothing about that.
fn check_names(node: &Node) {
    let now = clock::now();
    let Ok(doubled) = fleet::doubled(&*node.store, now) else { return };
    let message = doubled.as_ref().map(|names| {
        format!("two processes report under {names}: give each node a fleet.name, and each edge or relay a follow.name, of its own")
    });
    if node.health.note("fleet names", message, now) {
        match doubled {
            Some(names) => {
                tracing::warn!(names, "two processes report under one name, so the place of each is unknown")
            }
            None => tracing::info!("each name in the fleet belongs to one process again"),
        }
    }
}

/// What sweeps, once the store can say where the last one stood.
fn of<'a>(node: &Node, sweeper: &'a mut Option<Sweeper>) -> Result<&'a mut Sweeper, StoreError> {
    if sweeper.is_none() {
        *sweeper = Some(Sweeper::new(node.store.sweep_clock()?));
    }
    Ok(sweeper.get_or_insert_with(|| Sweeper::new(0)))
}

/// Writes down what is still in memory, at the end.
pub(super) fn finish(node: &Node) {
    node.health.note_task("audit", write_failed_calls(node, true));
    let mut flushing = Flushing { uses: node.verification.last_used.take(), ..Flushing::default() };
    while !flushing.uses.is_empty() && node.health.note_task("last use", flushing.step(node)) {
        std::thread::sleep(GAP);
    }
}

fn write_failed_calls(node: &Node, at_the_end: bool) -> Result<(), StoreError> {
    let now = clock::now();
    let records = if at_the_end { node.failed_calls.take_all(now) } else { node.failed_calls.take(now) };
    if records.is_empty() {
        return Ok(());
    }
    let written =
        transact(&*node.store, |transaction| records.iter().try_for_each(|record| transaction.append_audit(record)));
    if written.is_err() {
        node.failed_calls.put_back(records);
    }
    written
}

/// Writes down when keys were used, all of it.
#[cfg(test)]
pub(super) fn write_uses(node: &Node) -> Result<(), StoreError> {
    let mut flushing = Flushing { uses: node.verification.last_used.take(), ..Flushing::default() };
    while !flushing.uses.is_empty() {
        flushing.step(node)?;
    }
    Ok(())
}

/// Uses that are being stored.
struct Flushing {
    uses: Vec<Use>,
    /// How many go into one transaction.
    at_once: usize,
}

impl Default for Flushing {
    fn default() -> Self {
        Flushing { uses: Vec::new(), at_once: FIRST_USES }
    }
}

impl Flushing {
    /// Writes some of them, as many as take no longer than others should wait. Those that cannot be written are in the
    /// next flush.
    fn step(&mut self, node: &Node) -> Result<(), StoreError> {
        let rest = self.uses.len().saturating_sub(self.at_once);
        let begun = Instant::now();
        if let Err(error) = node.store.note_uses(&self.uses[rest..]) {
            node.verification.last_used.put_back(std::mem::take(&mut self.uses));
            return Err(error);
        }
        self.uses.truncate(rest);
        self.at_once = if begun.elapsed() > MAX_TRANSACTION {
            (self.at_once / 2).max(FIRST_USES)
        } else {
            (self.at_once * 2).min(MAX_USES)
        };
        Ok(())
    }
}
