//! Exports (feature `follow`): the seal keys of one realm for a verifier elsewhere, which has no key source.
//!
//! A deployment makes a [`RealmExport`] and seals it to the [`Recipient`] of an edge; the edge opens it with its
//! [`EdgeKey`], and verifies with an [`ExportedKeyring`]. Masters and other realms' keys never leave the deployment.
//!
//! ```
//! use bulla::{Expectations, Verifier, feed::SigningKey, keyring::{EdgeKey, ExportedKeyring, RealmExport}};
//! # mod fixture { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/fixture.rs")); }
//! # let (fixture, now) = (fixture::Fixture::new(), fixture::NOW);
//! # let (live, api_key, document, sources) = (fixture.live, fixture.issue(), &fixture.document, &fixture.sources);
//! # let feed_key = SigningKey::from_seed(&zeroize::Zeroizing::new([3; 32]));
//!
//! // On the edge, once. The recipient is public.
//! let edge_key = EdgeKey::generate()?;
//! let recipient = edge_key.recipient().to_string();
//!
//! // On the deployment.
//! let text = RealmExport::of(document, sources, live, now)?.seal(&recipient.parse()?, &feed_key)?;
//!
//! // On the edge, which knows keyring and feed from its configuration.
//! let export = RealmExport::open(&text, &edge_key, document.id(), &feed_key.verifying_key())?;
//! let verifier = Verifier::of_exports(&ExportedKeyring::new(document.id(), [&export]));
//! let realms = [live];
//! assert!(verifier.verify(api_key.expose(), &Expectations::realms(&realms), now + 60).is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod edge_key;
mod error;
mod exported;
mod folder;
mod realm_export;

pub use self::{
    edge_key::{EdgeKey, EdgeMac, Recipient},
    error::ExportError,
    exported::ExportedKeyring,
    folder::Exports,
    realm_export::RealmExport,
};
