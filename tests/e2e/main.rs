//! End-to-end tests: the real command and the real service, over their command line and their sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

mod admin;
mod assertion;
mod audit;
mod authorize;
mod cli;
mod client_certificates;
mod core_dump;
mod crash;
mod data;
mod doctor;
mod doors;
#[cfg(feature = "escrow")]
mod escrow;
mod exchanged_store;
mod ext_authz;
mod feed;
mod floods;
mod full_disk;
mod hanging;
mod imported;
mod imported_sets;
mod keyring_attacks;
mod keyring_moves;
mod last_used;
mod last_word;
mod ledger;
mod limits;
mod memory;
mod metrics;
mod openapi;
mod permanence;
mod quickstart;
mod reference;
mod refresh;
mod replaced;
mod revocation;
mod rotation;
mod scanners;
mod secrets;
mod shown_once;
mod silence;
mod support;
mod tls;
mod to_server;
mod trusted_proxies;
mod unix_sockets;
