//! `[server]`: limits on requests, connections and the shutdown.

use serde::Deserialize;

use super::{SHORTEST, Span};

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerConfig {
    pub(crate) allow_plaintext: bool,
    pub(crate) max_body: usize,
    pub(crate) max_batch_body: usize,
    /// Memory for all bodies at a time, in MiB.
    pub(crate) body_memory_mib: u32,
    pub(crate) max_head: usize,
    pub(crate) head_timeout: Span,
    pub(crate) body_timeout: Span,
    pub(crate) idle_timeout: Span,
    pub(crate) max_connections: usize,
    pub(crate) shutdown_grace: Span,
}

impl ServerConfig {
    /// The memory for bodies, in bytes.
    pub(crate) fn body_memory(&self) -> usize {
        (self.body_memory_mib as usize) << 20
    }

    /// The longest message of Envoy, which may include the client's body.
    pub(crate) fn max_check(&self) -> usize {
        self.max_batch_body.max(4 << 20)
    }

    /// Refuses bounds that contradict each other.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.max_head < 8192 {
            return Err("server.max_head must be at least 8192".to_owned());
        }
        if u32::try_from(self.max_head).is_err() {
            return Err(format!("server.max_head must be at most {}", u32::MAX));
        }
        // With less no request would be answered.
        self.head_timeout.at_least(SHORTEST, "server.head_timeout")?;
        self.body_timeout.at_least(SHORTEST, "server.body_timeout")?;
        self.idle_timeout.at_least(SHORTEST, "server.idle_timeout")?;
        if self.shutdown_grace.0.is_zero() {
            return Err("server.shutdown_grace must be greater than zero".to_owned());
        }
        if self.max_connections == 0 {
            return Err("server.max_connections must be at least 1".to_owned());
        }
        let longest = self.max_body.max(self.max_check());
        if self.body_memory() < longest {
            let mib = longest.div_ceil(1 << 20);
            return Err(format!(
                "server.body_memory_mib is {}, too little for the longest body (server.max_body, server.max_batch_body): it must be at \
                 least {mib}",
                self.body_memory_mib
            ));
        }
        Ok(())
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            allow_plaintext: false,
            max_body: 64 << 10,
            max_batch_body: 1 << 20,
            body_memory_mib: 64,
            max_head: 32 << 10,
            head_timeout: Span::seconds(60),
            body_timeout: Span::seconds(30),
            idle_timeout: Span::seconds(120),
            max_connections: 10_000,
            shutdown_grace: Span::seconds(30),
        }
    }
}
