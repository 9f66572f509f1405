//! A folder in the place of `/`, in which an example finds its files.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use tempfile::TempDir;

use crate::support::{
    command::{Ran, bulla, finish},
    deployment::APP,
};

/// The folders of the examples.
const FOLDERS: [&str; 5] = ["/etc/bulla", "/run/bulla", "/run/credentials", "/run/secrets", "/var/lib/bulla"];

pub(super) struct Root(TempDir);

impl Root {
    pub(super) fn new() -> Self {
        let root = Root(tempfile::tempdir().expect("a folder"));
        for folder in FOLDERS {
            fs::create_dir_all(root.path(folder)).expect("a folder");
        }
        root
    }

    /// Where this absolute path is.
    pub(super) fn path(&self, absolute: &str) -> PathBuf {
        self.0.path().join(absolute.trim_start_matches('/'))
    }

    /// A text in which the paths of the examples are those in here.
    pub(super) fn moved(&self, text: &str) -> String {
        let here = |text: String, folder: &str| text.replace(folder, &self.path(folder).display().to_string());
        FOLDERS.iter().fold(text.to_owned(), |text, folder| here(text, folder))
    }

    /// Writes a file that everybody may read.
    pub(super) fn write(&self, absolute: &str, text: &str) {
        let path = self.path(absolute);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("written");
    }

    /// Mounts files as Kubernetes does: links to a folder of the day, readable for the group.
    pub(super) fn mount(&self, absolute: &str, files: &[(&str, String)]) {
        let folder = self.path(absolute);
        fs::create_dir_all(folder.join("..of-today")).expect("a folder");
        symlink("..of-today", folder.join("..data")).expect("a link");
        for (name, text) in files {
            self.secret(&folder.join("..of-today").join(name), text);
            symlink(Path::new("..data").join(name), folder.join(name)).expect("a link");
        }
    }

    /// Writes a file with the mode that credentials of systemd and secrets of Kubernetes have.
    pub(super) fn secret(&self, path: &Path, text: &str) {
        fs::write(path, text).expect("written");
        fs::set_permissions(path, fs::Permissions::from_mode(0o440)).expect("its mode");
    }

    /// A key as a file holds it.
    pub(super) fn key(byte: u8) -> String {
        STANDARD.encode([byte; 32]) + "\n"
    }

    /// `bulla` with these variables, which are moved.
    pub(super) fn bulla(&self, environment: &[(String, String)]) -> Command {
        let mut command = bulla(self.0.path());
        command.envs(environment.iter().map(|(name, value)| (name, self.moved(value))));
        command
    }

    /// Runs it to its end.
    pub(super) fn run(&self, environment: &[(String, String)], arguments: &[&str]) -> Ran {
        finish(self.bulla(environment).args(arguments), "")
    }

    /// Makes the keyring, and the first admin API key.
    pub(super) fn set_up(&self, environment: &[(String, String)], master: &str) -> String {
        self.run(environment, &["keyring", "init", "--source", &self.moved(master)]).ok();
        let issue = ["issue", "--realm", "bulla", "--app", APP, "--scope", "admin", "--ttl", "1d", "--json"];
        self.run(environment, &issue).ok().json()["api_key"].as_str().expect("a key").to_owned()
    }
}
