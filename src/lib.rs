//! The service behind the command `bulla`. Other programs embed the library `bulla` instead; what is public here is so for
//! the command, the fuzz targets and the benchmarks.

mod action;
mod assertion;
mod belonging;
#[doc(hidden)]
pub mod benchmark;
pub mod cli;
mod clock;
mod config;
mod deployment;
mod escrow;
#[doc(hidden)]
pub mod fuzzing;
mod hardening;
mod imported;
mod input_file;
mod json;
mod key_time;
mod keyring_file;
mod last_used;
mod rotation;
mod schema;
mod scope;
mod secret;
mod server;
mod store;
mod telemetry;
mod text;
mod tls;
mod view;
