//! What goes on beside the requests: following the log of revocations, sweeping out what has expired, and writing down what
//! was gathered in memory.

use std::{sync::Arc, time::Duration};

use bulla::{Revocations, State};
use jiff::SignedDuration;
use tokio::{sync::watch, time::Instant};

use super::App;
use crate::{
    clock,
    store::{StoreError, transact},
};

/// How often the log is looked at for what another process wrote.
const LOOK: Duration = Duration::from_millis(500);
/// How often one part of the list is swept.
const SWEEP_PART: Duration = Duration::from_secs(10);
/// How often the store is swept.
const SWEEP_STORE: Duration = Duration::from_secs(3_600);
/// How much longer than its key a revocation is kept: longer than any verifier's clock may be behind.
const EXPIRED_FOR: SignedDuration = SignedDuration::from_hours(1);
/// How long an answer is remembered.
const ANSWERED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// Runs until `stop`.
pub(super) async fn run(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let (mut part, mut next_part, mut next_store) = (0, Instant::now() + SWEEP_PART, Instant::now());
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let now = Instant::now();
        let sweep_part = (now >= next_part).then(|| {
            next_part = now + SWEEP_PART;
            part = (part + 1) % Revocations::PARTS;
            part
        });
        let sweep_store = now >= next_store;
        if sweep_store {
            next_store = now + SWEEP_STORE;
        }
        let worker = Arc::clone(&app);
        let round = tokio::task::spawn_blocking(move || {
            note(&worker, "revocations", worker.catch_up());
            note(&worker, "audit", write_refusals(&worker, false));
            if let Some(part) = sweep_part {
                worker.sweep_part(part);
            }
            if sweep_store {
                note(&worker, "store", sweep(&worker));
            }
        });
        if let Err(panic) = round.await {
            tracing::error!(%panic, "housekeeping failed");
        }
    }
}

/// Writes down what is still in memory, at the end.
pub(super) fn finish(app: &App) {
    note(app, "audit", write_refusals(app, true));
}

fn note(app: &App, what: &'static str, done: Result<(), StoreError>) {
    let error = done.err().map(|error| error.to_string());
    let told = error.clone();
    if app.degraded.note(what, error, clock::now()) {
        match told {
            Some(error) => tracing::warn!(what, error, "housekeeping does not get on; it goes on trying"),
            None => tracing::info!(what, "housekeeping gets on again"),
        }
    }
}

fn write_refusals(app: &App, at_the_end: bool) -> Result<(), StoreError> {
    let now = clock::now();
    let records = if at_the_end { app.refusals.take_all(now) } else { app.refusals.take(now) };
    if records.is_empty() {
        return Ok(());
    }
    let written =
        transact(&*app.store, |transaction| records.iter().try_for_each(|record| transaction.append_audit(record)));
    if written.is_err() {
        app.refusals.put_back(records);
    }
    written
}

fn sweep(app: &App) -> Result<(), StoreError> {
    let now = clock::now();
    let snapshot = app.snapshot();
    let destroyed = snapshot.document.versions().iter().filter(|record| record.state == State::Destroyed);
    let destroyed: Vec<u32> = destroyed.map(|record| record.number.number()).collect();
    let before = |age: SignedDuration| now.checked_sub(age).unwrap_or(now);
    app.store.sweep(before(EXPIRED_FOR), &destroyed, before(ANSWERED_FOR))
}
