//! How the library's follower reports: what it says is read from its status and its verifier when it is said.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use super::{FORMATS, FollowStatus, FollowerReport, FollowerRole, HttpSource, Reporter};
use crate::shared::SharedVerifier;

/// A follower that is to report.
pub(crate) struct Reporting {
    pub(super) name: String,
    pub(super) verifier: SharedVerifier,
    pub(super) source: HttpSource,
}

impl Reporting {
    pub(super) fn start(self, status: Arc<Mutex<FollowStatus>>) -> io::Result<Reporter> {
        let Reporting { name, verifier, source } = self;
        let report = move || {
            let status = status.lock().unwrap_or_else(PoisonError::into_inner).clone();
            vec![report(&name, &status, &verifier)]
        };
        Reporter::start(report, move |body| source.report(body))
    }
}

fn report(name: &str, status: &FollowStatus, verifier: &SharedVerifier) -> FollowerReport {
    let verifier = verifier.verifier();
    FollowerReport {
        name: name.to_owned(),
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
    }
}
