//! What a follower reports about itself to the node that it follows, and when: `POST /v1/followers` of `docs/FEED.md`.

use std::{
    fmt, io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use rand::{TryRng, rngs::SysRng};
use serde_json::{Value, json};

use super::{FollowError, LogId, backoff};
use crate::{key_version::KeyVersion, realm::Realm};

/// The shortest time between two reports: what changes in between is in the later one.
const MIN_INTERVAL: Duration = Duration::from_millis(100);
/// The longest time between two reports, by which a node knows that the follower is there.
const MAX_INTERVAL: Duration = Duration::from_secs(10);

/// What kind of follower reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FollowerRole {
    /// A service without a store, which verifies.
    Edge,
    /// A service that passes the feed on.
    Relay,
    /// A program with this library inside.
    Library,
}

impl FollowerRole {
    /// The role's name in a report.
    pub const fn name(self) -> &'static str {
        match self {
            FollowerRole::Edge => "edge",
            FollowerRole::Relay => "relay",
            FollowerRole::Library => "library",
        }
    }
}

/// A follower as it reports itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowerReport {
    /// Its name, the same after a restart: up to 128 of `A-Z`, `a-z`, `0-9`, `.`, `_`, `:`, `-` and `@`.
    pub name: String,
    /// Its role.
    pub role: FollowerRole,
    /// Where it serves; without it a node notes the sender's address.
    pub address: Option<String>,
    /// The version of the program, in up to 64 characters.
    pub version: String,
    /// The formats of the feed that it reads, such as `feed/1`.
    pub formats: Vec<String>,
    /// When it began, in Unix seconds.
    pub started_at: u64,
    /// The log that it follows, after the first message.
    pub log_id: Option<LogId>,
    /// The place in the log up to which everything is in force, and on disk where it keeps a state that a restart goes
    /// on from.
    pub seq: u64,
    /// When the newest message was signed, in Unix seconds; 0 before the first.
    pub this_update: u64,
    /// The serial number of the newest keyring that a message named.
    pub keyring_serial: u64,
    /// The key versions that it opens API keys with.
    pub versions: Vec<KeyVersion>,
    /// The realms that it verifies.
    pub realms: Vec<Realm>,
    /// Messages that it refused since it began.
    pub refused: u64,
    /// Why its last question failed, where it did, in up to 200 characters.
    pub last_error: Option<String>,
    /// The name that its process reported under until now, and does no more.
    pub former_name: Option<String>,
}

impl FollowerReport {
    /// The body of `POST /v1/followers` for these followers, all of the process that drew this
    /// [`instance`](new_instance).
    pub fn body(reports: &[FollowerReport], instance: Option<&str>) -> String {
        json!({"followers": reports.iter().map(|report| report.to_json(instance)).collect::<Vec<_>>()}).to_string()
    }

    fn to_json(&self, instance: Option<&str>) -> Value {
        let mut report = json!({
            "name": self.name,
            "role": self.role.name(),
            "version": self.version,
            "formats": self.formats,
            "started_at": self.started_at,
            "seq": self.seq,
            "this_update": self.this_update,
            "keyring_serial": self.keyring_serial,
            "versions": self.versions.iter().map(|version| version.number()).collect::<Vec<_>>(),
            "realms": self.realms.iter().map(Realm::as_str).collect::<Vec<_>>(),
            "refused": self.refused,
        });
        let cut = |text: &String| text.chars().filter(|char| !char.is_control()).take(200).collect::<String>();
        let more = [
            ("address", self.address.clone()),
            ("instance", instance.map(str::to_owned)),
            ("log_id", self.log_id.map(|id| id.to_string())),
            ("last_error", self.last_error.as_ref().map(cut)),
            ("former_name", self.former_name.clone()),
        ];
        if let Some(report) = report.as_object_mut() {
            report.extend(more.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into()))));
        }
        report
    }
}

/// What tells a process from another one that reports under the same name: drawn once when it begins. `None` where the
/// operating system's generator fails: then it is not told from another one.
pub fn new_instance() -> Option<String> {
    let drawn = SysRng.try_next_u64().ok()?;
    Some(format!("{drawn:016x}"))
}

/// Reports on a thread of its own until it is dropped: at once, soon after each [`Reporter::changed`], and every ten
/// seconds. After a failure it waits longer each time, with jitter.
pub struct Reporter(Arc<Signal>, Mutex<Option<JoinHandle<()>>>);

#[derive(Default)]
struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    changed: bool,
    stopped: bool,
    error: Option<FollowError>,
}

impl Reporter {
    /// Begins to report: `send` posts what `report` says, as [`FollowerReport::body`].
    pub fn start(
        mut report: impl FnMut() -> Vec<FollowerReport> + Send + 'static,
        mut send: impl FnMut(&str) -> Result<(), FollowError> + Send + 'static,
    ) -> io::Result<Self> {
        let signal = Arc::new(Signal::default());
        let shared = Arc::clone(&signal);
        let run = move || {
            let (mut failures, instance) = (0_u32, new_instance());
            while shared.begin() {
                let reports = report();
                let sent = if reports.is_empty() {
                    Ok(())
                } else {
                    send(&FollowerReport::body(&reports, instance.as_deref()))
                };
                failures = if sent.is_ok() { 0 } else { failures.saturating_add(1) };
                shared.state().error = sent.err();
                let random = SysRng.try_next_u32().unwrap_or(u32::MAX / 2);
                shared.pause(if failures == 0 { MIN_INTERVAL } else { backoff::after_failures(failures, random) });
                if failures == 0 {
                    shared.wait_for_change();
                }
            }
        };
        let thread = thread::Builder::new().name("bulla-report".to_owned()).spawn(run)?;
        Ok(Reporter(signal, Mutex::new(Some(thread))))
    }

    /// Ends, and waits for a report that is on its way.
    pub(super) fn stop(&self) {
        self.end();
        let thread = self.1.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _panicked = thread.map(JoinHandle::join);
    }

    fn end(&self) {
        self.0.state().stopped = true;
        self.0.changed.notify_all();
    }

    /// Says that there is something new to report.
    pub fn changed(&self) {
        self.0.state().changed = true;
        self.0.changed.notify_all();
    }

    /// Why the last report failed, if it did.
    pub fn last_error(&self) -> Option<FollowError> {
        self.0.state().error.clone()
    }
}

impl Drop for Reporter {
    /// Does not wait for a report that is on its way.
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter").field("last_error", &self.last_error()).finish_non_exhaustive()
    }
}

impl Signal {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes from now on are for the next report. `false` at the end.
    fn begin(&self) -> bool {
        let mut state = self.state();
        state.changed = false;
        !state.stopped
    }

    fn pause(&self, pause: Duration) {
        drop(self.changed.wait_timeout_while(self.state(), pause, |state| !state.stopped));
    }

    fn wait_for_change(&self) {
        let quiet = |state: &mut State| !state.stopped && !state.changed;
        drop(self.changed.wait_timeout_while(self.state(), MAX_INTERVAL, quiet));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn report(seq: u64) -> FollowerReport {
        FollowerReport {
            name: "edge-1".to_owned(),
            role: FollowerRole::Edge,
            address: None,
            version: "0.1.0".to_owned(),
            formats: vec!["feed/1".to_owned()],
            started_at: 7,
            log_id: None,
            seq,
            this_update: 0,
            keyring_serial: 2,
            versions: vec![KeyVersion::FIRST],
            realms: vec!["live".parse().expect("a realm")],
            refused: 0,
            last_error: None,
            former_name: None,
        }
    }

    #[test]
    fn a_report_has_what_applies_and_nothing_that_a_line_reader_obeys() {
        let told = FollowerReport { last_error: Some(format!("a\n{}", "é".repeat(400))), ..report(3) };
        let body: Value = serde_json::from_str(&FollowerReport::body(&[report(3), told], Some("0f"))).expect("JSON");
        let first = &body["followers"][0];
        assert_eq!((first["role"].as_str(), first["seq"].as_u64()), (Some("edge"), Some(3)));
        assert_eq!(first["instance"], "0f");
        assert!(new_instance().is_some_and(|drawn| drawn.len() == 16) && new_instance() != new_instance());
        assert_eq!((&first["versions"], &first["realms"]), (&json!([1]), &json!(["live"])));
        assert!(
            ["address", "log_id", "last_error", "former_name"].iter().all(|name| first.get(name).is_none()),
            "{first}"
        );
        assert_eq!(body["followers"][1]["last_error"], format!("a{}", "é".repeat(199)));
    }

    #[test]
    fn it_reports_at_once_after_each_change_and_again_after_a_failure() {
        let (asked, sent) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        let mut seq = 0;
        let next = move || {
            seq += 1;
            vec![report(seq)]
        };
        let reporter = Reporter::start(next, move |body| {
            asked.send(body.contains("edge-1")).expect("the test reads");
            answers.recv().expect("the test answers")
        });
        let reporter = reporter.expect("started");
        assert!(sent.recv().expect("at once"));
        // The next report has what happens while one is on its way.
        reporter.changed();
        answer.send(Ok(())).expect("answered");
        assert!(sent.recv().expect("the change"));
        answer.send(Err(FollowError::Status(503))).expect("answered");
        assert!(sent.recv().expect("again"), "though nothing changed");
        assert!(matches!(reporter.last_error(), Some(FollowError::Status(503))));
        drop(reporter);
        answer.send(Ok(())).expect("answered");
        assert!(sent.recv().is_err(), "the thread has ended");
    }
}
