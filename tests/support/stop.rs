//! The end of traffic in the background.

use std::sync::atomic::{AtomicBool, Ordering};

/// Raises a flag when it is dropped. Where an assertion fails beside traffic that runs until the flag is raised, the
/// traffic ends, too: otherwise the scope of both waits for ever, and nobody hears of the failure.
pub struct StopOnDrop<'f>(pub &'f AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
