//! A throw-away deployment, made by `bulla init`. Its store is a file, or with BULLA_TEST_STORE=postgres a database of
//! its own in the shared server.

use std::path::{Path, PathBuf};

use bulla::forged::with_checksum;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    command::{Ran, bulla, finish, run, run_with},
    database::Database,
    mount::Mount,
    postgres::Postgres,
};

pub const APP: &str = "3f2b8c1e-9a7d-4d52-8a55-0123456789ab";

pub struct Deployment {
    folder: PathBuf,
    /// Removed with the deployment, where it is its own.
    _own: Option<TempDir>,
    /// The same of a database in the shared server.
    database: Option<OwnDatabase>,
    pub admin_key: String,
}

/// A database in the shared server that is of no use to anybody else.
struct OwnDatabase(String);

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        Postgres::shared().drop_database(&self.0);
    }
}

impl Deployment {
    /// One with the store that the tests are to use.
    pub fn new() -> Self {
        match std::env::var("BULLA_TEST_STORE").as_deref() {
            Ok("postgres") => Self::on_postgres(),
            Err(_) | Ok("sqlite") => Self::on_file(),
            Ok(other) => panic!("BULLA_TEST_STORE is {other}: postgres and sqlite are known"),
        }
    }

    /// One with a store in a file: for tests of such a file, and of what happens to it.
    pub fn on_file() -> Self {
        let own = tempfile::tempdir().expect("a folder");
        let deployment = Self::in_folder(own.path());
        Deployment { _own: Some(own), ..deployment }
    }

    /// One with its store in a new database of the shared server.
    pub fn on_postgres() -> Self {
        let database = OwnDatabase(Postgres::shared().new_database());
        let deployment = Self::on_store(&Postgres::shared().url(&database.0));
        Deployment { database: Some(database), ..deployment }
    }

    /// One with its store in this database.
    pub fn on_store(url: &str) -> Self {
        let own = tempfile::tempdir().expect("a folder");
        let deployment = Self::made_by(own.path(), &["init", "--json", "--store", url]);
        Deployment { _own: Some(own), ..deployment }
    }

    /// One on a file system of its own, its store with it.
    pub fn on(mount: &Mount) -> Self {
        Self::in_folder(mount.path())
    }

    /// The same again, in a folder of its own: of a deployment that nothing serves.
    pub fn copy(&self) -> Self {
        let own = tempfile::tempdir().expect("a folder");
        for file in std::fs::read_dir(self.path()).expect("a folder") {
            let file = file.expect("a file");
            std::fs::copy(file.path(), own.path().join(file.file_name())).expect("copied");
        }
        let (folder, admin_key) = (own.path().to_owned(), self.admin_key.clone());
        let database = self.database.as_ref().map(|own| OwnDatabase(Postgres::shared().copy_of(&own.0)));
        let copy = Deployment { folder, _own: Some(own), database, admin_key };
        if let (Some(from), Some(to)) = (&self.database, &copy.database) {
            copy.configure(&Postgres::shared().url(&from.0), &Postgres::shared().url(&to.0));
        }
        copy
    }

    fn in_folder(folder: &Path) -> Self {
        Self::made_by(folder, &["init", "--json"])
    }

    fn made_by(folder: &Path, init: &[&str]) -> Self {
        let made = run(folder, init);
        let admin_key = made.ok().json()["admin_api_key"].as_str().expect("the admin API key").to_owned();
        Deployment { folder: folder.to_owned(), _own: None, database: None, admin_key }
    }

    /// Its store, which an administrator has SQL for: the file, or its own database in the shared server.
    pub fn store(&self) -> Database {
        match &self.database {
            Some(own) => Database::Postgres(own.0.clone()),
            None => Database::File(self.file("bulla.db")),
        }
    }

    /// Writes a file that holds a secret, which nobody else may read; its path.
    pub fn secret_file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode");
        path
    }

    pub fn path(&self) -> &Path {
        &self.folder
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        run(self.path(), arguments)
    }

    /// Runs with further environment variables.
    pub fn run_in(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
        finish(bulla(self.path()).args(arguments).envs(environment.iter().copied()), "")
    }

    pub fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        run_with(self.path(), arguments, input)
    }

    /// Issues a key of `realm` on the command line.
    pub fn issue(&self, realm: &str, more: &[&str]) -> Value {
        let arguments = [&["issue", "--json", "--realm", realm, "--app", APP], more].concat();
        self.run(&arguments).ok().json()
    }

    /// The text of a new key of `realm`.
    pub fn issue_text(&self, realm: &str, more: &[&str]) -> String {
        self.issue(realm, more)["api_key"].as_str().expect("an API key").to_owned()
    }

    /// A new master key in `master-N.key`, and the URI of it.
    pub fn new_master(&self, number: u32) -> String {
        use std::os::unix::fs::OpenOptionsExt;
        let name = format!("master-{number}.key");
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.file(&name)).expect("new");
        use base64::{Engine, engine::general_purpose::STANDARD};
        use std::io::Write;
        let key: Vec<u8> = (0..32).map(|at| at ^ number.to_be_bytes()[3].wrapping_mul(37)).collect();
        writeln!(file, "{}", STANDARD.encode(key)).expect("written");
        format!("file:{name}")
    }

    /// Runs `bulla keyring …`, which has to succeed, without being asked or made to wait.
    pub fn keyring(&self, arguments: &[&str]) -> Value {
        let sure: &[&str] = match arguments.first() {
            Some(&("compromise" | "destroy" | "limit")) => &["--yes"],
            Some(&"activate") if !arguments.contains(&"--require-loaded") => &["--force"],
            _ => &[],
        };
        self.run(&[&["keyring"], arguments, sure, &["--json"]].concat()).ok().json()
    }

    /// Changes bulla.toml.
    pub fn configure(&self, from: &str, to: &str) {
        let path = self.file("bulla.toml");
        let text = std::fs::read_to_string(&path).expect("the configuration");
        assert!(text.contains(from), "the configuration has {from:?}");
        std::fs::write(&path, text.replace(from, to)).expect("written");
    }

    /// The keyring as the reference implementation takes it.
    pub fn reference_keyring(&self) -> Value {
        let shown = self.run(&["keyring", "show", "--json"]).ok().json();
        let master = std::fs::read_to_string(self.file("master-1.key")).expect("the master key");
        use base64::{Engine, engine::general_purpose::STANDARD};
        let master: String =
            STANDARD.decode(master.trim()).expect("base64").iter().map(|byte| format!("{byte:02x}")).collect();
        json!({
            "keyring_id": shown["keyring_id"],
            "versions": [{"version": 1, "suite": 1, "state": "active", "master": master, "verify_until": null}],
        })
    }
}

/// `text` with another character at `at`, and a right checksum unless `at` lies in it.
pub fn altered(text: &str, at: usize, to: char) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    characters[at] = to;
    let text: String = characters.into_iter().collect();
    if at < text.len() - 6 { with_checksum(&text[..text.len() - 6]) } else { text }
}
