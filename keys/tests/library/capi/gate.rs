//! A gate in a C program, which a test tells what to do: threads, forks, reloads, and messages that the program applies
//! itself.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use bulla::{
    ApiKey, IssueRequest, Issuer,
    claims::Claims,
    gateway::now,
    keyring::{Keyring, KeyringDocument, Suite, VersionState},
    revocation::Change,
};

use super::{FEED_API_KEY, LIBRARIES, compile, compile_with};
use crate::{
    feed_server::{FeedServer, public_key},
    fixture::{Folder, MASTER_7, Version, realm},
};

struct World {
    folder: Folder,
    document: KeyringDocument,
    server: FeedServer,
}

/// The C program.
struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl World {
    fn new(with_source: bool) -> Self {
        let folder = Folder::new();
        let document = folder.document(&[Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7)]);
        folder.put("keyring.toml", document.render(&folder.mac_key(&document)).expect("rendered"), 0o644);
        folder.put("feed.key", FEED_API_KEY, 0o600);
        let server = FeedServer::start(FEED_API_KEY, now);
        let source = if with_source { format!("'{}'", server.address()) } else { String::new() };
        let settings = format!(
            "[follow]\nsources = [{source}]\nkeyring_id = '{}'\npublic_key = '{}'\napi_key = 'feed.key'\n\
             [keyring]\nsource = 'file:keyring.toml'\nmac_source = 'file:mac.key'\n[realms.acme_live]\n",
            document.id(),
            public_key()
        );
        folder.put("gate.toml", settings, 0o644);
        World { folder, document, server }
    }

    fn issue(&self) -> ApiKey {
        let keyring = Keyring::load(&self.document, &self.folder.sources(), &[realm("acme_live")]).expect("loaded");
        let request = IssueRequest {
            realm: realm("acme_live"),
            app_id: uuid::Uuid::max(),
            expires_at: None,
            claims: Claims::new(),
        };
        Issuer::new(&keyring).issue(&request, now()).expect("issued")
    }

    fn run(&self, mut command: Command, program: &Path) -> Program {
        command.arg(program).arg(self.folder.path("gate.toml")).arg("realm:acme_live");
        command.env("LD_LIBRARY_PATH", &*LIBRARIES).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("started");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Program { stdin: child.stdin.take(), child, stdout }
    }
}

impl Program {
    fn does(&mut self, command: &str) -> String {
        writeln!(self.stdin.as_mut().expect("a pipe"), "{command}").expect("it reads");
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("it answers");
        line.trim_end().to_owned()
    }

    fn becomes(&mut self, key: &ApiKey, expected: &str) {
        let begun = Instant::now();
        loop {
            let said = self.does(&format!("check {}", key.expose()));
            if said == expected {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(120), "{said} and not {expected}: {}", self.does("status"));
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn ends(mut self) {
        drop(self.stdin.take());
        let status = self.child.wait().expect("ended");
        assert!(status.success(), "{status}");
    }
}

fn revoke(key: &ApiKey) -> Change {
    Change::Revoke { id: key.id(), expires_at: None }
}

/// All that a gate does, in a program that `command` runs.
fn lives(command: impl Fn() -> Command, program: &Path) {
    let world = World::new(true);
    let mut running = world.run(command(), program);
    let (one, other) = (world.issue(), world.issue());
    assert_eq!(running.does(&format!("check {}", one.expose())), "503 stale");
    assert_eq!(running.does("status"), "0 0 1");
    assert_eq!((running.does("start"), running.does("start")), ("done".to_owned(), "done".to_owned()));
    running.becomes(&one, "200");
    let place = world.server.append(&[revoke(&one)]);
    running.becomes(&one, "401 revoked");
    running.becomes(&other, "200");
    assert_eq!(running.does("check x"), "401 malformed");

    // A process that was forked after the start is told so, and lets nothing through.
    let child = running.does(&format!("fork {}", other.expose()));
    assert!(
        child.starts_with("child: forked 1, started in the parent 1, start: the gate was started in process "),
        "{child}"
    );
    assert!(child.ends_with("503 forked"), "{child}");
    assert_eq!(running.does(&format!("check {}", other.expose())), "200");

    world.folder.put("keyring.toml", "broken", 0o644);
    assert_ne!(running.does("reload"), "done");
    assert_eq!(running.does(&format!("check {}", other.expose())), "200");

    // It waits for news, and the stop does not.
    world.server.asked_from(place);
    let took: u64 = running.does("stop").parse().expect("milliseconds");
    assert!(took < 20_000, "{took} ms");
    running.ends();
}

/// Without a thread.
fn is_fed(command: impl Fn() -> Command, program: &Path) {
    let world = World::new(false);
    let mut running = world.run(command(), program);
    let key = world.issue();
    assert_eq!(running.does("question"), "/v1/revocations?after=0&wait=25s");
    let message = |after| hex::encode(world.server.message(after, now()));
    assert_eq!(running.does(&format!("apply {}", message(0))), "done");
    assert_eq!(running.does(&format!("check {}", key.expose())), "200");
    let place = world.server.append(&[revoke(&key), revoke(&world.issue())]);
    world.server.change(|log| log.page = 1);
    assert_eq!(running.does(&format!("apply {}", message(0))), "more");
    assert_eq!(running.does(&format!("apply {}", message(1))), "done");
    assert_eq!(running.does("status"), format!("{place} 2 0"));
    assert_eq!(running.does(&format!("check {}", key.expose())), "401 revoked");
    assert!(running.does("apply 00").contains("not a signature"));

    let path = world.folder.path("gate.toml").display().to_string();
    assert_eq!(running.does(&format!("shared {path}")), "one");
    assert_eq!(running.does(&format!("descriptors {path}")), "done");
    running.ends();
}

#[test]
fn a_gate_lives_in_a_c_program() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = compile("tests/library/capi/gate.c", folder.path(), &[LIBRARIES.join("libbulla.so").as_os_str()]);
    // `env` runs it as it is.
    lives(|| Command::new("env"), &program);
    is_fed(|| Command::new("env"), &program);
}

#[test]
fn valgrind_finds_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let shared = LIBRARIES.join("libbulla.so");
    let program = compile_with(&[], "tests/library/capi/gate.c", folder.path(), &[shared.as_os_str()]);
    let valgrind = || {
        let mut valgrind = Command::new("valgrind");
        valgrind.args([
            "--quiet",
            "--child-silent-after-fork=yes",
            "--error-exitcode=9",
            "--leak-check=full",
            "--errors-for-leak-kinds=definite,indirect",
        ]);
        valgrind
    };
    lives(valgrind, &program);
    is_fed(valgrind, &program);
}
