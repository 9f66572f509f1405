//! Asks the preferred source; if that fails, the next.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{Answer, FollowError, LoadedSnapshot, MessageSource, Question, VerifyingKey};
use crate::keyring_id::KeyringId;

/// How long another source is used before the first is retried, and the time between two retries.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// Sources in the order in which they are preferred. There is at least one.
pub(crate) struct Failover {
    sources: Vec<Arc<dyn MessageSource>>,
    chosen: Arc<Mutex<Chosen>>,
    name: String,
}

/// The source that is asked.
struct Chosen {
    number: usize,
    /// When it was chosen, or when the first source was last retried.
    since: Instant,
    /// The thread that retries the first source, or did.
    retry: Option<JoinHandle<()>>,
}

impl Chosen {
    fn is_retrying(&self) -> bool {
        self.retry.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Failover {
    pub(crate) fn new(sources: Vec<Arc<dyn MessageSource>>) -> Self {
        let name = sources.iter().map(|source| source.name()).collect::<Vec<_>>().join(", ");
        let chosen = Chosen { number: 0, since: Instant::now(), retry: None };
        Failover { sources, chosen: Arc::new(Mutex::new(chosen)), name }
    }

    /// Retries the first source where it is due. A thread of its own asks it, for a source that accepts the question
    /// and never answers would hold up revocations that another source knows.
    fn retry_first(&self, question: &Question) {
        let mut chosen = lock(&self.chosen);
        if chosen.number == 0 || chosen.is_retrying() || chosen.since.elapsed() < RETRY_INTERVAL {
            return;
        }
        chosen.since = Instant::now();
        let (first, question) = (Arc::clone(&self.sources[0]), Question { wait: 0, ..*question });
        let shared = Arc::clone(&self.chosen);
        let retry = move || {
            if first.ask(&question).is_ok() {
                lock(&shared).number = 0;
            }
        };
        // Without a thread the next retry is due in a minute.
        chosen.retry = thread::Builder::new().name("bulla-retry".to_owned()).spawn(retry).ok();
    }
}

fn lock(chosen: &Mutex<Chosen>) -> MutexGuard<'_, Chosen> {
    chosen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MessageSource for Failover {
    fn name(&self) -> &str {
        &self.name
    }

    fn ask(&self, question: &Question) -> Result<Answer, FollowError> {
        self.retry_first(question);
        let (first, mut failed) = (lock(&self.chosen).number, None);
        for at in 0..self.sources.len() {
            let number = (first + at) % self.sources.len();
            // A source that failed has taken time already: the others answer at once.
            let wait = if failed.is_none() { question.wait } else { 0 };
            match self.sources[number].ask(&Question { wait, ..*question }) {
                Ok(answer) => {
                    // A retry may have chosen the first source meanwhile.
                    if number != first {
                        let mut chosen = lock(&self.chosen);
                        (chosen.number, chosen.since) = (number, Instant::now());
                    }
                    return Ok(answer);
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.unwrap_or(FollowError::BEHIND))
    }

    fn snapshot(&self, by: (KeyringId, &VerifyingKey)) -> Result<LoadedSnapshot, FollowError> {
        let chosen = lock(&self.chosen).number;
        self.sources.get(chosen).map_or(Err(FollowError::Status(404)), |source| source.snapshot(by))
    }

    fn stop(&self) {
        self.sources.iter().for_each(|source| source.stop());
    }
}

/// No thread outlives it: a gateway may unload the library.
impl Drop for Failover {
    fn drop(&mut self) {
        self.stop();
        let retry = lock(&self.chosen).retry.take();
        if let Some(thread) = retry {
            let _panicked = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    };

    use super::*;

    #[derive(Default)]
    struct Source {
        fails: AtomicBool,
        waited: AtomicU64,
        questions: AtomicU32,
        stopped: AtomicBool,
        /// Reports a question, and answers once it is let.
        held: Mutex<Option<(Sender<()>, Receiver<()>)>>,
    }

    impl MessageSource for Source {
        fn name(&self) -> &str {
            "one"
        }

        fn ask(&self, question: &Question) -> Result<Answer, FollowError> {
            self.waited.store(question.wait, Ordering::Relaxed);
            self.questions.fetch_add(1, Ordering::Relaxed);
            if let Some((asked, let_go)) = &*self.held.lock().expect("no panic") {
                asked.send(()).expect("somebody waits");
                let_go.recv().expect("it is let go");
            }
            let fails = self.fails.load(Ordering::Relaxed);
            if fails { Err(FollowError::Status(500)) } else { Ok(Answer::Next(Vec::new())) }
        }

        fn stop(&self) {
            self.stopped.store(true, Ordering::Relaxed);
        }
    }

    const QUESTION: Question = Question { after: 0, log_id: None, wait: 25 };

    fn two() -> (Arc<Source>, Arc<Source>, Failover) {
        let [one, other] = [(); 2].map(|()| Arc::new(Source::default()));
        let all = Failover::new(vec![Arc::clone(&one) as _, Arc::clone(&other) as _]);
        (one, other, all)
    }

    fn make_retry_due(all: &Failover) {
        lock(&all.chosen).since = Instant::now().checked_sub(RETRY_INTERVAL).expect("the machine has run for a minute");
    }

    /// Waits until the retry that runs has ended.
    fn end_of_retry(all: &Failover) {
        while lock(&all.chosen).is_retrying() {
            thread::yield_now();
        }
    }

    #[test]
    fn the_next_source_is_asked_where_one_fails_and_the_first_is_tried_again() {
        let (one, other, all) = two();
        assert_eq!(all.name(), "one, one");
        all.ask(&QUESTION).expect("the first answers");
        assert_eq!((one.waited.load(Ordering::Relaxed), lock(&all.chosen).number), (25, 0));

        one.fails.store(true, Ordering::Relaxed);
        all.ask(&QUESTION).expect("the second answers");
        assert_eq!((other.waited.load(Ordering::Relaxed), lock(&all.chosen).number), (0, 1));
        all.ask(&QUESTION).expect("it stays");
        assert_eq!(other.waited.load(Ordering::Relaxed), 25);

        one.fails.store(false, Ordering::Relaxed);
        make_retry_due(&all);
        all.ask(&QUESTION).expect("one of the two answers");
        end_of_retry(&all);
        assert_eq!(lock(&all.chosen).number, 0);
        all.ask(&QUESTION).expect("the first answers");
        assert_eq!(one.waited.load(Ordering::Relaxed), 25);

        one.fails.store(true, Ordering::Relaxed);
        other.fails.store(true, Ordering::Relaxed);
        assert!(matches!(all.ask(&QUESTION), Err(FollowError::Status(500))));
        all.stop();
        assert!([&one, &other].iter().all(|source| source.stopped.load(Ordering::Relaxed)));
    }

    #[test]
    fn a_retry_that_fails_is_not_repeated_before_a_minute_and_the_other_source_is_asked_to_wait() {
        let (one, other, all) = two();
        one.fails.store(true, Ordering::Relaxed);
        all.ask(&QUESTION).expect("the second answers");
        make_retry_due(&all);
        all.ask(&QUESTION).expect("the second answers");
        end_of_retry(&all);
        assert_eq!(one.questions.load(Ordering::Relaxed), 2);
        for _ in 0..3 {
            all.ask(&QUESTION).expect("the second answers");
            assert_eq!((other.waited.load(Ordering::Relaxed), lock(&all.chosen).number), (25, 1));
            // A retry that should not be is counted before the next look.
            end_of_retry(&all);
        }
        assert_eq!(one.questions.load(Ordering::Relaxed), 2, "it is not asked again");
    }

    #[test]
    fn a_first_source_that_never_answers_holds_up_no_question() {
        let (one, other, all) = two();
        one.fails.store(true, Ordering::Relaxed);
        all.ask(&QUESTION).expect("the second answers");
        let ((asked, retried), (let_go, held)) = (channel(), channel());
        *one.held.lock().expect("no panic") = Some((asked, held));
        make_retry_due(&all);
        all.ask(&QUESTION).expect("the second answers");
        retried.recv().expect("the first is asked beside it");
        make_retry_due(&all);
        all.ask(&QUESTION).expect("the second answers");
        assert_eq!((one.questions.load(Ordering::Relaxed), other.waited.load(Ordering::Relaxed)), (2, 25));
        let_go.send(()).expect("it waits");
        end_of_retry(&all);
        assert_eq!(lock(&all.chosen).number, 1);
    }
}
