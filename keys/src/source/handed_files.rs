//! Files that a program hands over, in the place of those on the disk: one that runs as nobody cannot read them itself.

use std::{collections::BTreeMap, fmt, io, path::Path, sync::Arc};

use zeroize::Zeroizing;

use super::{SecretFileError, read_regular_file, read_secret_file};

/// Contents of files, by the names that a configuration has for them.
#[derive(Clone, Default)]
pub(crate) struct HandedFiles(Arc<BTreeMap<String, Zeroizing<Vec<u8>>>>);

impl HandedFiles {
    pub(crate) fn add(&mut self, name: String, content: Vec<u8>) {
        Arc::make_mut(&mut self.0).insert(name, Zeroizing::new(content));
    }

    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(|content| content.as_slice())
    }

    /// Names and contents.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, content)| (name.as_str(), content.as_slice()))
    }

    /// A small text that holds a secret, handed over or in `folder`.
    pub(crate) fn secret(&self, folder: &Path, name: &str) -> Result<Zeroizing<String>, SecretFileError> {
        match self.get(name) {
            None => read_secret_file(&folder.join(name)),
            Some(content) => std::str::from_utf8(content)
                .map(|text| Zeroizing::new(text.to_owned()))
                .map_err(|_| SecretFileError::not_text(name)),
        }
    }

    /// A file of at most `most` bytes, handed over or in `folder`.
    pub(crate) fn regular(&self, folder: &Path, name: &str, most: u64) -> io::Result<Vec<u8>> {
        match self.get(name) {
            None => read_regular_file(&folder.join(name), most),
            Some(content) => Ok(content.to_vec()),
        }
    }
}

impl fmt::Debug for HandedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
