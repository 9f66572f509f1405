//! `file:PATH`: the master key in a file of mode 0600, one line of base64 of 32 bytes. For a laptop, a systemd credential
//! or a mounted secret.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use zeroize::Zeroizing;

use super::{KeySource, SourceError, SourceErrorKind, SourceUri, secret_file};
use crate::derive::{self, DerivedKey, KEY_BYTES};

pub(super) struct FileSource {
    key: Zeroizing<[u8; KEY_BYTES]>,
}

impl FileSource {
    pub(super) fn open(uri: &SourceUri, base: &Path) -> Result<Self, SourceError> {
        let path = base.join(uri.rest());
        let text = secret_file::read(&path).map_err(|(problem, detail)| SourceError::new(uri, problem, detail))?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        match BASE64.decode_slice(text.trim_end(), key.as_mut_slice()) {
            Ok(KEY_BYTES) => Ok(FileSource { key }),
            _ => Err(SourceError::new(uri, SourceErrorKind::Malformed, unreadable(&path))),
        }
    }

    /// The key itself, for a source that wraps it, or to sign with.
    #[cfg_attr(not(any(feature = "aws-kms", feature = "follow")), allow(dead_code, reason = "nobody else needs it"))]
    pub(super) fn into_key(self) -> Zeroizing<[u8; KEY_BYTES]> {
        self.key
    }
}

fn unreadable(path: &Path) -> String {
    format!("{} is not one line of base64 of 32 bytes (`head -c 32 /dev/urandom | base64` makes one)", path.display())
}

impl KeySource for FileSource {
    fn expand(&self, info: &[u8]) -> Result<DerivedKey, SourceError> {
        Ok(derive::expand(&self.key, info))
    }
}
