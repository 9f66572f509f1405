//! The static form of the feed: signed messages as files that any file server, bucket or CDN can serve. `docs/FEED.md`,
//! section "Static form", is the format; `bulla feed publish` writes it.
//!
//! A follower reads the head object again and again, and each file once. A message counts by its signature
//! alone: who serves the files can withhold news, and change nothing. [`PublishedSource`] is the follower's side, and
//! `docs/STATIC_FEED.md` says how to serve the files.
//!
//! ```
//! use bulla::feed::{
//!     FeedState, MessageSource, Question,
//!     static_feed::{FILES, FileName, HEAD, HeadObject, PublishedSource},
//! };
//! # use bulla::feed::{Format, Head, LogId, Message, SigningKey};
//! # use bulla::{keyring::KeyringId, revocation::{Change, RevocationEvent}};
//! # let (directory, now) = (tempfile::tempdir()?, 1_800_000_000);
//! # let (folder, keyring_id) = (directory.path(), KeyringId::from_bytes([1; 16]));
//! # let signing_key = SigningKey::from_seed(&zeroize::Zeroizing::new([3; 32]));
//! # let public_key = signing_key.verifying_key();
//! # let id: bulla::ApiKeyId = "acme_live_00000XzbyFf5rOyRXQyt8V".parse()?;
//! # let (app_id, issued_at) = (uuid::Uuid::nil(), 1_795_000_000);
//! # let message = |after, events: &[RevocationEvent]| {
//! #     let head = Head {
//! #         format: Format::V1,
//! #         keyring_id,
//! #         log_id: LogId::from_bytes([2; 16]),
//! #         realm: None,
//! #         after,
//! #         seq: 17,
//! #         head: 17,
//! #         this_update: now,
//! #         next_update: now + 60,
//! #         keyring_serial: 3,
//! #         versions: Vec::new(),
//! #         live: None,
//! #     };
//! #     Message::write(&head, events, &signing_key)
//! # };
//! # let events = message(0, &[RevocationEvent::at_once(17, Change::Revoke { id, expires_at: None })])?;
//! # let newest = message(17, &[])?;
//!
//! // A publisher has two messages of a node: one from 0 to 17, and the newest, which goes on from there. It writes the
//! // file before the head object that names it.
//! let name = FileName::of(0, 17, &events);
//! std::fs::create_dir(folder.join(FILES))?;
//! std::fs::write(folder.join(FILES).join(name.to_string()), &events)?;
//! let head = HeadObject { base: None, base_since: None, snapshot: None, files: vec![name], newest };
//! std::fs::write(folder.join(HEAD), head.write())?;
//!
//! // A follower knows the address, the keyring's id and the public key. It asks until it is at the end of the log.
//! let address = format!("file:{}/{HEAD}", folder.display());
//! let source = PublishedSource::new(&address, keyring_id, public_key)?;
//! let mut state = FeedState::new(None);
//! let mut complete = false;
//! while !complete {
//!     let question = Question { after: state.seq(), log_id: state.log_id(), wait: 0 };
//!     let (applied, _) = source.ask(&question)?.apply(&mut state, (keyring_id, &public_key), now)?;
//!     complete = applied.complete;
//! }
//! assert!(state.revocations().contains(&id, app_id, issued_at));
//! assert!(!state.is_stale(now + 60));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod file_name;
mod files;
mod head_object;
mod local_folder;
mod source;

pub use self::{
    file_name::{BaseName, BodyName, FileName, FileNameError, SnapshotName},
    files::{Objects, TaggedObject},
    head_object::{HeadObject, HeadObjectError, read_base, write_base},
    source::PublishedSource,
};

/// The name of the head object.
pub const HEAD: &str = "head";

/// The folder of all other files.
pub const FILES: &str = "files";

#[cfg(test)]
mod tests;
