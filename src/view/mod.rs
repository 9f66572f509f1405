//! What people and programs are shown, on the command line and over HTTP alike.

pub(crate) mod accepted;
pub(crate) mod audit;
pub(crate) mod keyring;
pub(crate) mod ledger;
pub(crate) mod verdict;
