//! What the benchmark of forward authentication needs of the service: its listener, for handlers to be held against.

use std::io;

use axum::Router;
use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
};

use crate::{config::ServerConfig, hardening, server};

/// A listener of the service with endpoints of others.
pub struct Listener {
    /// Where it listens, `HOST:PORT`.
    pub address: String,
    _stop: watch::Sender<bool>,
    _runtime: Runtime,
}

impl Listener {
    /// Starts it on threads like those of `bulla serve`.
    pub fn start(router: Router) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().enable_all().on_thread_park(hardening::forget_registers).build()?;
        let (stop, stopped) = watch::channel(false);
        let (address, serving) = runtime.block_on(server::serve_alone(router, &ServerConfig::default(), stopped))?;
        runtime.spawn(serving);
        Ok(Listener { address: address.to_string(), _stop: stop, _runtime: runtime })
    }
}
