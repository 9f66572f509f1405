//! The service behind the command `bulla`. Other programs embed the library `bulla` instead; what is public here is so for
//! the command and for the fuzz targets.

pub mod cli;
mod clock;
mod config;
mod deployment;
#[doc(hidden)]
pub mod fuzzing;
mod hardening;
mod issuing;
mod keyring_change;
mod keyring_view;
#[allow(dead_code, reason = "no store takes its batches yet")]
mod last_used;
mod ledger_view;
mod rotation;
mod server;
mod store;
mod telemetry;
mod verdict;
