//! The threads of a gate: they follow the feed, and load what changed on the disk. They begin in the process that
//! serves.

use std::{
    fmt, mem, process,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    Gate, GateError,
    gate::{Feed, open_sources},
    now,
    settings::Follow,
    worker::Worker,
};
use crate::{
    feed::{
        Failover, FollowError, FollowerHandle, HttpSource, MessageSource, OpenedSource, StateFolder, StateFolderError,
        StateWriter, handle, process_name::ProcessName, reporting::Reporting,
    },
    interrupt::Interrupt,
};

/// The time between two looks at the files with keys.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// How long a gate that ends waits for the thread that loads keys. Only a disk or a key source that hangs takes longer.
const ENDING: Duration = Duration::from_secs(1);

/// How long it waits for the state to be written: longer than a slow disk takes.
const STATE_ENDING: Duration = Duration::from_secs(10);

/// How long that thread waits for the one that asks key sources.
const SOURCES_ENDING: Duration = Duration::from_millis(200);

/// How long a gate that starts waits for the feed. The state that it begins with may be older than a revocation that
/// others know.
const FIRST_CONTACT: Duration = Duration::from_secs(1);

/// The threads of a [`Gate`]. When it is dropped they end at once, also where they wait for a server, and are joined.
/// One that waits for a key source or a disk is abandoned: it changes nothing any more, and ends with that question. In
/// a process that was forked from the one of the threads it does nothing.
pub struct Running {
    gate: Gate,
    pid: u32,
    follower: Option<FollowerHandle>,
    reloading: Option<(Interrupt, Worker)>,
    keeping: Option<Keeping>,
}

/// What keeps the last good state on disk.
struct Keeping {
    writer: Arc<StateWriter>,
    worker: Worker,
}

impl Gate {
    /// Begins to follow the feed and to watch the files with keys, on threads. Call it in the process that serves,
    /// after the last fork and before the first request: it waits for the first answer of the feed, for up to a second,
    /// so that this process accepts no key that another one knew to be revoked. Without an answer it begins with the
    /// last good state, as it is on disk by then.
    pub fn start(&self) -> Result<Running, GateError> {
        let pid = process::id();
        match self.0.started_in.compare_exchange(0, pid, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => {}
            Err(other) if other == pid => return Err(GateError::Started),
            Err(other) => return Err(GateError::Forked(other)),
        }
        // Dropped at an error, it ends what began.
        let mut running = Running { gate: self.clone(), pid, follower: None, reloading: None, keeping: None };
        if let (Some(feed), Some(follow)) = (&self.0.feed, &self.0.settings.follow)
            && !follow.sources.is_empty()
        {
            self.take_newer_from_disk(feed);
            running.keeping = keep(self)?;
            let (mut sources, mut nodes) = (Vec::<Arc<dyn MessageSource>>::new(), Vec::new());
            for OpenedSource { source, node } in open_sources(follow, &feed.access).collect::<Result<Vec<_>, _>>()? {
                sources.push(source);
                nodes.extend(node);
            }
            let source = match (sources.len(), sources.pop()) {
                (1, Some(only)) => only,
                (_, last) => {
                    sources.extend(last);
                    Arc::new(Failover::new(sources))
                }
            };
            // Published files take no report.
            let reporting = (follow.report && !nodes.is_empty()).then(|| self.reporting(follow, nodes));
            let follower = handle::start(source, Arc::clone(&feed.state), reporting, feed.began, now)?;
            let tries = follow.sources.len().try_into().unwrap_or(u32::MAX);
            follower.wait_for_contact(tries, FIRST_CONTACT);
            running.follower = Some(follower);
        }
        let (gate, interrupt) = (self.clone(), Interrupt::default());
        let stopped = interrupt.clone();
        let reload = move || reload(&gate, &stopped);
        let worker = Worker::start("bulla-reload", reload).map_err(GateError::Thread)?;
        running.reloading = Some((interrupt, worker));
        Ok(running)
    }
}

impl Gate {
    /// How this process reports its place to the nodes.
    fn reporting(&self, follow: &Follow, nodes: Vec<Arc<HttpSource>>) -> Reporting {
        let gate = self.clone();
        Reporting {
            name: ProcessName::numbered(self.0.settings.process_name(follow), follow.keyring_id),
            verifier: self.0.verifier.clone(),
            nodes,
            heard: Box::new(move |error| {
                gate.0.errors().report = error.and_then(trouble);
            }),
        }
    }

    /// The state was read when the gate was opened, which may be long ago where a master process starts one worker
    /// after another.
    fn take_newer_from_disk(&self, feed: &Feed) {
        let (Some(follow), Some((path, mac))) = (&self.0.settings.follow, &feed.kept) else { return };
        let folder = StateFolder::to_read(path, mac.clone());
        let found = folder.load(follow.realm, (follow.keyring_id, &follow.public_key), now());
        if let Some(state) = found.state {
            feed.state().take_newer(state, feed.moment(now()));
        }
    }
}

/// Begins to keep the last good state on disk. One process of several does: the others go on without.
fn keep(gate: &Gate) -> Result<Option<Keeping>, GateError> {
    let Some((feed, (path, mac))) = gate.0.feed.as_ref().and_then(|feed| Some((feed, feed.kept.as_ref()?))) else {
        return Ok(None);
    };
    let folder = match StateFolder::open(path, mac.clone()) {
        Ok(folder) => folder,
        Err(StateFolderError::Locked(_)) => return Ok(None),
        Err(error) => {
            gate.0.errors().state = Some(error.to_string());
            return Ok(None);
        }
    };
    let writer = Arc::new(StateWriter::default());
    feed.state().keep_by(Some(Arc::clone(&writer)));
    let (gate, running) = (gate.clone(), Arc::clone(&writer));
    let run = move || {
        let known = || gate.0.feed.as_ref().map(|feed| feed.state().known());
        running.run(&folder, |written| gate.0.errors().state = written.err(), known);
    };
    let worker = Worker::start("bulla-state", run).map_err(GateError::Thread)?;
    writer.whole();
    Ok(Some(Keeping { writer, worker }))
}

/// What a failed report is told as. Where no server is in reach the feed says so, and not every server takes reports.
fn trouble(error: &FollowError) -> Option<String> {
    match error {
        FollowError::Unreachable(_) | FollowError::Status(404) => None,
        FollowError::Status(409) => {
            Some("another app's API key reports under this name to the fleet: set follow.name".to_owned())
        }
        error => Some(format!("the fleet does not know this process's place: {error}")),
    }
}

/// Loads the keys anew whenever their files change, and after a failure until it succeeds. Key sources are asked on
/// another thread: while one hangs, a changed document still counts. What changed since the gate was opened, which may be
/// long ago, is read at once.
fn reload(gate: &Gate, stopped: &Interrupt) {
    let look = || gate.0.keys.look(&gate.0.settings);
    let mut seen = look();
    // A worker that may not see the files knows of no change.
    let mut again = seen.iter().any(|file| file.1.is_some() && !gate.0.seen.contains(file));
    let mut asking = None::<Worker>;
    loop {
        let found = look();
        if again || found != seen {
            seen = found;
            let wants_sources = gate.read_keys();
            again = !matches!(wants_sources, Ok(false));
            if matches!(wants_sources, Ok(true)) && asking.as_ref().is_none_or(Worker::has_ended) {
                let (gate, stopped) = (gate.clone(), stopped.clone());
                // The gate's counters have the error. Without a thread the next look asks.
                let ask = move || drop(gate.ask_sources(|| stopped.is_stopped()));
                asking = Worker::start("bulla-keys", ask).ok();
            }
        } else {
            again = gate.0.keys.lacks_keys();
        }
        if stopped.pause(POLL_INTERVAL).is_err() {
            break;
        }
    }
    if let Some(asking) = asking {
        asking.end_within(SOURCES_ENDING);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if process::id() != self.pid {
            // Its threads are in another process: there is nothing to wait for.
            mem::forget((self.follower.take(), self.reloading.take(), self.keeping.take()));
            return;
        }
        drop(self.follower.take());
        if let Some((interrupt, worker)) = self.reloading.take() {
            interrupt.stop();
            worker.end_within(ENDING);
        }
        // Behind the follower: what came last is on disk, too.
        if let Some(keeping) = self.keeping.take() {
            keeping.writer.stop();
            keeping.worker.end_within(STATE_ENDING);
            if let Some(feed) = &self.gate.0.feed {
                feed.state().keep_by(None);
            }
        }
        self.gate.0.started_in.store(0, Ordering::Relaxed);
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("pid", &self.pid).field("follower", &self.follower).finish_non_exhaustive()
    }
}
