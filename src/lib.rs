//! The service behind the command `bulla`. Other programs embed the library `bulla` instead; what is public here is so
//! for the command, the fuzz targets and the benchmarks.

mod action;
mod api;
mod assertion;
pub mod cli;
mod clock;
mod config;
mod deployment;
mod escrow;
mod hardening;
mod imported;
mod input;
mod last_used;
mod publication;
mod scope;
mod secret;
mod server;
mod store;
mod telemetry;
#[doc(hidden)]
pub mod testing;
mod tls;
mod verification;

/// The README's example of library code, compiled with the other documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
