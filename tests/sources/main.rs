//! Every key source against the real thing it stands for, by one contract (`contract.rs`). `parts/` has the real
//! things; a part that is not installed fails its tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(unreachable_pub, reason = "one binary, in which every part is for all tests")]

mod aws_credentials;
mod aws_kms;
mod contract;
mod exec;
mod file;
mod key_types;
mod kryoptic;
mod modules;
mod opencryptoki;
mod parts;
mod pkcs11;
mod proxies;
mod proxy_of_modules;
mod published;
mod refusing;
mod service;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each binary uses its part of it")]
mod support;
mod tpm_token;
mod trust;
mod vault_transit;
