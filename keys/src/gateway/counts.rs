//! What a gate counts, for the gateway's own metrics.

use std::{
    array,
    cell::Cell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use crate::rejection::Rejection;

/// The reasons of a refusal, in the order of the counts: the library's, then those of requests without one credential.
const REFUSED: usize = Rejection::ALL.len() + 2;
/// The reasons why it could not tell.
const UNTOLD: [&str; 3] = ["secret_unchecked", "stale", "forked"];

/// Threads that count accepted keys each in a place of its own. Later ones share a place.
const PLACES: usize = 64;

/// A count that is alone in its line of the processor's cache.
#[derive(Default)]
#[repr(align(64))]
struct Alone(AtomicU64);

thread_local! {
    /// This thread's place in every gate.
    static PLACE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The place of the next thread.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Answers since the gate was opened.
pub(super) struct Counts {
    /// The last place is the one that threads share.
    accepted: [Alone; PLACES + 1],
    refused: [AtomicU64; REFUSED],
    untold: [AtomicU64; UNTOLD.len()],
}

/// A gate's numbers at one moment.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Requests that were let through.
    pub accepted: u64,
    /// Requests that were refused, by reason.
    pub rejected: Vec<(&'static str, u64)>,
    /// Requests about which it could not tell, by reason.
    pub could_not_tell: Vec<(&'static str, u64)>,
    /// How old the knowledge of revocations is, in seconds; none before the end of the log was reached, or without a
    /// feed.
    pub feed_age: Option<u64>,
    /// The place in the log.
    pub seq: u64,
    /// Revoked ids, suspended ids and rules.
    pub revocations: usize,
    /// The serial number of the newest keyring that the feed named.
    pub keyring_serial: u64,
    /// Messages of the feed that were refused.
    pub refused_messages: u64,
    /// Failed questions to the feed in a row.
    pub failures: u32,
    /// Why the last question failed.
    pub last_error: Option<String>,
    /// Why the keys could not be loaded anew; those from before are in force.
    pub reload_error: Option<String>,
    /// Why the last good state is not kept on disk, or was not used.
    pub state_error: Option<String>,
    /// Why the last report of this process's place failed: the fleet does not know it.
    pub report_error: Option<String>,
    /// The process in which the gate's threads run.
    pub started_in: Option<u32>,
    /// Whether this process was forked from the one with the threads: nothing keeps the gate current here.
    pub forked: bool,
}

impl Default for Counts {
    fn default() -> Self {
        Counts {
            accepted: array::from_fn(|_| Alone::default()),
            refused: array::from_fn(|_| AtomicU64::default()),
            untold: Default::default(),
        }
    }
}

/// Gives this thread the next place, which it keeps.
#[cold]
fn take_place() -> usize {
    let place = NEXT.fetch_add(1, Ordering::Relaxed).min(PLACES);
    PLACE.set(Some(place));
    place
}

impl Counts {
    #[inline]
    pub(super) fn accepted(&self) {
        let place = PLACE.get().unwrap_or_else(take_place);
        match self.accepted.get(place).filter(|_| place < PLACES) {
            // No other thread writes it: two simple instructions instead of one that locks the line.
            Some(Alone(own)) => own.store(own.load(Ordering::Relaxed) + 1, Ordering::Relaxed),
            None => _ = self.accepted[PLACES].0.fetch_add(1, Ordering::Relaxed),
        }
    }

    pub(super) fn rejected(&self, rejection: Rejection) {
        let at = Rejection::ALL.iter().position(|one| *one == rejection);
        if let Some(count) = at.and_then(|at| self.refused.get(at)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A request without a credential, or with several.
    pub(super) fn unpresented(&self, several: bool) {
        self.refused[Rejection::ALL.len() + usize::from(several)].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn untold(&self, reason: &str) {
        if let Some(at) = UNTOLD.iter().position(|one| *one == reason) {
            self.untold[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn read(&self) -> Counters {
        let names = Rejection::ALL.iter().map(|one| one.code()).chain(["no_credential", "several_credentials"]);
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counters {
            accepted: self.accepted.iter().map(|place| load(&place.0)).sum(),
            rejected: names.zip(self.refused.iter().map(load)).collect(),
            could_not_tell: UNTOLD.into_iter().zip(self.untold.iter().map(load)).collect(),
            ..Counters::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_count_is_lost_among_more_threads_than_places() {
        const THREADS: u64 = 2 * PLACES as u64;
        let counts = Counts::default();
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| (0..1_000).for_each(|_| counts.accepted()));
            }
        });
        assert_eq!(counts.read().accepted, 1_000 * THREADS);
    }
}
