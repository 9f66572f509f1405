//! Key sources: where master keys live. One joint, [`KeySource`], with one method; each kind of source is one file.

mod error;
mod file;
mod uri;

use std::{fmt, path::PathBuf};

pub use self::{
    error::{Problem, SourceError},
    uri::SourceUri,
};
use crate::{KeyVersion, KeyringId, derive::Expanded};

/// A place that holds one 32-byte master key and expands it.
///
/// A device that keeps its key to itself computes `HMAC-SHA256(master, info ‖ 01)`, which is the same.
pub trait KeySource: Send + Sync {
    /// `HKDF-Expand-SHA256(master, info, 32)` (RFC 5869).
    fn expand(&self, info: &[u8]) -> Result<Expanded, SourceError>;
}

/// What a source is asked to open: which key of which keyring, and the wrapped key where the source keeps none itself.
#[derive(Clone, Copy)]
pub struct Binding<'a> {
    /// The keyring.
    pub keyring: KeyringId,
    /// The key version; none for a key that is no master key.
    pub version: Option<KeyVersion>,
    /// The key as the source wrapped it, for sources that unwrap.
    pub wrapped: Option<&'a [u8]>,
}

/// How source URIs are opened: the folder that relative paths start from.
#[derive(Clone, Debug)]
pub struct Sources {
    base: PathBuf,
}

impl Sources {
    /// Sources whose relative paths start at `base`, as a rule the folder of the configuration.
    pub fn new(base: impl Into<PathBuf>) -> Self {
        Sources { base: base.into() }
    }

    /// Opens the source that `uri` names.
    pub fn open(&self, uri: &SourceUri, _binding: Binding<'_>) -> Result<Box<dyn KeySource>, SourceError> {
        match uri.scheme() {
            "file" => Ok(Box::new(file::FileSource::open(uri, &self.base)?)),
            _ => Err(SourceError::new(
                uri,
                Problem::Unsupported,
                "this build knows no such source; known: file".to_owned(),
            )),
        }
    }
}

impl fmt::Debug for Binding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Binding({} {:?})", self.keyring, self.version)
    }
}
