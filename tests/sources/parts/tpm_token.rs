//! A TPM behind PKCS#11: tpm2-pkcs11 on swtpm.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

use super::{tpm::Tpm, world};
use crate::support::programs;

pub const PIN: &str = "123456";

/// A TPM with one token, `tpm`, with the known key as `master-1`, and `always`, which wants a login for each use.
pub struct TpmToken {
    pub tpm: Tpm,
    /// The PKCS#11 library.
    pub module: String,
    /// What programs that use it need in their environment.
    pub environment: Vec<(&'static str, String)>,
    tools: PathBuf,
}

impl TpmToken {
    pub fn make(name: &str) -> TpmToken {
        let module = programs::library(&[
            "/usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so",
            "/usr/lib/pkcs11/libtpm2_pkcs11.so",
        ]);
        let tpm = Tpm::empty(name);
        let store = world::folder().join(format!("{name}-store"));
        fs::create_dir(&store).expect("writable");
        let environment = vec![
            ("TPM2_PKCS11_STORE", store.to_string_lossy().into_owned()),
            ("TPM2_PKCS11_TCTI", tpm.tcti()),
            ("TPM2TOOLS_TCTI", tpm.tcti()),
        ];
        let token = TpmToken { tpm, module, environment, tools: flushing_tools(name) };
        token.tool(&["init"]);
        let user = ["--userpin", PIN];
        token.tool(&[&["addtoken", "--pid", "1", "--label", "tpm", "--sopin", "87654321"], &user[..]].concat());
        let raw = world::folder().join("master.raw");
        let kind = ["--label", "tpm", "--algorithm", "hmac:sha256"];
        let import = ["import", "--key-label", "master-1", "--privkey", &raw.to_string_lossy()];
        token.tool(&[&import[..], &kind, &user].concat());
        let always = ["addkey", "--key-label", "always", "--attr-always-authenticate"];
        token.tool(&[&always[..], &kind, &user].concat());
        token
    }

    /// How many wrong PINs the TPM counts at the moment.
    pub fn wrong_pins(&self) -> u32 {
        let mut tool = Command::new(programs::find("tpm2_getcap"));
        let said = programs::run(tool.arg("properties-variable").envs(self.environment.clone()));
        let line = said.lines().find_map(|line| line.strip_prefix("TPM2_PT_LOCKOUT_COUNTER: 0x"));
        u32::from_str_radix(line.expect("the counter").trim(), 16).expect("a number")
    }

    fn tool(&self, arguments: &[&str]) {
        let mut tool = Command::new(programs::find("tpm2_ptool"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = [self.tools.clone().into_os_string(), path].join(":".as_ref());
        programs::run(tool.args(arguments).envs(self.environment.clone()).env("PATH", path));
    }
}

/// The TPM's tools, each of which empties the TPM's little memory behind itself: tpm2_ptool leaves that to a resource
/// manager.
fn flushing_tools(name: &str) -> PathBuf {
    let folder = world::folder().join(format!("{name}-tools"));
    fs::create_dir(&folder).expect("writable");
    let real = programs::find("tpm2_flushcontext").parent().expect("a folder").to_owned();
    let script = folder.join("flushing");
    let text = format!(
        "#!/bin/sh\n\"{0}/${{0##*/}}\" \"$@\"\nrc=$?\n{0}/tpm2_flushcontext -t >/dev/null 2>&1\nexit $rc\n",
        real.display()
    );
    fs::write(&script, text).expect("writable");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("ours");
    for tool in fs::read_dir(&real).expect("readable").flatten().map(|tool| tool.file_name()) {
        let name = tool.to_string_lossy();
        if name.starts_with("tpm2_") && name != "tpm2_ptool" {
            std::os::unix::fs::symlink(&script, folder.join(&tool)).expect("writable");
        }
    }
    folder
}
