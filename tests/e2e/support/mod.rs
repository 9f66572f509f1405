//! What the tests stand on: throw-away deployments, running servers, HTTP, and the reference implementation.

pub mod command;
pub mod deployment;
pub mod described;
pub mod http;
pub mod mount;
pub mod reference;
pub mod server;
