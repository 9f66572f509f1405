//! `bulla helper fastcgi` by itself, asked as a web server asks.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
};

use crate::support::process::{self, Process};

/// An authorizer's request without variables, whose connection is not kept.
const REQUEST: [&[u8]; 2] = [&[1, 1, 0, 1, 0, 8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0], &[1, 4, 0, 1, 0, 0, 0, 0]];

#[test]
fn the_reason_of_a_503_is_on_standard_error_in_a_few_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let (socket, log) = (folder.path().join("socket"), folder.path().join("log"));
    let listen = format!("unix:{}", socket.display());
    let server = format!("http://127.0.0.1:{}", process::free_port());
    let _helper = Process::start(
        Path::new(env!("CARGO_BIN_EXE_bulla")),
        |command| {
            command.args(["helper", "fastcgi", "--listen", &listen, "--server", &server]);
        },
        &log,
    );
    process::wait_until("the helper", &log, || UnixStream::connect(&socket).is_ok());
    for _ in 0..100 {
        let mut stream = UnixStream::connect(&socket).expect("connected");
        stream.write_all(&REQUEST.concat()).expect("asked");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("answered");
        assert!(String::from_utf8_lossy(&answer).contains("Status: 503"), "{answer:?}");
    }
    let log = fs::read_to_string(&log).expect("its lines");
    let reasons = log.lines().filter(|line| line.contains("answered 503") && line.contains("does not answer"));
    // Ten in ten seconds; a machine may take longer than that.
    assert!((1..100).contains(&reasons.count()), "{log}");
}
