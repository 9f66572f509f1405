//! The follower's threads: one waits for the server, one applies messages and watches the time. So a revocation takes
//! effect when it is due, whatever the server does.

use std::{
    fmt,
    ops::RangeInclusive,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rand::{TryRng, rngs::SysRng};

use super::{
    Answer, FollowError, FollowerError, LoadedSnapshot, LogId, MessageSource, Reporter, VerifyingKey,
    fetch::Question,
    follower_state::{FollowerState, Moment},
    reporting::Reporting,
};
use crate::keyring_id::KeyringId;

/// The longest time until the clock is read again: it may have been set meanwhile.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// A running follower. When it is dropped its threads end at once, also where they wait for the server, and it changes
/// nothing any more: the last revocations stay in force, and become stale in time where
/// [`WhenStale::CouldNotTell`](super::WhenStale::CouldNotTell) was chosen.
pub struct FollowerHandle {
    events: Sender<Event>,
    source: Arc<dyn MessageSource>,
    threads: Vec<JoinHandle<()>>,
    shown: Arc<Shown>,
    reporter: Option<Arc<Reporter>>,
}

/// The status of a follower.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FollowStatus {
    /// The log, after the first message.
    pub log_id: Option<LogId>,
    /// The place in the log.
    pub seq: u64,
    /// When the newest message was signed, in Unix seconds; 0 before the first.
    pub this_update: u64,
    /// Whether that was the end of the log when the last message was signed.
    pub complete: bool,
    /// When the state is fresh, in Unix seconds of the clock as it was set a second ago, once the end of the log was
    /// reached.
    pub fresh: Option<RangeInclusive<u64>>,
    /// When it began, in Unix seconds.
    pub started_at: u64,
    /// The serial number of the newest keyring that a message named: with a larger one than
    /// [`Keyring::serial`](crate::keyring::Keyring::serial) the verifier's own is behind.
    pub keyring_serial: u64,
    /// The number of revoked ids, suspended ids and rules.
    pub revocations: usize,
    /// Messages that were refused since it began.
    pub refused: u64,
    /// Failed questions in a row.
    pub failures: u32,
    /// How often the server knew something else at the same place; the follower started again.
    pub diverged: u64,
    /// Why the last question failed.
    pub last_error: Option<FollowError>,
}

impl FollowStatus {
    /// Since when the state is stale, where it is stale at `now`. Both are Unix seconds. Before the end of the log was
    /// reached that is the start; after a clock was set back it is unknown, and `now` is returned.
    pub fn stale_since(&self, now: u64) -> Option<u64> {
        let Some(fresh) = &self.fresh else { return Some(self.started_at) };
        (!fresh.contains(&now)).then(|| fresh.end().saturating_add(1).min(now))
    }
}

impl FollowStatus {
    /// Returns whether a message has reached the end of the log since it began: of a state from the disk alone nobody
    /// knows how long it is fresh.
    fn is_current(&self) -> bool {
        self.complete && self.fresh.is_some()
    }
}

impl FollowerHandle {
    /// The status.
    pub fn status(&self) -> FollowStatus {
        self.shown.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until a message has reached the end of the log since it began, but not longer than `bound`. Returns
    /// whether one has. A program that starts with a state from the disk calls this before it serves, so that it
    /// accepts nothing that was revoked meanwhile.
    pub fn wait_until_current(&self, bound: Duration) -> bool {
        self.wait_for_contact(u32::MAX, bound)
    }

    /// The same, and no longer than until this number of questions has failed.
    pub(crate) fn wait_for_contact(&self, failures: u32, bound: Duration) -> bool {
        let status = self.shown.status.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |status: &mut FollowStatus| !status.is_current() && status.failures < failures;
        let waited = self.shown.changed.wait_timeout_while(status, bound, waits);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_current()
    }

    /// Why its last report failed, where it [reports](super::Follower::reporting_as) and that failed.
    pub fn report_error(&self) -> Option<FollowError> {
        self.reporter.as_ref().and_then(|reporter| reporter.last_error())
    }
}

impl Drop for FollowerHandle {
    fn drop(&mut self) {
        let _gone_already = self.events.send(Event::Stop);
        self.source.stop();
        if let Some(reporter) = self.reporter.take() {
            reporter.stop();
        }
        for thread in self.threads.drain(..) {
            let _panicked = thread.join();
        }
    }
}

/// The status, for everyone who looks at it or waits for it.
struct Shown {
    status: Arc<Mutex<FollowStatus>>,
    changed: Condvar,
}

enum Event {
    Answer(Result<Answer, FollowError>),
    Snapshot(Result<Box<LoadedSnapshot>, FollowError>),
    Stop,
}

/// What to ask, and how long to wait before that.
type Task = (Duration, Asking);

#[derive(PartialEq)]
enum Asking {
    Messages(Question),
    Snapshot,
}

/// Begins to ask. The state has run since `began`.
pub(crate) fn start(
    source: Arc<dyn MessageSource>,
    state: Arc<Mutex<FollowerState>>,
    reporting: Option<Reporting>,
    began: Instant,
    clock: impl Fn() -> u64 + Send + 'static,
) -> Result<FollowerHandle, FollowerError> {
    let (events, answers) = mpsc::channel();
    let (tasks, asked) = mpsc::channel();
    let locked = lock(&state);
    let status = Arc::new(Mutex::new(locked.status(Moment { now: clock(), ran: began.elapsed() })));
    let trusted = (locked.keyring_id, locked.key);
    drop(locked);
    let shown = Arc::new(Shown { status, changed: Condvar::new() });
    let (answering, asking) = (events.clone(), Arc::clone(&source));
    let ask = move || ask(&*asking, trusted, &asked, &answering);
    let mut handle = FollowerHandle { events, source, threads: Vec::new(), shown: Arc::clone(&shown), reporter: None };
    handle.threads.push(thread::Builder::new().name("bulla-feed".to_owned()).spawn(ask)?);
    let reporter = reporting.map(|reporting| reporting.start(Arc::clone(&shown.status))).transpose()?.map(Arc::new);
    handle.reporter.clone_from(&reporter);
    let run = move || run(&state, &answers, &tasks, (&clock, began), &(shown, reporter));
    handle.threads.push(thread::Builder::new().name("bulla-follow".to_owned()).spawn(run)?);
    Ok(handle)
}

fn lock(state: &Mutex<FollowerState>) -> MutexGuard<'_, FollowerState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ask(
    source: &dyn MessageSource,
    (keyring_id, key): (KeyringId, VerifyingKey),
    asked: &Receiver<Task>,
    answers: &Sender<Event>,
) {
    while let Ok((pause, asking)) = asked.recv() {
        // Nothing else comes before the answer, unless the follower is dropped.
        if !pause.is_zero() && asked.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        let answer = match asking {
            Asking::Messages(question) => Event::Answer(source.ask(&question)),
            Asking::Snapshot => Event::Snapshot(source.snapshot((keyring_id, &key)).map(Box::new)),
        };
        if answers.send(answer).is_err() {
            return;
        }
    }
}

fn run(
    state: &Mutex<FollowerState>,
    answers: &Receiver<Event>,
    tasks: &Sender<Task>,
    (clock, began): (&dyn Fn() -> u64, Instant),
    (shown, reporter): &(Arc<Shown>, Option<Arc<Reporter>>),
) {
    // What is to be reported.
    let mut news = true;
    let (mut next, mut swept) = (Some(Duration::ZERO), Instant::now());
    let moment = || Moment { now: clock(), ran: began.elapsed() };
    loop {
        let at = moment();
        *shown.status.lock().unwrap_or_else(PoisonError::into_inner) = lock(state).status(at);
        shown.changed.notify_all();
        if let Some(reporter) = reporter.as_ref().filter(|_| std::mem::take(&mut news)) {
            reporter.changed();
        }
        if let Some(pause) = next.take() {
            // It is asked when the pause is over, and the server's wait counts from then.
            let mut state = lock(state);
            let asking = match state.wants_snapshot() {
                true => Asking::Snapshot,
                false => Asking::Messages(state.question(at, pause)),
            };
            drop(state);
            if tasks.send((pause, asking)).is_err() {
                return;
            }
        }
        let event = answers.recv_timeout(POLL_INTERVAL);
        news |= event.is_ok();
        match event {
            Ok(Event::Snapshot(snapshot)) => {
                lock(state).load(snapshot.map(|loaded| *loaded), moment());
                next = Some(Duration::ZERO);
            }
            Ok(Event::Answer(answer)) => {
                let random = SysRng.try_next_u32().unwrap_or(u32::MAX / 2);
                let mut state = lock(state);
                next = Some(state.take(answer, moment(), random));
                state.sweep(std::mem::replace(&mut swept, Instant::now()).elapsed(), moment());
            }
            Err(RecvTimeoutError::Timeout) => lock(state).tick(moment()),
            Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

impl fmt::Debug for FollowerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FollowerHandle").field("status", &self.status()).finish_non_exhaustive()
    }
}
