//! Faults of networks, clocks, disks and processes, with real processes on hosts of their own. In each of them no acknowledged
//! revocation is forgotten, no valid key is refused inside the policy, and everyone is of one mind at the end. Each prints how
//! long that took.

mod lost;
mod node;

use std::time::{Duration, Instant};

/// The longest that anything here may take; a deadline, not an expectation.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until `done`, and prints how long it took.
fn until(what: &str, mut done: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "{what}: that does not come about");
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = begun.elapsed();
    println!("{what}: {:.2} s", took.as_secs_f64());
    took
}
