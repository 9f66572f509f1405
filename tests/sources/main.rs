//! Every key source against the real thing it stands for, by one contract (`contract.rs`). `parts/` has the real things; a part
//! that is not installed fails its tests.

#![allow(missing_docs, reason = "tests")]

mod aws_kms;
mod contract;
mod exec;
mod file;
mod parts;
mod pkcs11;
mod trust;
mod vault_transit;
