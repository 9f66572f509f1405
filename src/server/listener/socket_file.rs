//! The file of a Unix socket.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

/// The file of a socket that this service listens on.
#[derive(Clone)]
pub(in crate::server) struct SocketFile {
    path: PathBuf,
    /// Its device and number. The path may belong to another service by now, if the folder was moved away.
    identity: (u64, u64),
}

impl SocketFile {
    /// That of a socket that was bound to this path just now.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        Ok(SocketFile { path: path.to_owned(), identity: identity(path)? })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it, unless something else has its place.
    pub(super) fn remove(&self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _gone_already = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

/// Removes a socket that no process listens on any more. One in use, and any other file, is left: `bind` then fails.
pub(super) async fn remove_stale(path: &Path) -> io::Result<()> {
    // A connection to another kind of file is refused, too.
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    match tokio::net::UnixStream::connect(path).await {
        Err(error) if is_socket && error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_socket_is_removed_unless_another_service_has_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data.sock");
        let first = UnixListener::bind(&path).expect("bound");
        let file = SocketFile::of(&path).expect("its file");
        fs::rename(&path, folder.path().join("moved")).expect("moved");
        let _second = UnixListener::bind(&path).expect("bound");
        let second = SocketFile::of(&path).expect("its file");
        file.remove();
        assert!(path.exists(), "it is the second service's");
        second.remove();
        assert!(!path.exists());
        drop(first);
    }
}
