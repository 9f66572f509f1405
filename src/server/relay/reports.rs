//! What followers of a relay report: collected, and sent on to a node in batches. The relay reports itself with them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use bulla::feed::{FORMATS, FollowError, HttpSource, new_instance};
use serde_json::json;
use tokio::sync::watch;

use super::streams::Streams;
use crate::{
    api::followers::{FollowerReport, FollowerRole, MAX_FOLLOWERS, MAX_TEXT},
    clock,
    input::text,
    server::failures::Failures,
};

/// The time between two batches. So long a report waits at most where the node takes it.
const INTERVAL: Duration = Duration::from_millis(200);
/// The time between two reports of the relay itself, where nothing changes.
const OWN_INTERVAL: Duration = Duration::from_secs(10);
/// The time until a node that failed is tried again.
const RETRY: Duration = Duration::from_secs(2);

type Process = (String, Option<String>);

/// Reports that wait, and where they go.
pub(super) struct Reports {
    /// The nodes, or relays, that this relay follows.
    nodes: Vec<Arc<HttpSource>>,
    /// What the relay reports itself as, if it does.
    name: Option<String>,
    started_at: u64,
    /// What tells this process from another one under its name.
    instance: Option<String>,
    /// The newest of each process, by its name and what tells it from others.
    waiting: Mutex<BTreeMap<Process, FollowerReport>>,
    /// Why a node refused the relay's own report last, if it did.
    own_refusal: Mutex<Option<FollowError>>,
}

impl Reports {
    pub(super) fn new(nodes: Vec<Arc<HttpSource>>, name: Option<String>) -> Self {
        let (started_at, instance) = (clock::now_seconds(), new_instance());
        Reports { nodes, name, started_at, instance, waiting: Mutex::default(), own_refusal: Mutex::default() }
    }

    /// Takes reports, which are checked. False where too many followers wait already.
    pub(super) fn add(&self, reports: Vec<FollowerReport>) -> bool {
        let mut waiting = self.lock();
        if waiting.len() + reports.len() > 100 * MAX_FOLLOWERS {
            return false;
        }
        for report in reports {
            put(&mut waiting, report);
        }
        true
    }

    /// Sends uses of API keys on at once. It blocks.
    pub(super) fn pass_uses(&self, body: &str) -> Result<(), FollowError> {
        self.to_one(|node| node.report_uses(body))
    }

    /// Sends what waits, until `stop`.
    pub(super) fn run(&self, streams: &Streams, address: &str, health: &Failures, stop: &watch::Receiver<bool>) {
        let mut own: Option<(u64, Instant)> = None;
        while !*stop.borrow() {
            let (_, seq) = streams.place(clock::now_seconds());
            if own.is_none_or(|(known, at)| known != seq || at.elapsed() >= OWN_INTERVAL) {
                own = Some((seq, Instant::now()));
                self.add(self.name.iter().map(|name| self.own(name, streams, address)).collect());
            }
            let sent = self.send();
            let pause = if sent.is_ok() { INTERVAL } else { RETRY };
            let told = sent.map_err(|error| error.to_string()).and_then(|()| self.is_known());
            health.note_task("reports of followers", told);
            thread::sleep(pause);
        }
    }

    /// Sends one batch. Reports that cannot be sent wait on, unless newer ones arrived meanwhile.
    fn send(&self) -> Result<(), FollowError> {
        let batch: Vec<FollowerReport> = {
            let mut waiting = self.lock();
            let first: Vec<Process> = waiting.keys().take(MAX_FOLLOWERS).cloned().collect();
            first.iter().filter_map(|process| waiting.remove(process)).collect()
        };
        if batch.is_empty() {
            return Ok(());
        }
        let (sent, unsent) = match self.post(&batch) {
            // One of them is at fault, and no other is to suffer for it.
            Err(error) if is_refusal(&error) => self.post_each(batch),
            Err(error) => (Err(error), batch),
            Ok(()) => {
                if batch.iter().any(|one| self.is_own(one)) {
                    *self.own_refusal() = None;
                }
                (Ok(()), Vec::new())
            }
        };
        let mut waiting = self.lock();
        for report in unsent {
            let newer = waiting.remove(&process(&report));
            put(&mut waiting, report);
            newer.into_iter().for_each(|newer| put(&mut waiting, newer));
        }
        sent
    }

    /// Sends them one by one, and drops those that are refused. Returns why it ended early, and what is left then.
    fn post_each(&self, batch: Vec<FollowerReport>) -> (Result<(), FollowError>, Vec<FollowerReport>) {
        let mut left = batch.into_iter();
        while let Some(one) = left.next() {
            match self.post(std::slice::from_ref(&one)) {
                Err(error) if !is_refusal(&error) => return (Err(error), [one].into_iter().chain(left).collect()),
                refused if self.is_own(&one) => *self.own_refusal() = refused.err(),
                Ok(()) | Err(_) => {}
            }
        }
        (Ok(()), Vec::new())
    }

    fn is_own(&self, report: &FollowerReport) -> bool {
        self.name.as_ref() == Some(&report.name) && self.instance == report.instance
    }

    /// Fails while no node takes the relay's own report: then the fleet does not know it.
    fn is_known(&self) -> Result<(), String> {
        match &*self.own_refusal() {
            None => Ok(()),
            Some(error) => {
                let name = self.name.as_deref().unwrap_or_default();
                Err(format!(
                    "the report of this relay itself is refused ({error}): where the name {name} is another's, set follow.name"
                ))
            }
        }
    }

    fn own_refusal(&self) -> MutexGuard<'_, Option<FollowError>> {
        self.own_refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn post(&self, batch: &[FollowerReport]) -> Result<(), FollowError> {
        let body = json!({"followers": batch}).to_string();
        self.to_one(|node| node.report(&body))
    }

    /// Sends to the first node that takes it: all of them write into one store.
    fn to_one(&self, send: impl Fn(&HttpSource) -> Result<(), FollowError>) -> Result<(), FollowError> {
        let mut failed = FollowError::Status(503);
        for node in &self.nodes {
            match send(node) {
                Ok(()) => return Ok(()),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    fn own(&self, name: &str, streams: &Streams, address: &str) -> FollowerReport {
        let newest = streams.newest();
        FollowerReport {
            name: name.to_owned(),
            role: FollowerRole::Relay,
            address: Some(address.to_owned()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            formats: FORMATS.map(str::to_owned).to_vec(),
            log_id: newest.as_ref().map(|newest| newest.log_id.to_string()),
            seq: newest.as_ref().map_or(0, |newest| newest.seq),
            this_update: newest.as_ref().map_or(0, |newest| newest.this_update),
            keyring_serial: 0,
            versions: Vec::new(),
            realms: Vec::new(),
            refused: streams.refusals.total(),
            last_error: streams.trouble().map(|error| as_text(&error)),
            started_at: Some(self.started_at),
            instance: self.instance.clone(),
            former_name: None,
            signed_message: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Process, FollowerReport>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has a report wait in the place of an older one, whose former name it says, too.
fn put(waiting: &mut BTreeMap<Process, FollowerReport>, mut report: FollowerReport) {
    let process = process(&report);
    if let Some(older) = waiting.remove(&process) {
        report.former_name = report.former_name.or(older.former_name);
    }
    waiting.insert(process, report);
}

/// As much of an error as a report may have.
fn as_text(error: &str) -> String {
    text::shown(error).chars().filter(|char| !char.is_control()).take(MAX_TEXT).collect()
}

/// Returns whether a node will never take the report.
fn is_refusal(error: &FollowError) -> bool {
    matches!(error, FollowError::Status(400 | 409))
}

fn process(report: &FollowerReport) -> Process {
    (report.name.clone(), report.instance.clone())
}

/// What the fleet calls a relay that has no name of its own.
pub(super) fn default_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String =
        host.trim().chars().filter(|char| char.is_ascii_alphanumeric() || "._-".contains(*char)).collect();
    format!("relay@{}", if host.is_empty() { "host" } else { &host })
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Read, Write},
        net::TcpListener,
        sync::atomic::{AtomicBool, Ordering},
    };

    use super::*;

    fn report(name: &str, seq: u64, former: Option<&str>) -> FollowerReport {
        FollowerReport {
            name: name.to_owned(),
            role: FollowerRole::Library,
            address: None,
            version: "1".to_owned(),
            formats: Vec::new(),
            log_id: None,
            seq,
            this_update: 0,
            keyring_serial: 0,
            versions: Vec::new(),
            realms: Vec::new(),
            refused: 0,
            last_error: None,
            started_at: None,
            instance: Some("a0".to_owned()),
            former_name: former.map(str::to_owned),
            signed_message: None,
        }
    }

    /// A node that refuses the name `taken`, and can tell nothing of single reports while it is `away`.
    fn node(away: &Arc<AtomicBool>) -> Arc<HttpSource> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let away = Arc::clone(away);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (mut reader, mut length, mut line) = (BufReader::new(&stream), 0, String::new());
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().expect("a length");
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).expect("a body");
                let body = String::from_utf8(body).expect("UTF-8");
                let single = body.matches("\"name\":").count() == 1;
                let status = match (body.contains("taken"), away.load(Ordering::SeqCst)) {
                    (_, true) if single => "503 Away",
                    (true, _) => "409 Taken",
                    _ => "200 OK",
                };
                let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
                (&stream).write_all(answer.as_bytes()).expect("answered");
            }
        });
        Arc::new(HttpSource::with_token(&address, "caller-x").expect("a source"))
    }

    #[test]
    fn one_report_that_is_refused_loses_no_other_one() {
        let away = Arc::new(AtomicBool::new(true));
        let reports = Reports::new(vec![node(&away)], None);
        let all = ["one", "taken", "two"];
        assert!(reports.add(all.iter().map(|name| report(name, 1, None)).collect()));
        assert!(matches!(reports.send(), Err(FollowError::Status(503))));
        let names = || reports.lock().keys().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(), all, "no node took them");
        away.store(false, Ordering::SeqCst);
        assert!(reports.send().is_ok());
        assert_eq!(names(), [""; 0], "the node took two of them, and will never take the other one");
    }

    #[test]
    fn a_report_that_is_refused_alone_delays_no_other_one_and_the_relays_own_is_told() {
        let away = Arc::new(AtomicBool::new(false));
        let reports = Reports::new(vec![node(&away)], Some("taken".to_owned()));
        assert!(reports.add(vec![report("taken", 1, None)]));
        assert!(reports.send().is_ok() && reports.is_known().is_ok(), "it is a follower's, under the relay's name");
        let own = FollowerReport { instance: reports.instance.clone(), ..report("taken", 1, None) };
        assert!(reports.add(vec![report("one", 1, None), own]));
        assert!(reports.send().is_ok() && reports.lock().is_empty());
        let told = reports.is_known().expect_err("nobody else would tell it");
        assert!(told.contains("taken") && told.contains("follow.name"), "{told}");
    }

    #[test]
    fn an_error_of_any_length_fits_into_a_report() {
        let told =
            FollowerReport { last_error: Some(as_text(&format!("a\n{}", "é".repeat(400)))), ..report("r", 1, None) };
        assert_eq!(told.last_error.as_ref().map(|error| error.chars().count()), Some(MAX_TEXT));
        assert!(told.row("", None, clock::now()).is_ok());
    }

    #[test]
    fn a_later_report_carries_the_former_name_of_one_that_still_waits() {
        let reports = Reports::new(Vec::new(), None);
        assert!(reports.add(vec![report("shop:1", 1, Some("shop:2"))]) && reports.add(vec![report("shop:1", 2, None)]));
        let told = || reports.lock().values().map(|one| (one.seq, one.former_name.clone())).collect::<Vec<_>>();
        assert_eq!(told(), [(2, Some("shop:2".to_owned()))]);
        // No node takes it, so it waits on.
        assert!(reports.send().is_err());
        assert_eq!(told(), [(2, Some("shop:2".to_owned()))]);
    }
}
