//! The image: what hadolint says of the Dockerfile, and that the build finds its files. No image is built here.

use std::{path::Path, process::Command};

use super::{example, text};
use crate::support::programs::{find, run, try_run};

#[test]
fn hadolint_finds_nothing() {
    run(Command::new(find("hadolint")).arg(example("docker/Dockerfile")));
    let folder = tempfile::tempdir().expect("a folder");
    let worse = folder.path().join("Dockerfile");
    std::fs::write(&worse, text("docker/Dockerfile").replace("rust:1.95-bookworm", "rust")).expect("written");
    let found = try_run(Command::new(find("hadolint")).arg(&worse));
    assert!(String::from_utf8_lossy(&found.stdout).contains("DL3006"), "an image without a tag is found");
}

#[test]
fn what_the_image_runs_are_commands_of_bulla() {
    let file = text("docker/Dockerfile");
    let list = |instruction: &str| -> Vec<String> {
        let line = file.lines().find(|line| line.starts_with(instruction)).unwrap_or_else(|| panic!("{instruction}"));
        serde_json::from_str(&line[line.find('[').expect("a list")..]).expect("a list")
    };
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(list("ENTRYPOINT"), ["bulla"]);
    let check = list("HEALTHCHECK");
    assert_eq!(check[0], "bulla");
    for arguments in [&list("CMD")[..], &check[1..]] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--help"]).collect();
        crate::support::command::run(folder.path(), &arguments).ok();
    }
    let compiler = include_str!("../../../Cargo.toml").lines().find_map(|line| line.strip_prefix("rust-version = \""));
    let version = compiler.expect("a version").trim_end_matches('"');
    assert!(file.contains(&format!("FROM rust:{version}-")), "the image has the compiler of Cargo.toml: {version}");
}

/// `cargo metadata` fails if a target of the manifest is not there.
#[test]
fn the_build_gets_the_files_that_cargo_needs_and_no_key() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ignore = text("docker/Dockerfile.dockerignore");
    assert_eq!(ignore.lines().find(|line| !line.starts_with('#')), Some("*"), "all is left out but what is named");
    let kept: Vec<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let context = tempfile::tempdir().expect("a folder");
    for name in &kept {
        let (from, to) = (root.join(name), context.path().join(name));
        // Links are enough: cargo only looks whether files are there.
        std::os::unix::fs::symlink(&from, &to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        assert!(to.exists(), "{name} is in the repository");
    }
    let metadata = ["metadata", "--no-deps", "--offline", "--locked", "--format-version", "1"];
    run(Command::new(env!("CARGO")).args(metadata).current_dir(context.path()));
    assert!(ignore.lines().any(|line| line == "**/*.key"), "keys stay outside");
}
