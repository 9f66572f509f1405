//! Keys of the type CKK_SHA256_HMAC, which `hmac_key.c` makes: pkcs11-tool knows generic secrets alone.

use std::{process::Command, sync::OnceLock};

use super::world;
use crate::support::programs;

/// The program, compiled; its source says what its arguments are.
pub fn program() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = world::folder().join("hmac_key");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sources/parts/hmac_key.c");
        programs::run(Command::new("cc").arg("-o").arg(&program).arg(source).arg("-ldl"));
        program.to_string_lossy().into_owned()
    })
}

/// Puts the known key into a token under this label.
pub fn import(module: &str, environment: &[(&'static str, String)], token: &str, pin: &str, label: &str) {
    let known = world::folder().join("master.raw");
    let mut command = Command::new(program());
    command.args([module, token, pin]).arg(known).arg(label).envs(environment.iter().cloned());
    programs::run(&mut command);
}
