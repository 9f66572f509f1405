//! The revocation feed (feature `follow`): signed messages of a service to verifiers that have no access to its store.
//! `docs/FEED.md` is the format.
//!
//! [`Follower`] fetches the messages of a server and keeps a [`SharedVerifier`](crate::shared::SharedVerifier) current.
//! The types below it do no I/O:
//!
//! ```
//! use bulla::{feed, keyring::{KeyVersion, KeyringId, VersionState}, revocation::{Change, RevocationEvent}};
//! # let id: bulla::ApiKeyId = "acme_live_00000XzbyFf5rOyRXQyt8V".parse()?;
//! # let (app_id, issued_at, now) = (uuid::Uuid::nil(), 1_795_000_000, 1_800_000_000);
//! # let (keyring_id, log_id) = (KeyringId::from_bytes([1; 16]), feed::LogId::from_bytes([2; 16]));
//! # let signing_key = feed::SigningKey::from_seed(&zeroize::Zeroizing::new([3; 32]));
//! # let public_key = signing_key.verifying_key().to_string();
//!
//! // The service writes what happened behind the follower's place in the log.
//! let head = feed::Head {
//!     format: feed::Format::V1,
//!     keyring_id,
//!     log_id,
//!     realm: None,
//!     after: 0,
//!     seq: 17,
//!     head: 17,
//!     this_update: now,
//!     next_update: now + 60,
//!     keyring_serial: 3,
//!     versions: vec![(KeyVersion::FIRST, VersionState::Active)],
//!     live: None,
//! };
//! let event = RevocationEvent::at_once(17, Change::Revoke { id, expires_at: None });
//! let bytes = feed::Message::write(&head, &[event], &signing_key)?;
//!
//! // A follower has the keyring's id and the public key from its configuration, and the time from its clock.
//! let key: feed::VerifyingKey = public_key.parse()?;
//! let mut state = feed::FeedState::new(None);
//! let applied = state.apply(&feed::Message::read(&bytes, keyring_id, &key)?, now)?;
//! assert!(applied.complete);
//! assert!(state.revocations().contains(&id, app_id, issued_at));
//! assert!(!state.is_stale(now + 60) && state.is_stale(now + 61));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod backoff;
mod envelope;
mod error;
mod event;
#[cfg(feature = "gateway")]
mod failover;
mod fetch;
mod follow_error;
mod follower;
pub(crate) mod follower_state;
mod format;
pub(crate) mod handle;
mod head;
mod line;
mod log_id;
mod message;
pub(crate) mod process_name;
mod report;
mod reporter;
pub(crate) mod reporting;
mod saved;
mod secret_halves;
mod snapshot;
mod source;
mod source_access;
mod state;
#[cfg(unix)]
mod state_folder;
pub mod static_feed;

#[cfg(feature = "gateway")]
pub(crate) use self::failover::Failover;
#[cfg(unix)]
pub use self::state_folder::{KeptState, StateFolder, StateFolderError, StateWriter};
pub use self::{
    error::FeedError,
    fetch::{HttpSource, Question, SnapshotBytes},
    follow_error::{FollowError, FollowerError},
    follower::{Follower, WhenStale},
    format::{FORMATS, Format},
    handle::{FollowStatus, FollowerHandle},
    head::Head,
    log_id::{LogId, LogIdError},
    message::Message,
    report::{FollowerReport, FollowerRole, new_instance},
    reporter::Reporter,
    saved::SavedStateError,
    secret_halves::{SecretChanges, SecretProof, SecretVerdict},
    snapshot::{LoadedSnapshot, Snapshot, SnapshotHead, SnapshotLoad},
    source::{Answer, MessageSource},
    source_access::{OpenedSource, SourceAccess},
    state::{Applied, FeedPlace, FeedState},
};
pub use crate::feed_key::{SigningKey, VerifyingKey, VerifyingKeyError};
