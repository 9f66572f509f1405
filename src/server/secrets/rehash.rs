//! Making a stored hash anew under today's setting and pepper, beside the request that found it right, and within the
//! bound.

use std::sync::Arc;

use bulla::{ApiKeyId, secret::SecretDigest};

use super::SecretChecks;
use crate::{
    clock,
    secret::{self, Peppers},
    server::blocking,
    store::SecretRow,
};

impl SecretChecks {
    pub(super) async fn rehash(
        self: Arc<Self>,
        id: ApiKeyId,
        old: SecretRow,
        peppers: Arc<Peppers>,
        digests: Vec<SecretDigest>,
    ) {
        let scheme = secret::scheme_of(&self.live.load().config, id.realm());
        let permit = match scheme.memory_kib() {
            0 => None,
            // Where there is no room the next request does it.
            kib => match self.memory.permit(kib).await {
                Ok(permit) => Some(permit),
                Err(_) => return,
            },
        };
        let made = blocking::run(move || {
            match secret::rehash(&*self.store, (id, &old), (&digests, &peppers), scheme, clock::now()) {
                Ok(true) => drop(self.metrics.secret_rehashed.inc()),
                Ok(false) => tracing::debug!(%id, "hash changed during its rehash"),
                Err(error) => tracing::warn!(%id, %error, "rehash failed, keeping the old hash"),
            }
            drop(permit);
        });
        drop(made.await);
    }
}
