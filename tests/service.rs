//! The service and the command from outside, against real parts: one binary, so that it is linked once. `sources` is
//! another one, because libraries of key sources read their settings from the environment of the process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(unreachable_pub, reason = "one binary, in which every part is for all tests")]

mod cluster;
mod e2e;
mod gateways;
mod servers;
#[allow(dead_code, reason = "each binary uses its part of it")]
mod support;
