//! NSS's softokn: a token in a file, which takes its parameters at the start of the module and needs no PIN.

use std::process::Command;

use super::{adapter, world};
use crate::support::programs;

/// The token's label.
pub const TOKEN: &str = "NSS%20Certificate%20DB";

/// A new token with two keys: `signs`, and `no-sign`, which may not.
pub struct Nss {
    /// What programs that use it by the adapter need in their environment.
    pub environment: Vec<(&'static str, String)>,
}

impl Nss {
    pub fn make() -> Nss {
        let softokn = programs::library(&[
            "/usr/lib/x86_64-linux-gnu/libsoftokn3.so",
            "/usr/lib/x86_64-linux-gnu/nss/libsoftokn3.so",
            "/usr/lib/libsoftokn3.so",
        ]);
        let folder = world::folder().join("nss");
        std::fs::create_dir(&folder).expect("writable");
        let database = format!("sql:{}", folder.display());
        programs::run(Command::new(programs::find("certutil")).args(["-N", "-d", &database, "--empty-password"]));
        let parameters = format!("configdir='{database}' certPrefix='' keyPrefix='' secmod='secmod.db'");
        let environment = vec![("BULLA_ADAPTER_MODULE", softokn), ("BULLA_ADAPTER_RESERVED", parameters)];
        let nss = Nss { environment };
        nss.generate("signs", "01", &["--usage-sign"]);
        nss.generate("no-sign", "02", &[]);
        nss
    }

    fn generate(&self, label: &str, id: &str, more: &[&str]) {
        let mut tool = Command::new(programs::find("pkcs11-tool"));
        tool.args(["--module", adapter::adapter(), "--token-label", "NSS Certificate DB", "--keygen"]);
        tool.args(["--key-type", "GENERIC:32", "--label", label, "--id", id, "--sensitive", "--private"]).args(more);
        programs::run(tool.envs(self.environment.clone()));
    }
}
