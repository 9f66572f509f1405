//! An imported key, and every check of it beside the hash.

use std::sync::Arc;

use bulla::{ApiKeyId, Realm, Rejection, claims::Claims, revocation::Revocations};
use uuid::Uuid;

use super::{Set, scheme::Check};

/// An imported key that a presented text may be.
#[derive(Debug)]
pub(crate) struct Key {
    pub(super) set: Arc<Set>,
    pub(crate) id: ApiKeyId,
    pub(crate) app_id: Uuid,
    /// In Unix seconds, as all times here.
    pub(crate) issued_at: u32,
    pub(crate) expires_at: Option<u32>,
    pub(super) claims: Option<Arc<Claims>>,
    pub(super) check: Check,
    /// Whether a sealed key had been issued for it when it was read.
    pub(super) replaced: bool,
}

impl Key {
    /// Scopes and metadata, where it has any.
    pub(crate) fn claims(&self) -> Option<&Claims> {
        self.claims.as_deref()
    }

    /// The number of its set.
    #[cfg(test)]
    pub(super) fn set(&self) -> i64 {
        self.set.number
    }

    /// The checks before the hash, in the order of sealed keys: realm, expiry, revocation.
    pub(crate) fn holds(&self, realms: &[Realm], revocations: &Revocations, now: u64) -> Result<(), Rejection> {
        if !realms.contains(&self.id.realm()) {
            return Err(Rejection::Realm);
        }
        if self.has_expired(now) {
            return Err(Rejection::Expired);
        }
        if revocations.contains(&self.id, self.app_id, self.issued_at) { Err(Rejection::Revoked) } else { Ok(()) }
    }

    /// Returns whether it has expired at `now`.
    pub(crate) fn has_expired(&self, now: u64) -> bool {
        self.expires_at.is_some_and(|at| now >= u64::from(at))
    }

    /// Returns whether it has all of the `wanted` scopes: the last check.
    pub(crate) fn grants(&self, wanted: &[String]) -> Result<(), Rejection> {
        let granted = self.claims().map_or(wanted.is_empty(), |claims| claims.grants(wanted));
        if granted { Ok(()) } else { Err(Rejection::Scope) }
    }

    /// Returns whether a sealed key was issued for it, as far as this process knows.
    pub(crate) fn is_replaced(&self) -> bool {
        self.replaced || self.set.was_replaced(&self.id)
    }

    /// Notes that a sealed key was issued for it.
    pub(crate) fn note_replaced(&self) {
        self.set.note_replaced(&self.id);
    }
}
