//! The integrity check of stored hashes (scrub): whether they are as they were stored, before the keys come that need
//! them.

use std::sync::Arc;

use crate::{
    secret::{Peppers, ScrubFindings},
    store::Store,
    telemetry::metrics::Metrics,
};

/// Stored hashes that are checked in one step.
const SAMPLE: u32 = 1_000;
/// How many of these the log names: with another pepper all of them are broken.
const NAMED: usize = 10;

/// How far the check has come.
#[derive(Default)]
pub(in crate::server) struct Scrub {
    peppers: Option<Arc<Peppers>>,
    /// The last hash that was checked in this round, and what this round has found.
    after: u64,
    found: ScrubFindings,
    /// What the round before found, which counts until this one has come around.
    before: ScrubFindings,
}

impl Scrub {
    /// Returns whether these are other peppers than those that the round began with.
    pub(in crate::server) fn has_other_peppers(&self, peppers: Option<&Arc<Peppers>>) -> bool {
        match (peppers, &self.peppers) {
            (Some(now), Some(then)) => !Arc::ptr_eq(now, then),
            (now, then) => now.is_some() != then.is_some(),
        }
    }

    /// Checks some stored hashes, from where the last step ended. An error says what is wrong in this round, or in the
    /// one before.
    pub(in crate::server) fn step(
        &mut self,
        store: &dyn Store,
        peppers: Option<&Arc<Peppers>>,
        metrics: &Metrics,
    ) -> Result<(), String> {
        if self.has_other_peppers(peppers) {
            *self = Scrub { peppers: peppers.cloned(), ..Scrub::default() };
        }
        let Some(peppers) = self.peppers.clone() else { return Ok(()) };
        let sample = store.secret_sample(self.after, SAMPLE).map_err(|error| error.to_string())?;
        let mut named = 0;
        for row in &sample.damaged {
            metrics.secret_hashes_broken.inc();
            self.found.note_unreadable();
            named += 1;
            if named <= NAMED {
                tracing::error!(row, "stored hash of a secret half cannot be read");
            }
        }
        for (id, row) in &sample.rows {
            if let Err(error) = self.found.check(id, row, &peppers) {
                metrics.secret_hashes_broken.inc();
                named += 1;
                if named <= NAMED {
                    tracing::error!(%id, %error, "stored hash of a secret half fails its integrity check");
                }
            }
        }
        if named > NAMED {
            tracing::error!(more = named - NAMED, "more stored hashes of secret halves fail their integrity check");
        }
        let trouble = self.found.trouble().or_else(|| self.before.trouble());
        self.after = sample.next.unwrap_or_else(|| {
            self.before = std::mem::take(&mut self.found);
            0
        });
        trouble.map_or(Ok(()), Err)
    }
}
