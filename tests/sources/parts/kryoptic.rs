//! kryoptic: a token in a file, which gives a key only the uses that it was made for.

use std::{path::Path, process::Command};

use super::world;
use crate::support::programs;

pub const TOKEN: &str = "bulla";
pub const PIN: &str = "12345678";

/// A token with `known` (the known key), `generated`, and `no-sign`, which may not sign.
pub struct Kryoptic {
    /// The PKCS#11 library, which `tests/parts` builds.
    pub module: String,
    /// What programs that use it need in their environment.
    pub environment: Vec<(&'static str, String)>,
}

impl Kryoptic {
    pub fn make(name: &str) -> Kryoptic {
        let module = programs::folder().join("kryoptic/libkryoptic_pkcs11.so");
        let module = programs::library(&[&module.to_string_lossy()]);
        let database = world::folder().join(format!("{name}.sql"));
        let kryoptic =
            Kryoptic { module, environment: vec![("KRYOPTIC_CONF", database.to_string_lossy().into_owned())] };
        let so_pin = ["--so-pin", "87654321"];
        programs::run(kryoptic.tool().args(["--init-token", "--slot", "0", "--label", TOKEN]).args(so_pin));
        programs::run(kryoptic.token().args(["--init-pin", "--login", "--new-pin", PIN]).args(so_pin));
        kryoptic.import(&world::folder().join("master.raw"), "known", "01");
        kryoptic.generate("generated", "02", &["--usage-sign"]);
        kryoptic.generate("no-sign", "03", &[]);
        kryoptic
    }

    fn import(&self, key: &Path, label: &str, id: &str) {
        let mut tool = self.logged_in(PIN);
        tool.arg("--write-object").arg(key).args(["--type", "secrkey", "--label", label, "--id", id]);
        programs::run(tool.args(["--usage-sign", "--sensitive", "--private"]));
    }

    fn generate(&self, label: &str, id: &str, more: &[&str]) {
        let mut tool = self.logged_in(PIN);
        tool.args(["--keygen", "--key-type", "GENERIC:32", "--label", label, "--id", id]);
        programs::run(tool.args(["--sensitive", "--private"]).args(more));
    }

    /// Logs in once; whether the token took the PIN.
    pub fn try_pin(&self, pin: &str) -> bool {
        programs::try_run(self.logged_in(pin).arg("--list-objects")).status.success()
    }

    /// What the token says of itself: of ten wrong PINs the seventh makes it say `user PIN count low`, the ninth `final
    /// user PIN try`.
    pub fn flags(&self) -> String {
        let listed = programs::run(self.tool().arg("--list-token-slots"));
        listed.lines().find(|line| line.contains("token flags")).expect("the flags").trim().to_owned()
    }

    fn logged_in(&self, pin: &str) -> Command {
        let mut tool = self.token();
        tool.args(["--login", "--pin", pin]);
        tool
    }

    fn token(&self) -> Command {
        let mut tool = self.tool();
        tool.args(["--token-label", TOKEN]);
        tool
    }

    fn tool(&self) -> Command {
        let mut tool = Command::new(programs::find("pkcs11-tool"));
        tool.args(["--module", &self.module]).envs(self.environment.clone());
        tool
    }
}
