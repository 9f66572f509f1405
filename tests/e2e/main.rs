//! End-to-end tests: the real command and the real service, over their command line and their sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

mod admin;
mod audit;
mod authorize;
mod cli;
mod core_dump;
mod data;
mod doctor;
mod keyring_attacks;
mod keyring_moves;
mod ledger;
mod limits;
mod quickstart;
mod reference;
mod refresh;
mod revocation;
mod rotation;
mod silence;
mod support;
