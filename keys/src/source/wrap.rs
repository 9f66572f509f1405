//! Wrapped keys, for sources that do not keep the key: the wrapped key goes into the keyring when a version is staged.

use zeroize::Zeroizing;

use super::{EncryptionContext, SourceError, SourceErrorKind, SourceUri, Sources, file};
use crate::derive::KEY_BYTES;

impl Sources {
    /// A new master key for the version in `context`, as the source wrapped it; none for a source that keeps its key
    /// itself. It goes into the source's record in the keyring.
    pub fn wrap_new_key(
        &self,
        uri: &SourceUri,
        context: EncryptionContext<'_>,
    ) -> Result<Option<Vec<u8>>, SourceError> {
        self.check_trust(uri)?;
        match uri.scheme() {
            #[cfg(feature = "aws-kms")]
            "aws-kms" => super::aws_kms::wrap_new_key(uri, context, self.time_limit),
            _ => Ok(None),
        }
    }

    /// The master key that `from` holds, wrapped by `to` as well; none where `to` keeps its key itself, and has to
    /// hold the same one already. It fails where `from` does not hand its key out.
    pub fn wrap_same_key(
        &self,
        from: &SourceUri,
        context: EncryptionContext<'_>,
        to: &SourceUri,
    ) -> Result<Option<Vec<u8>>, SourceError> {
        self.check_trust(from)?;
        self.check_trust(to)?;
        match to.scheme() {
            #[cfg(feature = "aws-kms")]
            "aws-kms" => super::aws_kms::wrap(to, context, || self.reveal(from, context), self.time_limit),
            _ => Ok(None),
        }
    }

    /// The master key itself, for nothing but wrapping it.
    fn reveal(
        &self,
        uri: &SourceUri,
        context: EncryptionContext<'_>,
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, SourceError> {
        match uri.scheme() {
            "file" => self.open_file(uri).map(file::FileSource::into_key),
            #[cfg(feature = "aws-kms")]
            "aws-kms" => super::aws_kms::reveal(uri, context, self.time_limit),
            _ => {
                let detail =
                    "it keeps its key to itself, so no other source can wrap that key: stage a new version instead";
                Err(SourceError::new(uri, SourceErrorKind::Unsupported, detail.to_owned()))
            }
        }
    }
}
