//! `file:PATH`: the master key in a file of mode 0600, one line of base64 of 32 bytes. For a laptop, a systemd credential
//! or a mounted secret.

use std::{fs::File, io::Read, path::Path};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use zeroize::Zeroizing;

use super::{KeySource, Problem, SourceError, SourceUri};
use crate::derive::{self, Expanded, KEY_BYTES};

/// Longer than any right content, so that a wrong path does not read a disk into memory.
const MAX_FILE: u64 = 1024;

pub(super) struct FileSource {
    key: Zeroizing<[u8; KEY_BYTES]>,
}

impl FileSource {
    pub(super) fn open(uri: &SourceUri, base: &Path) -> Result<Self, SourceError> {
        let path = base.join(uri.rest());
        let fail = |problem, detail: String| SourceError::new(uri, problem, detail);
        let file = File::open(&path).map_err(|error| {
            let problem = match error.kind() {
                std::io::ErrorKind::NotFound => Problem::Missing,
                std::io::ErrorKind::PermissionDenied => Problem::Denied,
                _ => Problem::Unreachable,
            };
            fail(problem, format!("cannot open {}: {error}", path.display()))
        })?;
        check_mode(&file).map_err(|(problem, detail)| fail(problem, format!("{} {detail}", path.display())))?;
        let mut text = Zeroizing::new(String::with_capacity(MAX_FILE as usize));
        file.take(MAX_FILE).read_to_string(&mut text).map_err(|_| fail(Problem::Malformed, unreadable(&path)))?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        match BASE64.decode_slice(text.trim_end(), key.as_mut_slice()) {
            Ok(KEY_BYTES) => Ok(FileSource { key }),
            _ => Err(fail(Problem::Malformed, unreadable(&path))),
        }
    }
}

fn unreadable(path: &Path) -> String {
    format!("{} is not one line of base64 of 32 bytes (`head -c 32 /dev/urandom | base64` makes one)", path.display())
}

#[cfg(unix)]
fn check_mode(file: &File) -> Result<(), (Problem, String)> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file.metadata().map_err(|error| (Problem::Unreachable, error.to_string()))?;
    if !metadata.is_file() {
        return Err((Problem::Malformed, "is not a file".to_owned()));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err((Problem::Denied, format!("has mode {mode:04o}, so others may read the key: `chmod 600` it")))
    }
}

#[cfg(not(unix))]
fn check_mode(_: &File) -> Result<(), (Problem, String)> {
    Ok(())
}

impl KeySource for FileSource {
    fn expand(&self, info: &[u8]) -> Result<Expanded, SourceError> {
        Ok(derive::expand(&self.key, info))
    }
}
