//! An escrow recipient, made by the command `age`, and the machine on which its identity is.

use std::{ffi::OsStr, path::Path, process::Command};

use tempfile::TempDir;

use super::{
    command::{Ran, bulla, finish},
    deployment::Deployment,
    reference::python,
    server::Server,
};

pub const PASSPHRASE: &str = "a horse and a stapler";

/// A folder with an identity under a passphrase, and no configuration of bulla.
pub struct Elsewhere {
    folder: TempDir,
    /// `age1…`.
    pub recipient: String,
}

impl Elsewhere {
    /// A new identity: in the clear in `identity.txt`, under the passphrase in `escrow.age`.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let made = Command::new("age-keygen").args(["-o", "identity.txt"]).current_dir(folder.path()).output();
        let told = String::from_utf8(made.expect("age is there: tests/parts installs it").stderr).expect("UTF-8");
        let recipient = told.trim().strip_prefix("Public key: ").expect("the recipient").to_owned();
        let elsewhere = Elsewhere { folder, recipient };
        let protected = elsewhere.on_terminal("age", &["-p", "-o", "escrow.age", "identity.txt"]);
        assert_eq!(protected.code, 0, "{}", protected.out);
        std::fs::write(elsewhere.file("passphrase"), format!("{PASSPHRASE}\n")).expect("written");
        elsewhere
    }

    pub fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Has the realm name the recipient.
    pub fn receive(&self, deployment: &Deployment, realm: &str) {
        let table = format!("[realms.{realm}]");
        deployment.configure(&table, &format!("{table}\nescrow = \"{}\"", self.recipient));
    }

    /// Runs `bulla reveal`, which asks the server and is given the passphrase.
    pub fn reveal(&self, server: &Server, id: &str, more: &[&str]) -> Ran {
        let url = format!("http://{}", server.admin.address);
        let key_file = self.file("admin.key");
        std::fs::write(&key_file, server.admin.key()).expect("written");
        std::fs::set_permissions(&key_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode");
        let defaults = [("--identity", "escrow.age"), ("--passphrase-file", "passphrase")];
        let defaults = defaults.iter().filter(|(name, _)| !more.contains(name)).flat_map(|(name, file)| [*name, *file]);
        let mut command = bulla(self.folder.path());
        command.args(["reveal", id, "--json", "--server", &url]).args(defaults).args(more);
        finish(command.env("BULLA_ADMIN_KEY_FILE", "admin.key"), "")
    }

    /// What the command `age` makes of an age file.
    pub fn decrypted_by_age(&self, armored: &str) -> String {
        let ran =
            finish(Command::new("age").args(["-d", "-i", "identity.txt"]).current_dir(self.folder.path()), armored);
        ran.ok().out.clone()
    }

    /// Runs a program on a terminal where the passphrase is typed at each prompt; what the terminal showed.
    pub fn on_terminal(&self, program: impl AsRef<OsStr>, arguments: &[&str]) -> Ran {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/terminal.py");
        let mut command = Command::new(python());
        command.arg(script).arg(PASSPHRASE).arg(program.as_ref()).args(arguments).current_dir(self.folder.path());
        finish(command.env_remove("BULLA_CONFIG"), "")
    }
}
