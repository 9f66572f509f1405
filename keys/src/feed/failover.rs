//! Several sources as one: the first that answers is asked, and the next one where it fails.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Answer, FollowError, LoadedSnapshot, MessageSource, Question, VerifyingKey};
use crate::keyring_id::KeyringId;

/// After so long with another source the first one is tried again.
const RETURN: Duration = Duration::from_secs(60);

/// Sources in the order in which they are preferred. There is at least one.
pub(crate) struct Failover {
    sources: Vec<Arc<dyn MessageSource>>,
    /// The source that is asked, and since when.
    chosen: Mutex<(usize, Instant)>,
    name: String,
}

impl Failover {
    pub(crate) fn new(sources: Vec<Arc<dyn MessageSource>>) -> Self {
        let name = sources.iter().map(|source| source.name()).collect::<Vec<_>>().join(", ");
        Failover { sources, chosen: Mutex::new((0, Instant::now())), name }
    }

    fn chosen(&self) -> MutexGuard<'_, (usize, Instant)> {
        self.chosen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the source to begin with.
    fn first(&self) -> usize {
        let (at, since) = *self.chosen();
        if at != 0 && since.elapsed() >= RETURN { 0 } else { at }
    }
}

impl MessageSource for Failover {
    fn name(&self) -> &str {
        &self.name
    }

    fn ask(&self, question: &Question) -> Result<Answer, FollowError> {
        let (first, mut failed) = (self.first(), None);
        for at in 0..self.sources.len() {
            let number = (first + at) % self.sources.len();
            // A source that failed has taken time already: the others say at once what they know.
            let wait = if failed.is_none() && number == self.chosen().0 { question.wait } else { 0 };
            match self.sources[number].ask(&Question { wait, ..*question }) {
                Ok(answer) => {
                    let mut chosen = self.chosen();
                    if chosen.0 != number {
                        *chosen = (number, Instant::now());
                    }
                    return Ok(answer);
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        self.chosen().1 = Instant::now();
        Err(failed.unwrap_or(FollowError::BEHIND))
    }

    fn snapshot(&self, by: (KeyringId, &VerifyingKey)) -> Result<LoadedSnapshot, FollowError> {
        let chosen = self.chosen().0;
        self.sources.get(chosen).map_or(Err(FollowError::Status(404)), |source| source.snapshot(by))
    }

    fn stop(&self) {
        self.sources.iter().for_each(|source| source.stop());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use super::*;

    #[derive(Default)]
    struct Source {
        fails: AtomicBool,
        waited: AtomicU64,
        stopped: AtomicBool,
    }

    impl MessageSource for Source {
        fn name(&self) -> &str {
            "one"
        }

        fn ask(&self, question: &Question) -> Result<Answer, FollowError> {
            self.waited.store(question.wait, Ordering::Relaxed);
            let fails = self.fails.load(Ordering::Relaxed);
            if fails { Err(FollowError::Status(500)) } else { Ok(Answer::Next(Vec::new())) }
        }

        fn stop(&self) {
            self.stopped.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_next_source_is_asked_where_one_fails_and_the_first_is_tried_again() {
        let [one, other] = [(); 2].map(|()| Arc::new(Source::default()));
        let all = Failover::new(vec![Arc::clone(&one) as _, Arc::clone(&other) as _]);
        assert_eq!(all.name(), "one, one");
        let question = Question { after: 0, log_id: None, wait: 25 };
        all.ask(&question).expect("the first answers");
        assert_eq!((one.waited.load(Ordering::Relaxed), all.chosen().0), (25, 0));

        one.fails.store(true, Ordering::Relaxed);
        all.ask(&question).expect("the second answers");
        assert_eq!((other.waited.load(Ordering::Relaxed), all.chosen().0), (0, 1));
        all.ask(&question).expect("it stays");
        assert_eq!(other.waited.load(Ordering::Relaxed), 25);

        one.fails.store(false, Ordering::Relaxed);
        all.chosen().1 = Instant::now().checked_sub(RETURN).expect("the machine has run for a minute");
        all.ask(&question).expect("the first answers");
        assert_eq!(all.chosen().0, 0);

        one.fails.store(true, Ordering::Relaxed);
        other.fails.store(true, Ordering::Relaxed);
        assert!(matches!(all.ask(&question), Err(FollowError::Status(500))));
        all.stop();
        assert!([&one, &other].iter().all(|source| source.stopped.load(Ordering::Relaxed)));
    }
}
