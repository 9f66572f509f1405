//! The look at stored hashes: whether they are as they were stored, before the keys come that need them.

use std::sync::Arc;

use crate::{
    secret::{Peppers, Sample},
    server::App,
};

/// Stored hashes that are looked at in one go.
const SAMPLE: u32 = 1_000;
/// Of these so many are named in the log: with another pepper all of them are to be.
const NAMED: usize = 10;

/// How far the look has come.
#[derive(Default)]
pub(in crate::server) struct HashLook {
    peppers: Option<Arc<Peppers>>,
    /// The last one looked at in this round, and what this round has found.
    after: u64,
    found: Sample,
    /// What the round before found, which counts until this one has come around.
    before: Sample,
}

impl App {
    /// Whether other peppers are loaded than those that the look was taken with.
    pub(in crate::server) fn has_other_peppers(&self, look: &HashLook) -> bool {
        match (self.snapshot().peppers(), &look.peppers) {
            (Some(now), Some(then)) => !Arc::ptr_eq(now, then),
            (now, then) => now.is_some() != then.is_some(),
        }
    }

    /// Looks at some stored hashes, from where the last look ended. What is wrong with those of this round, or of the last.
    pub(in crate::server) fn look_at_hashes(&self, look: &mut HashLook) -> Result<(), String> {
        if self.has_other_peppers(look) {
            *look = HashLook { peppers: self.snapshot().peppers().cloned(), ..HashLook::default() };
        }
        let Some(peppers) = look.peppers.clone() else { return Ok(()) };
        let sample = self.store.secret_sample(look.after, SAMPLE).map_err(|error| error.to_string())?;
        let mut named = 0;
        for (id, row) in &sample {
            if let Err(error) = look.found.look(id, row, &peppers) {
                self.metrics.secret_hashes_broken.inc();
                named += 1;
                if named <= NAMED {
                    tracing::error!(%id, %error, "a stored hash of a secret half is not as it was stored");
                }
            }
        }
        if named > NAMED {
            tracing::error!(more = named - NAMED, "further stored hashes of secret halves are not as they were stored");
        }
        let trouble = look.found.trouble().or_else(|| look.before.trouble());
        look.after = match sample.last() {
            Some((_, row)) if sample.len() == SAMPLE as usize => row.seq,
            _ => {
                look.before = std::mem::take(&mut look.found);
                0
            }
        };
        trouble.map_or(Ok(()), Err)
    }
}
