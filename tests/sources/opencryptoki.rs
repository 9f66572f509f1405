//! `pkcs11:` with opencryptoki's soft token, which has a daemon, a clock that says no time of PKCS#11, and keys without
//! a length.

use crate::{
    parts::{hmac_key, mounts, world},
    service::trusting,
    support::{deployment::Deployment, programs},
};

const PIN: &str = "12345678";

/// Runs the command with the token, in one go.
fn run(deployment: &Deployment, module: &str, script: &str) -> (bool, String) {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sources/opencryptoki.sh");
    let known = deployment.file("known.raw");
    let program = ["bash", here, module, PIN, &known.to_string_lossy(), "bash", "-euc", script];
    let environment = [("BULLA", env!("CARGO_BIN_EXE_bulla").to_owned()), ("M", module.to_owned())];
    let output = programs::try_run(mounts::command(&environment, &program).current_dir(deployment.path()));
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// A deployment that trusts the module, with the PIN and the known key; and the module.
fn beside() -> (Deployment, String) {
    world::folder();
    let module = programs::library(&[
        "/usr/lib/x86_64-linux-gnu/pkcs11/libopencryptoki.so",
        "/usr/lib/aarch64-linux-gnu/pkcs11/libopencryptoki.so",
        "/usr/lib/pkcs11/libopencryptoki.so",
    ]);
    let deployment = trusting(&[&format!("pkcs11:?module-path={module}")]);
    world::file(deployment.path(), "pin", PIN);
    world::file(deployment.path(), "known.key", world::MASTER_BASE64);
    std::fs::write(deployment.file("known.raw"), world::MASTER).expect("written");
    (deployment, module)
}

#[test]
fn a_token_of_opencryptoki_is_found_by_its_label_and_serves_as_software_does() {
    let (deployment, module) = beside();
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

#[test]
fn the_last_wrong_pin_that_opencryptoki_allows_is_not_tried() {
    let (deployment, module) = beside();
    world::file(deployment.path(), "wrong", "99999999");
    let uri = |pin: &str| format!("pkcs11:token=bulla;object=known?module-path={module}&pin-source=file:{pin}");
    // It locks itself after three.
    let script = format!(
        "refused() {{ if \"$BULLA\" keyring stage --source '{wrong}' 2>said; then exit 1; fi; cat said; grep -q \"$1\" said; }}\n\
         refused 'the PIN is wrong'\n\
         refused 'the PIN is wrong'\n\
         refused 'one more wrong PIN locks the token'\n\
         refused 'one more wrong PIN locks the token'\n\
         pkcs11-tool --module \"$M\" --token-label bulla --login --pin {PIN} --list-objects >/dev/null 2>&1\n\
         \"$BULLA\" keyring stage --source '{right}'",
        wrong = uri("wrong"),
        right = uri("pin"),
    );
    let (done, said) = run(&deployment, &module, &script);
    assert!(done, "{said}");
}

#[test]
fn opencryptoki_takes_generic_secrets_alone() {
    let (deployment, module) = beside();
    // CKR_ATTRIBUTE_VALUE_INVALID: what OpenSC and bulla's page make is a generic secret.
    let script = format!(
        "if {} \"$M\" bulla {PIN} known.raw hmac-key 2>said; then exit 1; fi; cat said; grep -q 'C_CreateObject: 0x13' said\n\
         \"$BULLA\" keyring stage --source 'pkcs11:token=bulla;object=known?module-path={module}&pin-source=file:pin' \
         --source file:known.key",
        hmac_key::program(),
    );
    let (done, said) = run(&deployment, &module, &script);
    assert!(done, "{said}");
}
