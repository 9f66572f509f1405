//! Two modules that stand in front of another one: `adapter.c`, which changes what that one says, and OpenSC's
//! pkcs11-spy, which writes down each call.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use super::world;
use crate::support::programs;

/// The adapter, compiled; its source says what it does with which variable.
pub fn adapter() -> &'static str {
    static ADAPTER: OnceLock<String> = OnceLock::new();
    ADAPTER.get_or_init(|| {
        let module = world::folder().join("adapter.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sources/parts/adapter.c");
        programs::run(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&module).arg(source).arg("-ldl"));
        module.to_string_lossy().into_owned()
    })
}

/// A spy in front of a module.
pub struct Spy {
    pub module: String,
    /// What the programs that are spied on need in their environment.
    pub environment: Vec<(&'static str, String)>,
    log: PathBuf,
}

impl Spy {
    pub fn on(module: &str, log: &Path) -> Spy {
        let spy =
            programs::library(&["/usr/lib/x86_64-linux-gnu/pkcs11/pkcs11-spy.so", "/usr/lib/pkcs11/pkcs11-spy.so"]);
        let environment =
            vec![("PKCS11SPY", module.to_owned()), ("PKCS11SPY_OUTPUT", log.to_string_lossy().into_owned())];
        Spy { module: spy, environment, log: log.to_owned() }
    }

    /// How often a function was called so far.
    pub fn calls(&self, function: &str) -> usize {
        let log = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log).lines().filter(|line| line.ends_with(&format!(": {function}"))).count()
    }

    /// How many calls there were.
    pub fn all_calls(&self) -> usize {
        let log = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log).lines().filter(|line| line.contains(": C_")).count()
    }
}
