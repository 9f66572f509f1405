//! What a module inside a gateway needs (feature `gateway`): settings in one file, a [`Gate`] that is opened once and
//! keeps itself current, requirements of routes, and ready answers. `docs/MODULES.md` has the modules,
//! `docs/EMBEDDING.md` what they must know of forks, threads and reloads.
//!
//! ```no_run
//! use bulla::gateway::{Answer, Gate, Presented, Settings};
//! # let request: Vec<(&str, &str)> = Vec::new();
//! # let (address, now) = (None, 1_800_000_000);
//!
//! // As root, before a fork: the files are read, and no thread begins.
//! let gate = Gate::open(&Settings::read("/etc/bulla/gate.toml".as_ref())?)?;
//! let wanted = gate.requirements("realm:live,scope:orders.read")?;
//!
//! // In the process that serves. Dropping it ends the threads at once.
//! let running = gate.start()?;
//!
//! // For every request; the answer is reused.
//! let mut answer = Answer::new();
//! let mut presented = Presented::new(&wanted);
//! request.iter().for_each(|(name, value)| presented.add(name.as_bytes(), value.as_bytes()));
//! gate.check(&wanted, &presented, address, now, &mut answer);
//! if answer.is_accepted() {
//!     answer.headers().for_each(|(name, value)| println!("{name}: {value}"));
//! }
//! # drop(running);
//! # Ok::<(), bulla::gateway::GateError>(())
//! ```

mod answer;
mod counts;
mod decision;
mod error;
mod gate;
mod hyphenated;
mod keyring;
mod keys;
mod mistake;
mod presented;
mod process_name;
mod required;
mod requirements;
mod rfc3339;
mod running;
mod settings;
mod worker;

pub use self::{
    answer::{Answer, HEADERS},
    counts::Counters,
    error::GateError,
    gate::Gate,
    mistake::Mistake,
    presented::Presented,
    required::{Required, RequiredError},
    requirements::Requirements,
    running::Running,
    settings::Settings,
};
#[cfg(feature = "capi")]
pub(crate) use self::{
    decision::{Challenge, Decision},
    hyphenated::{HYPHENATED, hyphenated},
    rfc3339::{TIME, rfc_3339},
};

/// The time in Unix seconds, by the system's clock.
pub fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}
