//! What fails while keys are still verified: the degraded reasons of `/readyz`.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;

use crate::{api::health::Failing, clock, input::text};

/// Everything that fails now, by the name of the part that fails.
#[derive(Default)]
pub(crate) struct Failures(Mutex<BTreeMap<&'static str, Failing>>);

impl Failures {
    /// Notes that `what` failed just now, or succeeded. Returns whether that differs from before.
    pub(super) fn note(&self, what: &'static str, error: Option<String>, now: Timestamp) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            None => all.remove(what).is_some(),
            Some(detail) => {
                let since = all.get(what).map(|before| before.since);
                all.insert(what, Failing { what, since: since.unwrap_or(now), detail: text::shown(&detail) });
                since.is_none()
            }
        }
    }

    /// Notes how a background task ended, and logs it where that changed. Returns whether it succeeded.
    pub(super) fn note_task(&self, what: &'static str, done: Result<(), impl ToString>) -> bool {
        let error = done.err().map(|error| error.to_string());
        if self.note(what, error.clone(), clock::now()) {
            match &error {
                Some(error) => tracing::warn!(what, error, "background task failed, retrying"),
                None => tracing::info!(what, "background task succeeds again"),
            }
        }
        error.is_none()
    }

    /// Since when `what` fails, if it does.
    pub(super) fn since(&self, what: &str) -> Option<Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(what).map(|failing| failing.since)
    }

    /// Why `what` fails, if it does.
    pub(super) fn detail(&self, what: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(what).map(|failing| failing.detail.clone())
    }

    /// Everything that fails now.
    pub(super) fn all(&self) -> Vec<Failing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
