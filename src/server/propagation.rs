//! Waiting until a change is in force everywhere, for `?wait=`.

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{App, blocking};
use crate::{
    action::fleet,
    api::propagation::{Goal, MAX_WAIT, Propagates, Propagation},
    clock,
    config::Span,
    store::LogPlace,
};

/// How often those who wait look for what other nodes wrote.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The whole revocation log of this moment.
pub(super) fn log_of(app: &App, now: Timestamp) -> Goal {
    let (log_id, seq) = app.revocations.place();
    Goal::Log(LogPlace { log_id: log_id.unwrap_or_default(), seq, newest_at: Some(now) })
}

/// Waits for the fleet where the request asks for that, and adds who has it. The status is `done`, or 202 where some
/// have not.
pub(super) async fn waited<T: Propagates>(
    app: &Arc<App>,
    outcome: &mut T,
    goal: Goal,
    wait: Option<Span>,
    done: StatusCode,
) -> StatusCode {
    let Some(wait) = wait else { return done };
    let propagation = reached_by_all(app, goal, wait.0).await;
    let status = status(&propagation, done);
    outcome.set_propagation(propagation);
    status
}

/// The status of an answer that waited.
pub(super) fn status(propagation: &Propagation, done: StatusCode) -> StatusCode {
    if propagation.is_complete() { done } else { StatusCode::ACCEPTED }
}

/// Waits until every registered node and follower has it in force, for `limit` at most.
pub(super) async fn reached_by_all(app: &Arc<App>, goal: Goal, limit: Duration) -> Propagation {
    let deadline = Instant::now() + limit.min(MAX_WAIT).min(app.config.server.idle_timeout.0 / 2);
    let goal = Arc::new(goal);
    let (mut written, mut stopping) = (app.fleet.written.subscribe(), app.stopping.subscribe());
    let mut drop_at = Instant::now();
    loop {
        written.mark_unchanged();
        let (worker, wanted) = (Arc::clone(app), Arc::clone(&goal));
        let drops = Instant::now() >= drop_at;
        if drops {
            drop_at = Instant::now() + fleet::DROP_INTERVAL;
        }
        let look = move || {
            if drops {
                fleet::drop_revoked(&*worker.store, clock::now())?;
            }
            fleet::propagation(&*worker.store, &wanted, &worker.config.fleet, clock::now())
        };
        let looked = blocking::run(look).await;
        let over = Instant::now() >= deadline || *stopping.borrow();
        match looked {
            Ok(Ok(propagation)) if over || propagation.is_complete() => return propagation,
            Ok(Err(error)) if over => return Propagation::unknown(&goal, error.to_string()),
            Err(_) => return Propagation::unknown(&goal, "this server's log says more".to_owned()),
            Ok(_) => {}
        }
        let next = deadline.min(Instant::now() + POLL_INTERVAL);
        tokio::select! {
            _ = written.changed() => {}
            () = tokio::time::sleep_until(next) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
    }
}
