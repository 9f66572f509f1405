//! The examples in `docs/examples/deploy`, held to the real tools, and to the real service: it starts with the files,
//! the modes, the environment and the arguments that they give it.

mod container;
mod helm;
mod root;
mod systemd;

use std::path::PathBuf;

/// A file of the examples.
fn example(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/examples/deploy").join(name);
    assert!(folder.exists(), "{} is there", folder.display());
    folder
}

fn text(name: &str) -> String {
    std::fs::read_to_string(example(name)).expect("text")
}
