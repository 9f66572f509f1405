//! Envoy's dynamic module `bulla`: it verifies the API key of every request in the proxy's own process, with the keys
//! and revocations of an edge. `docs/MODULES.md` says how it is set up and how it behaves.
//!
//! | module | |
//! |---|---|
//! | `abi` | Envoy's ABI; the only unsafe code |
//! | `config` | the filter's configuration, and what Envoy's metrics are told |
//! | `gates` | the verifiers of this process, one for each settings file |
//! | `route` | the requirements of a route |
//! | `request` | the decision about a request |

mod abi;
mod config;
mod gates;
mod metrics;
mod request;
mod route;
