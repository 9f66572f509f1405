//! What an edge reports to the nodes that it follows: its place, after each message and every ten seconds, and the uses
//! of API keys.

use std::{
    sync::{Arc, Weak},
    thread,
    time::{Duration, Instant},
};

use bulla::feed::{FORMATS, FollowError, FollowerReport, FollowerRole, HttpSource, Reporter};
use serde_json::json;
use tokio::sync::watch;

use super::{STATE, asking::Sources, follower::Follower};
use crate::{clock, last_used::Use, server::core::Core};

/// Uses in one report.
const MAX_USES_A_REPORT: usize = 5_000;
/// The time between two looks at whether uses are due, or the service stops.
const TICK: Duration = Duration::from_millis(200);

/// Begins to report the place under this name. Without a node among the sources there is nobody to report to.
pub(super) fn start(follower: &Arc<Follower>, sources: &Sources, name: String) -> std::io::Result<Option<Reporter>> {
    if sources.iter().all(|source| source.load().node.is_none()) {
        return Ok(None);
    }
    let (follower, sources, started_at) = (Arc::downgrade(follower), Arc::clone(sources), clock::now_seconds());
    let report = move || report(&follower, &name, started_at).into_iter().collect();
    Reporter::start(report, move |body| first_node(&sources, |node| node.report(body)).unwrap_or(Ok(()))).map(Some)
}

/// What the first node says that answers: all of them have one store. None where no source is a node.
pub(super) fn first_node<T>(
    sources: &Sources,
    ask: impl Fn(&HttpSource) -> Result<T, FollowError>,
) -> Option<Result<T, FollowError>> {
    first_node_that(sources, ask, |_| true)
}

/// The answer of the first node that counts; the last one of all where none does.
pub(super) fn first_node_that<T>(
    sources: &Sources,
    ask: impl Fn(&HttpSource) -> Result<T, FollowError>,
    counts: impl Fn(&T) -> bool,
) -> Option<Result<T, FollowError>> {
    let mut last = None;
    for source in sources.iter() {
        match source.load().node.as_ref().map(|node| ask(node)) {
            Some(Ok(answer)) if counts(&answer) => return Some(Ok(answer)),
            Some(answer) => last = Some(answer),
            None => {}
        }
    }
    last
}

fn report(follower: &Weak<Follower>, name: &str, started_at: u64) -> Option<FollowerReport> {
    let follower = follower.upgrade()?;
    let snapshot = follower.live.load_full();
    let verifier = snapshot.verifier();
    // An error of the disk tells more than one of a source.
    let unwritten = follower.health.detail(STATE);
    let state = follower.lock();
    let place = state.settled(follower.writer.place());
    let failing = state.sources.iter().find_map(|source| source.error.as_ref());
    Some(FollowerReport {
        name: name.to_owned(),
        role: FollowerRole::Edge,
        address: None,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        formats: FORMATS.map(str::to_owned).to_vec(),
        started_at,
        log_id: place.log_id,
        seq: place.seq,
        this_update: state.feed.this_update(),
        keyring_serial: place.keyring_serial,
        versions: verifier.versions(),
        realms: verifier.realms().collect(),
        refused: state.refused,
        last_error: unwritten.or_else(|| failing.map(ToString::to_string)),
        former_name: None,
        signed_message: state.proof(),
    })
}

/// Reports uses until `stop`, and what is left then.
pub(super) fn report_uses(core: &Core, sources: &Sources, stop: &watch::Receiver<bool>) {
    let interval = core.config.last_used.flush_interval.0;
    let mut next = Instant::now() + interval;
    loop {
        let stopped = *stop.borrow();
        core.verification.last_used.collect();
        if stopped || Instant::now() >= next {
            core.health.note_task("last use", flush(core, sources));
            next = Instant::now() + interval;
        }
        if stopped {
            return;
        }
        thread::sleep(TICK);
    }
}

fn flush(core: &Core, sources: &Sources) -> Result<(), FollowError> {
    let mut uses = core.verification.last_used.take();
    while !uses.is_empty() {
        let rest = uses.len().saturating_sub(MAX_USES_A_REPORT);
        let body = json!({"uses": uses[rest..].iter().map(shown).collect::<Vec<_>>()}).to_string();
        if let Err(error) = first_node(sources, |node| node.report_uses(&body)).unwrap_or(Ok(())) {
            core.verification.last_used.put_back(uses);
            return Err(error);
        }
        uses.truncate(rest);
    }
    Ok(())
}

fn shown(one: &Use) -> serde_json::Value {
    let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    json!({
        "api_key_id": one.id.to_string(), "last_used_at": number(one.last_used), "count": number(one.count),
    })
}
