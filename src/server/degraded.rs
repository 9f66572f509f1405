//! What does not work as it should while keys are verified all the same.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;

use crate::{api::health::Failing, text};

/// Everything that is failing.
#[derive(Default)]
pub(crate) struct Degraded(Mutex<BTreeMap<&'static str, Failing>>);

impl Degraded {
    /// Notes how `what` went just now. Whether that differs from how it went before.
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

    /// Since when `what` is failing, if it is.
    pub(super) fn since(&self, what: &str) -> Option<Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(what).map(|failing| failing.since)
    }

    /// What is failing now.
    pub(super) fn all(&self) -> Vec<Failing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
