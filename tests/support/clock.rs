//! A wall clock that is wrong, by libfaketime. The running time stays right, as it does where somebody sets a clock.

use std::path::PathBuf;

/// Now, in Unix seconds.
pub fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().expect("a time").as_secs()
}

/// The environment of a process whose clock is off by so much, such as `+365d` or `-1d`.
pub fn off_by(offset: &str) -> [(&str, String); 3] {
    let libraries = std::fs::read_dir("/usr/lib").expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut found = libraries.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    let library: PathBuf = found.find(|path| path.exists()).expect("libfaketime: run tests/parts");
    [
        ("LD_PRELOAD", library.to_str().expect("UTF-8").to_owned()),
        ("FAKETIME", offset.to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
}
