//! A deterministic simulation: two processes of the service, the command line, their store, clocks and key sources,
//! with faults, held after every step to a small model. docs/TESTING.md says how to run it.
//!
//! A seed decides every step. Ids, nonces and secret halves come from the operating system as always; no step and no
//! check depends on what they are.

mod acting;
mod check;
pub(super) mod faults;
mod found;
mod importing;
mod keys;
mod life;
mod model;
mod process;
mod random;
mod revoking;
mod rotation;
mod run;
mod world;
