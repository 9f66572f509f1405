//! NSS's softokn: a token in a file, which takes its parameters at the start of the module and needs no PIN.

use std::process::Command;

use super::{adapter, world};
use crate::support::programs;

/// The token's label.
pub const LABEL: &str = "NSS Certificate DB";
/// The same in a URI.
pub const TOKEN: &str = "NSS%20Certificate%20DB";

/// A new token with the known key as `known`, and `no-sign`, which may not sign.
pub struct Nss {
    /// The PKCS#11 library.
    pub module: String,
    /// What it starts with: what p11-kit calls `x-init-reserved`.
    pub parameters: String,
    /// What programs that use it by the adapter need in their environment.
    pub environment: Vec<(&'static str, String)>,
    pin: Option<&'static str>,
}

impl Nss {
    /// Without a PIN it asks for no login.
    pub fn make(name: &str, pin: Option<&'static str>) -> Nss {
        let softokn = programs::library(&[
            "/usr/lib/x86_64-linux-gnu/libsoftokn3.so",
            "/usr/lib/x86_64-linux-gnu/nss/libsoftokn3.so",
            "/usr/lib/libsoftokn3.so",
        ]);
        let folder = world::folder().join(name);
        std::fs::create_dir(&folder).expect("writable");
        let database = format!("sql:{}", folder.display());
        let mut certutil = Command::new(programs::find("certutil"));
        certutil.args(["-N", "-d", &database]);
        match pin {
            Some(pin) => certutil.arg("-f").arg(world::file(&folder, "pin", pin)),
            None => certutil.arg("--empty-password"),
        };
        programs::run(&mut certutil);
        let parameters = format!("configdir='{database}' certPrefix='' keyPrefix='' secmod='secmod.db'");
        let environment =
            vec![("BULLA_ADAPTER_MODULE", softokn.clone()), ("BULLA_ADAPTER_RESERVED", parameters.clone())];
        let nss = Nss { module: softokn, parameters, environment, pin };
        let known = world::folder().join("master.raw");
        nss.key(&["--write-object", &known.to_string_lossy(), "--type", "secrkey", "--usage-sign"], "known", "01");
        nss.key(&["--keygen", "--key-type", "GENERIC:32"], "no-sign", "02");
        nss
    }

    fn key(&self, made: &[&str], label: &str, id: &str) {
        let mut tool = Command::new(programs::find("pkcs11-tool"));
        tool.args(["--module", adapter::adapter(), "--token-label", LABEL]).args(made);
        tool.args(["--label", label, "--id", id, "--sensitive", "--private"]);
        if let Some(pin) = self.pin {
            tool.args(["--login", "--pin", pin]);
        }
        programs::run(tool.envs(self.environment.clone()));
    }
}
