//! `file:PATH`: the master key in a file of mode 0600, one line of base64 of 32 bytes. For a laptop, a systemd
//! credential or a mounted secret.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use secrecy::{ExposeSecret, SecretBox};
use zeroize::Zeroizing;

use super::{KeySource, SourceError, SourceErrorKind, SourceUri, secret_file};
use crate::derive::{self, DerivedKey, KEY_BYTES};

pub(super) struct FileSource {
    key: SecretBox<[u8; KEY_BYTES]>,
}

impl FileSource {
    pub(super) fn open(uri: &SourceUri, base: &Path) -> Result<Self, SourceError> {
        let path = base.join(uri.rest());
        let text = secret_file::read(&path).map_err(|(problem, detail)| SourceError::new(uri, problem, detail))?;
        Self::of_bytes(uri, &path, text.as_bytes())
    }

    /// The key in the content of such a file.
    pub(super) fn of_bytes(uri: &SourceUri, path: &Path, text: &[u8]) -> Result<Self, SourceError> {
        let read = |key: &mut [u8; KEY_BYTES]| BASE64.decode_slice(text.trim_ascii_end(), key) == Ok(KEY_BYTES);
        let mut is_key = false;
        let key = SecretBox::init_with_mut(|key| is_key = read(key));
        if is_key {
            Ok(FileSource { key })
        } else {
            Err(SourceError::new(uri, SourceErrorKind::Malformed, unreadable(path)))
        }
    }

    /// The key itself, for a source that wraps it, or to sign with.
    #[cfg_attr(not(any(feature = "aws-kms", feature = "follow")), allow(dead_code, reason = "nobody else needs it"))]
    pub(super) fn into_key(self) -> Zeroizing<[u8; KEY_BYTES]> {
        Zeroizing::new(*self.key.expose_secret())
    }
}

fn unreadable(path: &Path) -> String {
    format!("{} is not one line of base64 of 32 bytes (`head -c 32 /dev/urandom | base64` makes one)", path.display())
}

impl KeySource for FileSource {
    fn expand(&self, info: &[u8]) -> Result<DerivedKey, SourceError> {
        Ok(derive::expand(self.key.expose_secret(), info))
    }
}
