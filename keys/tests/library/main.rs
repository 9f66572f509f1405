//! The library seen from outside, in one test binary.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod allocation;
mod batch;
#[cfg(feature = "capi")]
mod capi;
#[cfg(feature = "follow")]
mod exports;
#[cfg(feature = "follow")]
mod feed;
#[cfg(feature = "follow")]
mod feed_server;
mod fixture;
#[cfg(feature = "follow")]
mod follower;
#[cfg(feature = "gateway")]
mod gate_silence;
#[cfg(feature = "gateway")]
mod gateway;
mod issuing;
mod keyring;
#[cfg(feature = "tower")]
mod layer;
mod loading;
mod moves;
mod opening;
#[cfg(feature = "follow")]
mod poison;
#[cfg(all(feature = "follow", feature = "tower"))]
mod protected_api;
mod reloading;
mod revocation;
mod revocation_growth;
mod revocation_log;
mod rotation;
#[cfg(feature = "follow")]
mod saved_state;
mod secret;
#[cfg(any(feature = "follow", feature = "tower"))]
mod shared;
mod silence;
mod suites;
mod vectors;
