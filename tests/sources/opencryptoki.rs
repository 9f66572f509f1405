//! `pkcs11:` with opencryptoki's soft token, which has a daemon, a clock that says no time of PKCS#11, and keys without a length.

use std::{path::Path, process::Command};

use crate::{
    parts::world,
    service::trusting,
    support::{deployment::Deployment, programs},
};

const PIN: &str = "12345678";

/// Runs the command with the token, in one go.
fn run(deployment: &Deployment, module: &str, script: &str) -> (bool, String) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sources/opencryptoki.sh");
    let is_root = programs::run(Command::new("id").arg("-u")) == "0";
    let mut command = if is_root { Command::new("unshare") } else { Command::new("sudo") };
    if !is_root {
        command.args(["--non-interactive", "unshare"]);
    }
    command.args(["--mount", "--ipc", "bash"]).arg(here).args([module, PIN]).arg(deployment.file("known.raw"));
    command.args(["bash", "-euc", script]).env("BULLA", env!("CARGO_BIN_EXE_bulla")).current_dir(deployment.path());
    let output = programs::try_run(&mut command);
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_token_of_opencryptoki_is_found_by_its_label_and_serves_as_software_does() {
    world::folder();
    let module = programs::library(&[
        "/usr/lib/x86_64-linux-gnu/pkcs11/libopencryptoki.so",
        "/usr/lib/aarch64-linux-gnu/pkcs11/libopencryptoki.so",
        "/usr/lib/pkcs11/libopencryptoki.so",
    ]);
    let deployment = trusting(&[&format!("pkcs11:token=bulla?module-path={module}")]);
    world::file(deployment.path(), "pin", PIN);
    world::file(deployment.path(), "known.key", world::MASTER_BASE64);
    let raw = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, world::MASTER_BASE64).expect("base64");
    std::fs::write(deployment.file("known.raw"), raw).expect("written");
    let uri = |key: &str| format!("pkcs11:token=bulla;object={key}?module-path={module}&pin-source=file:pin");
    // A version whose sources hold different keys is refused.
    let script = format!(
        "\"$BULLA\" keyring stage --source '{}' --source file:known.key\n\
         \"$BULLA\" keyring stage --source '{}'\n\
         ! \"$BULLA\" keyring stage --source '{}' --source file:known.key\n\
         \"$BULLA\" keyring check",
        uri("known"),
        uri("generated"),
        uri("generated"),
    );
    let (done, said) = run(&deployment, &module, &script);
    assert!(done, "{said}");
    assert!(said.contains("does not tell the length of the key"), "an imported one: {said}");
}
