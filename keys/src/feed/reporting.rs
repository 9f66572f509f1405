//! How the library's follower reports: what it says is read from its status and its verifier when it is said.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    FORMATS, FollowError, FollowStatus, FollowerReport, FollowerRole, HttpSource, Reporter, process_name::ProcessName,
};
use crate::shared::SharedVerifier;

/// Hears of a report why it failed, if it did.
type Heard = Box<dyn Fn(Option<&FollowError>) + Send>;

/// A follower that is to report.
pub(crate) struct Reporting {
    pub(crate) name: ProcessName,
    pub(crate) verifier: SharedVerifier,
    /// The first that takes a report gets it: all of them have one store.
    pub(crate) nodes: Vec<Arc<HttpSource>>,
    pub(crate) heard: Heard,
}

impl Reporting {
    pub(super) fn start(self, status: Arc<Mutex<FollowStatus>>) -> io::Result<Reporter> {
        let Reporting { name, verifier, nodes, heard } = self;
        let name = Arc::new(Mutex::new(name));
        let named = Arc::clone(&name);
        let report = move || {
            let status = lock(&status).clone();
            let (name, former_name) = lock(&named).current();
            vec![FollowerReport { former_name, ..report(name, &status, &verifier) }]
        };
        let send = move |body: &str| {
            let sent = to_first(&nodes, body);
            // An older server refuses what it does not know: it gets the next report without the former name.
            if matches!(sent, Ok(()) | Err(FollowError::Status(400))) {
                lock(&name).told();
            }
            heard(sent.as_ref().err());
            sent
        };
        Reporter::start(report, send)
    }
}

fn to_first(nodes: &[Arc<HttpSource>], body: &str) -> Result<(), FollowError> {
    let mut failed = FollowError::Status(404);
    for node in nodes {
        match node.report(body) {
            Ok(()) => return Ok(()),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn report(name: String, status: &FollowStatus, verifier: &SharedVerifier) -> FollowerReport {
    let verifier = verifier.verifier();
    FollowerReport {
        name,
        role: FollowerRole::Library,
        address: None,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        formats: FORMATS.map(str::to_owned).to_vec(),
        started_at: status.started_at,
        log_id: status.log_id,
        seq: status.seq,
        this_update: status.this_update,
        keyring_serial: status.keyring_serial,
        versions: verifier.versions(),
        realms: verifier.realms().collect(),
        refused: status.refused,
        last_error: status.last_error.as_ref().map(ToString::to_string),
        former_name: None,
        signed_message: None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
