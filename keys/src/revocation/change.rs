//! Changes of the revocations, as their owner makes them.

use hashbrown::DefaultHashBuilder;
use uuid::Uuid;

use super::entry::{NEVER, Operation, key};
use crate::{api_key::ApiKeyId, realm::Realm};

/// One change of the revocations. Times are Unix seconds in 32 bits, as they stand inside a key. Exhaustive on purpose:
/// a store or a relay that passes over a change accepts revoked keys.
///
/// `expires_at` is the expiry of the id's key; `None`, or 0, where it never expires or is not known, and then the id
/// stays until its version is forgotten. Of two statements about one id the later expiry counts. "Issued before" is
/// what it says: a key that was issued in that very second is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Revokes one key for good.
    Revoke {
        /// The key's id.
        id: ApiKeyId,
        /// When it expires.
        expires_at: Option<u32>,
    },
    /// Suspends one key until it is resumed.
    Suspend {
        /// The key's id.
        id: ApiKeyId,
        /// When it expires.
        expires_at: Option<u32>,
    },
    /// Ends a suspension; a key that is revoked too stays revoked.
    Resume {
        /// The key's id.
        id: ApiKeyId,
    },
    /// Revokes every key that an app was issued before some time.
    RevokeApp {
        /// The app.
        app_id: Uuid,
        /// Only its keys of this realm.
        realm: Option<Realm>,
        /// The first second whose keys are good.
        issued_before: u32,
    },
    /// Revokes every key that a realm issued before some time.
    RevokeRealm {
        /// The realm.
        realm: Realm,
        /// The first second whose keys are good.
        issued_before: u32,
    },
    /// Drops every id of a key version that is destroyed: none of its keys opens any more.
    ForgetVersion {
        /// The key version.
        version: u32,
    },
}

/// The kinds of change that a log and the feed have. Exhaustive on purpose, as [`Change`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChangeKind {
    /// [`Change::Revoke`].
    Revoke,
    /// [`Change::Suspend`].
    Suspend,
    /// [`Change::Resume`].
    Resume,
    /// [`Change::RevokeApp`].
    RevokeApp,
    /// [`Change::RevokeRealm`].
    RevokeRealm,
}

impl ChangeKind {
    /// All of them.
    pub const ALL: [ChangeKind; 5] =
        [ChangeKind::Revoke, ChangeKind::Suspend, ChangeKind::Resume, ChangeKind::RevokeApp, ChangeKind::RevokeRealm];

    /// Its stable name, as the feed has it.
    pub const fn name(self) -> &'static str {
        match self {
            ChangeKind::Revoke => "revoke",
            ChangeKind::Suspend => "suspend",
            ChangeKind::Resume => "resume",
            ChangeKind::RevokeApp => "revoke_app",
            ChangeKind::RevokeRealm => "revoke_realm",
        }
    }
}

impl Change {
    /// Its kind; none of what no log holds.
    pub const fn kind(&self) -> Option<ChangeKind> {
        match self {
            Change::Revoke { .. } => Some(ChangeKind::Revoke),
            Change::Suspend { .. } => Some(ChangeKind::Suspend),
            Change::Resume { .. } => Some(ChangeKind::Resume),
            Change::RevokeApp { .. } => Some(ChangeKind::RevokeApp),
            Change::RevokeRealm { .. } => Some(ChangeKind::RevokeRealm),
            Change::ForgetVersion { .. } => None,
        }
    }

    /// Returns whether it can revoke, suspend or resume a key of this realm.
    pub fn concerns(&self, realm: Realm) -> bool {
        match self {
            Change::Revoke { id, .. } | Change::Suspend { id, .. } | Change::Resume { id } => id.realm() == realm,
            Change::RevokeApp { realm: of, .. } => of.is_none_or(|of| of == realm),
            Change::RevokeRealm { realm: of, .. } => *of == realm,
            Change::ForgetVersion { .. } => true,
        }
    }
}

/// Changes of one realm that are not in its tables yet.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) revoked: Vec<Operation>,
    pub(super) suspended: Vec<Operation>,
    pub(super) apps: Vec<Operation>,
    pub(super) issued_before: u32,
}

impl Pending {
    /// Adds a change that concerns one realm. Other changes are ignored.
    pub(super) fn add(&mut self, change: Change, hasher: &DefaultHashBuilder) {
        let until = |expires_at: Option<u32>| expires_at.filter(|at| *at != 0).unwrap_or(NEVER);
        match change {
            Change::Revoke { id, expires_at } => {
                self.revoked.push(Operation::put(key(&id), until(expires_at), hasher));
            }
            Change::Suspend { id, expires_at } => {
                self.suspended.push(Operation::put(key(&id), until(expires_at), hasher));
            }
            Change::Resume { id } => self.suspended.push(Operation::remove(key(&id), hasher)),
            Change::RevokeApp { app_id, issued_before, .. } => {
                self.apps.push(Operation::put(app_id.into_bytes(), issued_before, hasher));
            }
            Change::RevokeRealm { issued_before, .. } => self.issued_before = self.issued_before.max(issued_before),
            Change::ForgetVersion { .. } => {}
        }
    }
}
