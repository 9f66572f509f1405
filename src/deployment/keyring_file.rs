//! The file with the keyring document: it is read without blocking, locked for a change, and replaced atomically.

use std::{
    fs::{File, Metadata, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::fs::OFlags;
use tempfile::{NamedTempFile, TempPath};

use super::DeploymentError;

/// Larger than a keyring of ten thousand versions, in bytes.
const MAX_FILE: u64 = 8 * 1024 * 1024;
/// How long to wait for the lock. A change holds it for milliseconds, because it asks no key source meanwhile.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// Interval between attempts to lock.
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The text of the document.
pub(crate) fn read(path: &Path) -> Result<String, DeploymentError> {
    let failed = |error| DeploymentError::KeyringRead { path: path.to_owned(), error };
    let text = bulla::source::read_regular_file(path, MAX_FILE).map_err(failed)?;
    String::from_utf8(text).map_err(|_| failed(io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8")))
}

/// An exclusive lock on the document, released when this is dropped. A change replaces the document, so the lock is on
/// a file beside it.
pub(crate) struct KeyringLock {
    path: PathBuf,
    beside: PathBuf,
    lock: File,
    sync_folder: fn(&Path) -> io::Result<()>,
}

/// How a replacement ended.
#[derive(Debug)]
pub(crate) enum Replaced {
    /// The new document is in place, also after a power failure.
    Durably,
    /// The new document is in place, but the disk did not confirm it: after a power failure the old one may be back.
    Unconfirmed(io::Error),
}

impl KeyringLock {
    /// Waits for the lock. A symbolic link stays one: the lock is on the file that it points to.
    pub(crate) fn lock(path: &Path) -> Result<Self, DeploymentError> {
        let named = path.to_owned();
        let path = path.canonicalize().map_err(|error| DeploymentError::KeyringRead { path: named, error })?;
        if path.metadata().is_ok_and(|metadata| metadata.permissions().readonly()) {
            return Err(DeploymentError::KeyringReadOnly(path));
        }
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                DeploymentError::KeyringReadOnly(path.clone())
            }
            _ => DeploymentError::KeyringWrite { path: path.clone(), error },
        };
        let beside = path.with_extension("lock");
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            // Opens the file again each time: another process may have removed it and locked a new one.
            let file = for_writing().truncate(false).open(&beside).map_err(failed)?;
            copy_owner(&path, &file).map_err(failed)?;
            match file.try_lock() {
                Ok(()) if is_at(&beside, &file) => {
                    return Ok(KeyringLock { path, beside, lock: file, sync_folder });
                }
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOCK_POLL_INTERVAL),
                Err(TryLockError::WouldBlock) => {
                    return Err(DeploymentError::KeyringLocked { lock: beside, limit: LOCK_TIMEOUT });
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }

    /// Replaces the document atomically: a reader sees the old document or the new one, also after a crash. After an
    /// error the old document is in place.
    pub(crate) fn replace(&self, content: &[u8]) -> Result<Replaced, DeploymentError> {
        let failed = |error| DeploymentError::KeyringWrite { path: self.path.clone(), error };
        self.write(content).map_err(failed)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok((self.sync_folder)(folder).map_or_else(Replaced::Unconfirmed, |()| Replaced::Durably))
    }

    fn write(&self, content: &[u8]) -> io::Result<()> {
        // Without the lock file another process may change the document at the same time.
        if !is_at(&self.beside, &self.lock) {
            let message =
                format!("{} was removed during the change: do not remove it, and try again", self.beside.display());
            return Err(io::Error::other(message));
        }
        // Always the same name, so that killed changes leave at most one file behind.
        let new = self.path.with_extension("new");
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).open(&new)?;
        let mut file = NamedTempFile::from_parts(file, TempPath::try_from_path(&new)?);
        file.write_all(content)?;
        file.as_file().set_permissions(self.path.metadata()?.permissions())?;
        copy_owner(&self.path, file.as_file())?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map(drop).map_err(|failed| match failed.error.kind() {
            io::ErrorKind::ResourceBusy => io::Error::new(
                failed.error.kind(),
                "the file is mounted without its folder, so it cannot be replaced: mount the folder",
            ),
            _ => failed.error,
        })
    }

    /// Simulates a disk that confirms no replacement.
    #[cfg(test)]
    pub(crate) fn unconfirmed(self) -> Self {
        KeyringLock { sync_folder: |_| Err(io::ErrorKind::StorageFull.into()), ..self }
    }
}

/// Makes renames in this folder durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Returns whether the path still leads to this file.
fn is_at(path: &Path, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
    path.metadata().ok().map(identity) == file.metadata().ok().map(identity)
}

/// Opens without blocking: opening a named pipe would wait for its reader.
fn for_writing() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    options
}

/// Gives a file that root created the owner of the keyring, so that the service can read it. Other users cannot change
/// owners, and need not.
fn copy_owner(path: &Path, file: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let (owner, given) = (path.metadata()?, file.metadata()?);
    if (owner.uid(), owner.gid()) == (given.uid(), given.gid()) {
        return Ok(());
    }
    match fchown(file, Some(owner.uid()), Some(owner.gid())) {
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_lock_excludes_no_process_and_allows_no_write() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keyring.toml");
        std::fs::write(&path, "old").expect("written");
        let first = KeyringLock::lock(&path).expect("locked");
        std::fs::remove_file(folder.path().join("keyring.lock")).expect("removed");
        let second = KeyringLock::lock(&path).expect("another file of the same name");
        let refused = first.replace(b"first").expect_err("it excludes no other process").to_string();
        assert!(refused.contains("keyring.lock was removed"), "{refused}");
        second.replace(b"second").expect("replaced");
        assert_eq!(read(&path).expect("the document"), "second");
    }
}
