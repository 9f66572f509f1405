//! What benchmarks need of the service: its listener, for handlers to be held against, how it counts the uses of
//! keys, and how it remembers that secret halves are right.

use std::{convert::Infallible, io, time::Duration};

use axum::Router;
use bulla::ApiKeyId;
use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
};

use crate::{
    config::{Listen, ServerConfig},
    hardening,
    last_used::{self, Use},
    server::{
        self,
        secrets::cache::{self, Proof},
    },
};

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
        let (address, serving) =
            runtime.block_on(server::serve_alone(router, &Listen::loopback(0), &ServerConfig::default(), stopped))?;
        runtime.spawn(serving);
        Ok(Listener { address: address.to_string(), _stop: stop, _runtime: runtime })
    }
}

/// The uses of API keys, as the service counts them.
pub struct LastUsed(last_used::LastUsed);

/// Counted uses, as the store gets them.
pub struct Batch(Vec<Use>);

impl LastUsed {
    /// Counts the uses of so many keys at most.
    pub fn new(ids: usize) -> Self {
        LastUsed(last_used::LastUsed::new(ids))
    }

    /// Notes a use at `now`, in Unix seconds.
    #[inline]
    pub fn note(&self, id: ApiKeyId, now: u64) {
        self.0.note(id, now);
    }

    /// Counts what was noted.
    pub fn collect(&self) {
        self.0.collect();
    }

    /// Takes what was counted.
    pub fn take(&self) -> Batch {
        Batch(self.0.take())
    }

    /// Uses that were not counted, for want of room.
    pub fn dropped(&self) -> u64 {
        self.0.dropped()
    }
}

impl Batch {
    /// How many keys were used.
    pub fn keys(&self) -> usize {
        self.0.len()
    }

    /// How often, all together.
    pub fn uses(&self) -> u64 {
        self.0.iter().map(|one| one.count).sum()
    }
}

/// API keys whose secret half was right a moment ago, as the service remembers them.
pub struct SecretCache(cache::SecretCache);

impl SecretCache {
    /// Remembers so many keys at most, each for `ttl`.
    pub fn new(size: u64, ttl: Duration) -> Self {
        SecretCache(cache::SecretCache::new(&[7; 32], size, ttl))
    }

    /// Remembers a key.
    pub async fn remember(&self, api_key: &str) {
        let proof = async { Ok::<_, Infallible>(Proof { as_of: 1, end: None }) };
        let _infallible = self.0.get_or(self.0.key(api_key), proof).await;
    }

    /// Whether the key is remembered.
    pub async fn holds(&self, api_key: &str) -> bool {
        self.0.get(&self.0.key(api_key)).await.is_some()
    }
}
