//! The findings of `bulla doctor`.

use serde::Serialize;

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Ok,
    Warning,
    Wrong,
}

#[derive(Serialize)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) status: Status,
    pub(super) message: String,
}

/// All findings so far, in order.
#[derive(Default)]
pub(super) struct Report(pub(super) Vec<Finding>);

impl Report {
    pub(super) fn ok(&mut self, check: &'static str, message: impl ToString) {
        self.note(check, Status::Ok, message);
    }

    pub(super) fn warning(&mut self, check: &'static str, message: impl ToString) {
        self.note(check, Status::Warning, message);
    }

    pub(super) fn wrong(&mut self, check: &'static str, message: impl ToString) {
        self.note(check, Status::Wrong, message);
    }

    pub(super) fn note(&mut self, check: &'static str, status: Status, message: impl ToString) {
        self.0.push(Finding { check, status, message: message.to_string() });
    }

    /// Returns whether nothing is wrong.
    pub(super) fn is_well(&self) -> bool {
        self.0.iter().all(|finding| finding.status != Status::Wrong)
    }
}
