//! An edge beside a deployment: a folder that `bulla edge init` made, with an export of each realm and an API key for
//! the feed.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    command::{Ran, bulla, run, run_with},
    deployment::Deployment,
    server::Server,
};

pub struct Edge {
    folder: TempDir,
    pub recipient: String,
}

impl Edge {
    /// Follows these addresses, for these realms.
    pub fn new(deployment: &Deployment, sources: &[&str], realms: &[&str]) -> Self {
        let edge = Self::without_exports(deployment, sources, realms);
        realms.iter().for_each(|realm| edge.export(deployment, realm));
        edge
    }

    /// The same before anything was exported to it.
    pub fn without_exports(deployment: &Deployment, sources: &[&str], realms: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let shown = deployment.keyring(&["show"]);
        let text = |name: &str| shown[name].as_str().expect(name);
        let mut arguments = vec!["edge", "init", "--json", "--keyring-id", text("keyring_id")];
        arguments.extend(["--feed-key", text("feed_public_key")]);
        arguments.extend(sources.iter().flat_map(|source| ["--follow", source]));
        arguments.extend(realms.iter().flat_map(|realm| ["--realm", realm]));
        let made: Value = run(folder.path(), &arguments).ok().json();
        let edge = Edge { folder, recipient: made["recipient"].as_str().expect("a recipient").to_owned() };
        edge.secret_file("feed-api.key", &deployment.issue_text("bulla", &["--scope", "feed"]));
        edge
    }

    /// Puts a new export of the realm in place.
    pub fn export(&self, deployment: &Deployment, realm: &str) {
        let exported = deployment.run(&["keyring", "export", "--realm", realm, "--to", &self.recipient]);
        self.put_export(realm, &exported.ok().out);
    }

    pub fn put_export(&self, realm: &str, text: &str) {
        let (new, path) = (self.file("exports/new"), self.file(&format!("exports/{realm}.export")));
        std::fs::write(&new, text).expect("written");
        std::fs::rename(&new, &path).expect("in place");
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        run(self.path(), arguments)
    }

    /// Runs with this on standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        run_with(self.path(), arguments, input)
    }

    pub fn secret_file(&self, name: &str, text: &str) {
        let path = self.file(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode");
    }

    /// Changes bulla.toml.
    pub fn configure(&self, from: &str, to: &str) {
        let path = self.file("bulla.toml");
        let text = std::fs::read_to_string(&path).expect("the configuration");
        assert!(text.contains(from), "the configuration has {from:?}");
        std::fs::write(&path, text.replace(from, to)).expect("written");
    }

    pub fn start(&self) -> Server {
        self.start_with(&[])
    }

    /// Starts with further environment variables.
    pub fn start_with(&self, environment: &[(&str, &str)]) -> Server {
        Server::start_as(self.serve(), "", environment)
    }

    /// The command that starts it.
    pub fn serve(&self) -> Command {
        let mut serve = bulla(self.path());
        serve.args(["serve", "--role", "verifier", "--data-listen", "127.0.0.1:0"]);
        serve
    }

    /// Copies the state as it is on disk.
    pub fn copy_state(&self, to: &Path) {
        copy(&self.file("state"), to);
    }

    /// Puts an earlier copy in its place.
    pub fn restore_state(&self, from: &Path) {
        std::fs::remove_dir_all(self.file("state")).expect("removed");
        copy(from, &self.file("state"));
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("the folder") {
        let entry = entry.expect("a file");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}
