//! The keyring: the key versions of a deployment, as a document, and loaded as seal keys ready for use.
//!
//! A [`KeyringDocument`] lists the versions and holds no plaintext key; a [`Keyring`] is loaded from it and holds the
//! seal keys.
//!
//! ```
//! use bulla::{
//!     Expectations, Verifier,
//!     keyring::{Keyring, SourceRecord, Suite},
//! };
//! # mod fixture { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/fixture.rs")); }
//! # let (mut fixture, now) = (fixture::Fixture::new(), fixture::NOW);
//! # let (live, api_key) = (fixture.live, fixture.issue());
//! # let (document, sources) = (&mut fixture.document, &fixture.sources);
//!
//! // The next version is staged first, so that every verifier opens with it before anything is sealed with it.
//! let source = SourceRecord { uri: "file:master-2.key".parse()?, wrapped: None };
//! let next = document.stage(Suite::Xaes256Gcm, vec![source], sources, now)?;
//! document.activate(next, now)?;
//!
//! // A changed document is loaded anew: the sources are asked here, and never for an API key.
//! let keyring = Keyring::load(document, sources, &[live])?;
//! let verifier = Verifier::new(&keyring);
//!
//! // API keys that were sealed before still open.
//! let realms = [live];
//! assert!(verifier.verify(api_key.expose(), &Expectations::realms(&realms), now + 60).is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod document;
mod error;
#[cfg(feature = "follow")]
mod export;
mod load;
mod loaded;
mod mac;
mod memory;
mod moves;
mod purposes;
mod record;
mod remarks;
mod rewrap;
mod state;
mod time;

#[cfg(feature = "follow")]
pub use self::export::{EdgeKey, EdgeMac, ExportError, ExportedKeyring, Exports, RealmExport, Recipient};
#[cfg(test)]
pub(crate) use self::loaded::LoadedVersion;
pub(crate) use self::loaded::RealmKeys;
pub use self::{
    document::KeyringDocument,
    error::KeyringError,
    load::Reload,
    loaded::{Keyring, SourceReport},
    mac::MacKey,
    memory::KeyringMemory,
    record::{KeyCheckValue, SourceRecord, VersionRecord},
    state::VersionState,
};
pub use crate::{
    key_version::KeyVersion,
    keyring_id::{KeyringId, KeyringIdError},
    suite::Suite,
};
