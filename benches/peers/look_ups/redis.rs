//! Redis: `GET` of a key's hash, over a Unix socket.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};

use super::{
    KEYS, LookUp, STORED, hash,
    server::{Server, program, version},
    texts,
};
use crate::{keyring::APP, rounds::Contender};

/// Keys that are stored in one go.
const AT_ONCE: usize = 1_000;
const OK: &[u8] = b"+OK\r\n";

pub(super) fn look_up() -> Option<LookUp> {
    let program = program("redis-server", "Debian: redis-server")?;
    let socket = |folder: &std::path::Path| folder.join("socket");
    let (server, mut stream) = Server::start(
        &program,
        |command, folder| {
            command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]).arg(socket(folder));
        },
        |folder| UnixStream::connect(socket(folder)).ok(),
    );
    let texts = texts();
    let others = (KEYS..STORED).map(|number| hash(&number.to_string()));
    let stored: Vec<[u8; 32]> = texts.iter().map(|text| hash(text)).chain(others).collect();
    for some in stored.chunks(AT_ONCE) {
        let mut commands = Vec::new();
        for hash in some {
            put(&mut commands, &[b"SET", hash, APP.as_bytes()]);
        }
        stream.write_all(&commands).expect("asked");
        let mut answers = vec![0; OK.len() * some.len()];
        stream.read_exact(&mut answers).expect("answered");
        assert!(answers.chunks(OK.len()).all(|answer| answer == OK), "{}", String::from_utf8_lossy(&answers));
    }
    let expected = [b"$16\r\n".as_slice(), APP.as_bytes(), b"\r\n"].concat();
    let (mut at, mut question, mut answer) = (0, Vec::new(), vec![0; expected.len()]);
    let name = format!("Redis {}, `GET` of the hash", version(&program, "--version"));
    let contender = Contender::new(&name, move || {
        let _runs = &server;
        at = (at + 1) % KEYS;
        question.clear();
        put(&mut question, &[b"GET", &hash(&texts[at])]);
        stream.write_all(&question).expect("asked");
        stream.read_exact(&mut answer).expect("answered");
        answer == expected
    });
    Some(LookUp { contender: contender.rarely(20), does: ["yes", "by walking through all keys", "no"] })
}

/// Adds a command of these parts.
fn put(commands: &mut Vec<u8>, parts: &[&[u8]]) {
    commands.extend(format!("*{}\r\n", parts.len()).bytes());
    for part in parts {
        commands.extend(format!("${}\r\n", part.len()).bytes());
        commands.extend(*part);
        commands.extend(b"\r\n");
    }
}
