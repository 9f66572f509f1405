//! The keyring: the key versions of a deployment, as a document, and loaded as seal keys ready for use.

mod document;
mod error;
mod id;
mod load;
mod loaded;
mod memory;
mod moves;
mod record;
mod remarks;
mod rewrap;
mod version;

pub(crate) use self::loaded::RealmKeys;
pub use self::{
    document::{KeyringDocument, MacKey},
    error::KeyringError,
    id::{KeyringId, KeyringIdError},
    load::Ask,
    loaded::{Keyring, Served},
    memory::KeyringMemory,
    record::{KeyCheckValue, SourceRecord, VersionRecord},
    version::{KeyVersion, State},
};
