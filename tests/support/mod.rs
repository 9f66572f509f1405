//! What the tests stand on: throw-away deployments, running servers, HTTP, Envoy's side of gRPC, and the reference
//! implementation.

pub mod authority;
pub mod clock;
pub mod cluster;
pub mod command;
pub mod database;
pub mod deployment;
pub mod described;
pub mod edge;
pub mod envoy;
#[cfg(feature = "escrow")]
pub mod escrow;
pub mod hard_values;
pub mod http;
pub mod imported;
pub mod mount;
pub mod netns;
pub mod on_hosts;
pub mod postgres;
pub mod process;
pub mod programs;
pub mod proxy;
pub mod reference;
pub mod server;
pub mod stop;
pub mod tls;
