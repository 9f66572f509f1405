//! Messages that lead on from a place in the log, kept for a while: thousands of followers ask for the same ones.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::body::Bytes;
use bulla::feed::{Format, LogId};
use tokio::sync::OnceCell;

/// How long a message is handed on. Followers refuse one that is older than the last one by five minutes.
const KEEP: Duration = Duration::from_secs(120);
/// The most bytes of all together, beyond which the oldest go.
const MAX_BYTES: usize = 64 << 20;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) bytes: Bytes,
    pub(super) format: Format,
    /// A follower's place after it.
    pub(super) seq: u64,
    /// Whether that was the end of the log.
    pub(super) is_end: bool,
}

/// A message, or the one question for it that is under way.
type Slot = Arc<OnceCell<Part>>;

/// Messages by the log and the place that they go on from.
#[derive(Default)]
pub(super) struct Parts {
    all: Mutex<HashMap<(LogId, u64), (Slot, Instant)>>,
}

impl Parts {
    /// Keeps a message that arrived without a question.
    pub(super) fn put(&self, log_id: LogId, after: u64, part: Part) {
        let mut all = self.lock();
        all.insert((log_id, after), (Arc::new(OnceCell::new_with(Some(part))), Instant::now()));
        shorten(&mut all);
    }

    /// Forgets the messages that reach the end of their log: they name an older keyring than the newest one.
    pub(super) fn forget_ends(&self) {
        self.lock().retain(|_, (slot, _)| slot.get().is_none_or(|part| !part.is_end));
    }

    /// The message that goes on from a place: the one that is kept, or the one that `ask` brings, which is asked once
    /// for all who wait for it.
    pub(super) async fn get<E>(
        &self,
        log_id: LogId,
        after: u64,
        end: u64,
        ask: impl AsyncFnOnce() -> Result<Part, E>,
    ) -> Result<Part, E> {
        let slot = {
            let mut all = self.lock();
            shorten(&mut all);
            // An end behind which the log has gone on is reported to nobody.
            let is_over = |slot: &Slot| slot.get().is_some_and(|part| part.is_end && part.seq < end);
            if all.get(&(log_id, after)).is_some_and(|(slot, _)| is_over(slot)) {
                all.remove(&(log_id, after));
            }
            let (slot, _) = all.entry((log_id, after)).or_insert_with(|| (Slot::default(), Instant::now()));
            Arc::clone(slot)
        };
        slot.get_or_try_init(|| ask()).await.cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(LogId, u64), (Slot, Instant)>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops what is old, and the oldest beyond the limit.
fn shorten(all: &mut HashMap<(LogId, u64), (Slot, Instant)>) {
    all.retain(|_, (_, since)| since.elapsed() < KEEP);
    let bytes = |slot: &Slot| slot.get().map_or(0, |part| part.bytes.len());
    let mut total: usize = all.values().map(|(slot, _)| bytes(slot)).sum();
    while total > MAX_BYTES {
        let Some(oldest) = all.iter().min_by_key(|(_, (_, since))| *since).map(|(place, _)| *place) else { return };
        total -= all.remove(&oldest).map_or(0, |(slot, _)| bytes(&slot));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const LOG: LogId = LogId::from_bytes([1; 16]);

    fn part(bytes: impl Into<Bytes>) -> Part {
        Part { bytes: bytes.into(), format: Format::V1, seq: 9, is_end: true }
    }

    #[tokio::test]
    async fn one_question_is_for_all_who_wait_and_a_failure_is_asked_again() {
        let (parts, asked) = (Parts::default(), AtomicUsize::new(0));
        let ask = async || {
            tokio::task::yield_now().await;
            match asked.fetch_add(1, Ordering::SeqCst) {
                0 => Err("away"),
                _ => Ok(part("message")),
            }
        };
        assert_eq!(parts.get(LOG, 5, 9, &ask).await, Err("away"));
        let both = tokio::join!(parts.get(LOG, 5, 9, &ask), parts.get(LOG, 5, 9, &ask));
        assert_eq!(both, (Ok(part("message")), Ok(part("message"))));
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        parts.put(LOG, 5, part("newer"));
        assert_eq!(parts.get(LOG, 5, 9, &ask).await, Ok(part("newer")));
        assert_eq!(parts.get(LOG, 5, 10, &ask).await, Ok(part("message")), "the log goes on");
        parts.put(LOG, 5, part("of an older keyring"));
        parts.put(LOG, 1, Part { is_end: false, ..part("on the way") });
        parts.forget_ends();
        assert_eq!(parts.get(LOG, 5, 9, &ask).await, Ok(part("message")));
        assert_eq!(parts.get(LOG, 1, 9, &ask).await.map(|part| part.bytes), Ok("on the way".into()));
    }

    #[tokio::test]
    async fn the_oldest_make_room() {
        let parts = Parts::default();
        for after in 0..6 {
            parts.put(LOG, after, part(vec![0; MAX_BYTES / 4]));
        }
        let kept = async |after| parts.get(LOG, after, 9, async || Err::<Part, ()>(())).await.is_ok();
        assert!(!kept(0).await && !kept(1).await && kept(2).await && kept(5).await);
    }
}
