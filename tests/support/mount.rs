//! A file system of its own, to be filled and to be made read-only. Mounting takes root, or sudo.

use std::{path::Path, process::Command};

use tempfile::TempDir;

pub struct Mount {
    folder: TempDir,
}

impl Mount {
    /// A new one of this size.
    pub fn new(size: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().to_str().expect("UTF-8");
        let options = format!("size={size},mode=0777");
        as_root(&["mount", "-t", "tmpfs", "-o", &options, "tmpfs", path]);
        Mount { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves no byte free.
    pub fn fill(&self) {
        use std::io::Write;
        let mut file = std::fs::File::create(self.path().join("filling")).expect("a file");
        for size in [1 << 16, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Ends that.
    pub fn make_room(&self) {
        std::fs::remove_file(self.path().join("filling")).expect("removed");
    }

    /// Mounts it again, `ro` or `rw`; for `ro` nobody may have a file open to write.
    pub fn remount(&self, mode: &str) {
        let path = self.path().to_str().expect("UTF-8");
        as_root(&["mount", "-o", &format!("remount,{mode}"), path]);
    }
}

/// A file that is mounted in the place of another.
pub struct Bound(std::path::PathBuf);

impl Mount {
    /// Mounts `file` where `place` is, which exists.
    pub fn bind(file: &Path, place: &Path) -> Bound {
        as_root(&["mount", "--bind", file.to_str().expect("UTF-8"), place.to_str().expect("UTF-8")]);
        Bound(place.to_owned())
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        as_root(&["umount", "--lazy", self.0.to_str().expect("UTF-8")]);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        as_root(&["umount", "--lazy", self.path().to_str().expect("UTF-8")]);
    }
}

/// Runs a command as root, who the tests are or may become.
pub fn as_root(arguments: &[&str]) {
    let root = Command::new("id").arg("-u").output().expect("id runs").stdout == b"0\n";
    let arguments = if root { arguments.to_vec() } else { [&["sudo"], arguments].concat() };
    let done = Command::new(arguments[0]).args(&arguments[1..]).output().expect("the command runs");
    assert!(
        done.status.success(),
        "`{}` needs root or sudo, and to be allowed to mount: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&done.stderr)
    );
}
