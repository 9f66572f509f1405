//! Revocations: which API keys are revoked or suspended, looked up after a seal opened.
//!
//! A snapshot never changes. A change makes a new one that shares all but a few kilobytes with the old one: the tables
//! are tries, copied along one path. So there is no large base that would be rebuilt now and then, no delta beside it,
//! and no change that could get lost between them. A filter stands before the tables, which all snapshots share: it may
//! say "perhaps" too often, and a table decides. The owner of the snapshot applies changes one after another, each to
//! the latest snapshot, and swaps each result in. Readers hold a snapshot and never wait.
//!
//! ```
//! use bulla::{Expectations, Rejection, Verifier, VerifyError, revocation::{Change, Revocations}};
//! # mod fixture { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/fixture.rs")); }
//! # let (fixture, now) = (fixture::Fixture::new(), fixture::NOW);
//! # let (realms, keyring, api_key) = ([fixture.live], &fixture.keyring, fixture.issue());
//!
//! let (verifier, expected) = (Verifier::new(keyring), Expectations::realms(&realms));
//! assert!(verifier.verify(api_key.expose(), &expected, now).is_ok());
//!
//! // A change makes a new list, and a verifier with it replaces the one before.
//! let change = Change::Revoke { id: api_key.id(), expires_at: None };
//! let verifier = verifier.with_revocations(Revocations::default().with(&[change]).into());
//! let refused = verifier.verify(api_key.expose(), &expected, now);
//! assert_eq!(refused.err(), Some(VerifyError::Rejected(Rejection::Revoked)));
//! ```

mod apply;
#[cfg(feature = "follow")]
mod bulk;
mod change;
mod chunk;
mod entries;
mod entry;
mod event;
mod filter;
mod live_set;
mod log;
mod log_state;
mod look_up;
mod realm_index;
mod segment;
#[cfg(feature = "follow")]
mod snapshot;
mod sweep_clock;
mod table;
mod waiting;

use std::{fmt, sync::Arc};

use hashbrown::DefaultHashBuilder;
use uuid::Uuid;

#[cfg(feature = "follow")]
pub(crate) use self::{bulk::Bulk, snapshot::SnapshotEntry};
pub use self::{
    change::{Change, ChangeKind},
    event::RevocationEvent,
    live_set::{LiveDigest, LiveDigestError, LiveSet},
    log::{RevocationLog, RevocationLogError},
    sweep_clock::SweepClock,
};
use self::{entry::FAN, filter::Filter, live_set::Counter, realm_index::RealmIndex, table::Table};
use crate::{api_key::ApiKeyId, realm::Realm};

/// Changes that a bulk load applies at once: its working memory is bounded by them.
const BATCH: usize = 1 << 20;

/// An immutable state of the revocations: single ids, suspended ids, and rules for everything that an app or a realm
/// was issued before some time. Cheap to clone. Its owner swaps in a new one when something changes.
///
/// ```
/// # use bulla::{ApiKeyId, revocation::{Change, Revocations}};
/// # let app_id = uuid::Uuid::nil();
/// let id: ApiKeyId = "acme_live_00000XzbyFf5rOyRXQyt8V".parse()?;
/// let before = Revocations::default();
/// let after = before.with(&[Change::Revoke { id, expires_at: Some(1_826_536_000) }]);
/// assert!(after.contains(&id, app_id, 1_795_000_000));
/// assert!(!before.contains(&id, app_id, 1_795_000_000));
/// assert!(after.sweep(1_900_000_000).is_empty(), "the key has expired anyway");
/// # Ok::<(), bulla::ApiKeyIdError>(())
/// ```
#[derive(Clone, Default)]
pub struct Revocations {
    // Keyed at random, so that an attacker cannot choose ids that crowd one place of a table.
    hasher: DefaultHashBuilder,
    /// Of all ids and apps in the tables, whatever realm they are of.
    filter: Filter,
    /// No rule revokes a key that was issued from then on.
    ruled_before: u32,
    apps: Table,
    /// Sorted by realm; none of them empty.
    realms: Arc<[RealmIndex]>,
}

impl Revocations {
    /// How many parts `sweep_part` knows.
    pub const PARTS: usize = FAN;

    /// The state after all these changes, in their order, from nothing.
    pub fn from_changes(changes: impl IntoIterator<Item = Change>) -> Self {
        let (mut revocations, mut changes) = (Revocations::default(), changes.into_iter());
        loop {
            let mut batch = changes.by_ref().take(BATCH).peekable();
            if batch.peek().is_none() {
                return revocations;
            }
            revocations = revocations.after(batch, &mut Counter::none());
        }
    }

    /// The state after these changes too, in their order. One change copies a few kilobytes, whatever the length of the
    /// list; `Change::ForgetVersion` alone walks through all ids.
    #[must_use]
    pub fn with(&self, changes: &[Change]) -> Self {
        self.after(changes.iter().copied(), &mut Counter::none())
    }

    /// Returns whether a key of this id, app and time of issue is revoked or suspended.
    #[inline]
    pub fn contains(&self, id: &ApiKeyId, app_id: Uuid, issued_at: u32) -> bool {
        self.is_revoked(&id.realm(), id.bytes(), app_id, issued_at)
    }

    /// The first second whose keys the rules let through, for this app in this realm; 0 where there is no rule. In Unix
    /// seconds: a key that an issuer dates back to before it would be revoked the moment it is made.
    pub fn issued_before(&self, app_id: Uuid, realm: Realm) -> u32 {
        let hash = entry::hash(app_id.as_bytes(), &self.hasher);
        let everywhere = self.apps.get(app_id.as_bytes(), hash).unwrap_or(0);
        everywhere.max(self.realm_index(&realm).map_or(0, |of| of.issued_before(app_id, hash)))
    }

    /// The state without the ids whose keys have expired at `now`, in Unix seconds. They stay five minutes longer than
    /// their keys, so that a verifier whose clock is behind has not forgotten them. A clock that is ahead forgets what
    /// is still needed: [`SweepClock`] has a time that is safe.
    #[must_use]
    pub fn sweep(&self, now: u64) -> Self {
        self.swept(0..Self::PARTS, now)
    }

    /// Sweeps one part of the list, from 0 up to `PARTS`: for an owner of millions of ids that will not keep a
    /// revocation waiting until a whole sweep is through.
    #[must_use]
    pub fn sweep_part(&self, part: usize, now: u64) -> Self {
        let part = part % Self::PARTS;
        self.swept(part..part + 1, now)
    }

    /// The number of revoked ids, suspended ids and rules.
    pub fn len(&self) -> usize {
        self.apps.len() + self.realms.iter().map(RealmIndex::len).sum::<usize>()
    }

    /// Returns whether nothing is revoked or suspended.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of memory that this state holds, what the allocator adds to each block included. Another state may
    /// share nearly all of them.
    pub fn memory(&self) -> usize {
        let realms = entry::block(16 + std::mem::size_of_val::<[RealmIndex]>(&self.realms));
        let filter = self.filter.memory();
        size_of::<Self>()
            + filter
            + self.apps.memory()
            + realms
            + self.realms.iter().map(RealmIndex::memory).sum::<usize>()
    }

    /// The time of an id in the table of this kind.
    fn time(&self, kind: ChangeKind, id: &ApiKeyId) -> Option<u32> {
        let hash = entry::hash(id.bytes(), &self.hasher);
        self.realm_index(&id.realm()).filter(|_| self.filter.may_hold(hash))?.time(kind, id.bytes(), hash)
    }

    /// Returns whether there is nothing to look in.
    #[inline]
    pub(crate) fn is_blank(&self) -> bool {
        self.filter.is_blank() && self.ruled_before == 0
    }

    #[inline]
    fn realm_index(&self, realm: &Realm) -> Option<&RealmIndex> {
        // Comparing is dearer than stepping on, and realms are few.
        if self.realms.len() <= 8 {
            return self.realms.iter().find(|of| of.realm == *realm);
        }
        self.realms.binary_search_by(|of| of.realm.cmp(realm)).ok().map(|at| &self.realms[at])
    }
}

impl FromIterator<ApiKeyId> for Revocations {
    /// Revokes ids of keys whose expiry is not known.
    fn from_iter<T: IntoIterator<Item = ApiKeyId>>(ids: T) -> Self {
        Revocations::from_changes(ids.into_iter().map(|id| Change::Revoke { id, expires_at: None }))
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations").field("len", &self.len()).finish_non_exhaustive()
    }
}
