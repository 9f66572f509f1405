//! Small files that hold a secret: read only if no other user can read them.

use std::{env, fs::File, io::Read, path::Path};

use zeroize::Zeroizing;

use super::{SourceErrorKind, regular_file};

/// Longer than any right content, so that a wrong path does not read a disk into memory.
const MAX_FILE: u64 = 8192;

/// Names the folder in which systemd puts a service's credentials.
pub(super) const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// The error of a file, for the source that needs it.
pub(super) type FileError = (SourceErrorKind, String);

/// A file that cannot be read, or that others may read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct SecretFileError(String);

#[cfg_attr(not(feature = "gateway"), allow(dead_code, reason = "only gateways hand files over"))]
impl SecretFileError {
    /// The bytes that were handed over under this name are no text.
    pub(super) fn not_text(name: &str) -> Self {
        SecretFileError(format!("{name}, which was handed over, is not UTF-8"))
    }
}

/// Reads a small text file that holds a secret, such as the private key of a certificate, as the key sources read
/// theirs: at most 8 KiB of UTF-8, and refused where anyone except its owner may read it. It reads a credential that
/// systemd hands to a service, too.
pub fn read_secret_file(path: &Path) -> Result<Zeroizing<String>, SecretFileError> {
    read(path).map_err(|(_, detail)| SecretFileError(detail))
}

/// Reads a small text file that no other user may read.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, FileError> {
    let file = open(path)?;
    check_mode(&file, path).map_err(|(problem, detail)| (problem, format!("{} {detail}", path.display())))?;
    let mut text = Zeroizing::new(String::with_capacity(MAX_FILE as usize));
    file.take(MAX_FILE)
        .read_to_string(&mut text)
        .map_err(|error| (SourceErrorKind::Malformed, format!("{} cannot be read as text: {error}", path.display())))?;
    Ok(text)
}

/// Opens a file. It never waits: a named pipe, for example, is not a regular file.
pub(super) fn open(path: &Path) -> Result<File, FileError> {
    let failed = |error: std::io::Error| {
        let problem = match error.kind() {
            std::io::ErrorKind::NotFound => SourceErrorKind::Missing,
            std::io::ErrorKind::PermissionDenied => SourceErrorKind::Denied,
            _ => SourceErrorKind::Unreachable,
        };
        (problem, format!("cannot open {}: {error}", path.display()))
    };
    let file = regular_file::open(path).map_err(failed)?;
    match file.metadata().map_err(failed)?.is_file() {
        true => Ok(file),
        false => Err((SourceErrorKind::Malformed, format!("{} is not a file", path.display()))),
    }
}

#[cfg(unix)]
fn check_mode(file: &File, path: &Path) -> Result<(), FileError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file.metadata().map_err(|error| (SourceErrorKind::Unreachable, error.to_string()))?;
    let mode = metadata.permissions().mode() & 0o777;
    // systemd lets a service in by an access-control list, whose mask shows as the group's bits.
    let systemd = env::var_os(CREDENTIALS_DIRECTORY).is_some_and(|folder| path.starts_with(folder));
    if mode & 0o077 == 0 || (systemd && mode & 0o037 == 0) {
        Ok(())
    } else {
        Err((SourceErrorKind::Denied, format!("has mode {mode:04o}, so others may read it: `chmod 600` it")))
    }
}

#[cfg(not(unix))]
fn check_mode(_: &File, _: &Path) -> Result<(), FileError> {
    Ok(())
}
