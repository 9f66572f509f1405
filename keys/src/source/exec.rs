//! `exec:PROGRAM [ARGUMENT…]`: any program that reads `info` in base64 and a line end on standard input, and prints
//! `HMAC-SHA256(master, info ‖ 01)` in base64 on standard output: a cloud's command line, tpm2-tools, a script.
//!
//! Arguments end at spaces; there is no quoting and no shell. A program named with a slash is relative to the folder of the
//! configuration, which is also the folder it runs in; another one is found by PATH. Whatever it has to say about a failure belongs on
//! the first line of its standard error, which is shown to operators.

use std::{
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use zeroize::Zeroizing;

use super::{KeySource, Problem, SourceError, SourceUri, printable};
use crate::derive::{Expanded, KEY_BYTES};

/// More than 32 bytes in base64 with any white space around it.
const MAX_OUTPUT: u64 = 256;
/// Enough of standard error for its first line.
const MAX_COMPLAINT: u64 = 2048;
/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(5);

pub(super) struct ExecSource {
    uri: SourceUri,
    program: PathBuf,
    arguments: Vec<String>,
    folder: PathBuf,
    time_limit: Duration,
}

impl ExecSource {
    pub(super) fn open(uri: &SourceUri, base: &Path, time_limit: Duration) -> Result<Self, SourceError> {
        let fail = |problem, detail| SourceError::new(uri, problem, detail);
        let mut words = uri.rest().split(' ').filter(|word| !word.is_empty()).map(str::to_owned);
        let named = words.next().ok_or_else(|| fail(Problem::Uri, "it names no program".to_owned()))?;
        // A relative program together with a folder to run in would mean different things on different systems.
        let folder = std::path::absolute(if base.as_os_str().is_empty() { Path::new(".") } else { base })
            .map_err(|error| fail(Problem::Unreachable, format!("the configuration's folder: {error}")))?;
        let program = if named.contains('/') { folder.join(&named) } else { PathBuf::from(&named) };
        if named.contains('/') && !program.is_file() {
            return Err(fail(Problem::Missing, format!("there is no program {}", program.display())));
        }
        Ok(ExecSource { uri: uri.clone(), program, arguments: words.collect(), folder, time_limit })
    }

    fn fail(&self, problem: Problem, detail: String) -> SourceError {
        SourceError::new(&self.uri, problem, detail)
    }

    fn start(&self) -> Result<Child, SourceError> {
        Command::new(&self.program)
            .args(&self.arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                let program = self.program.display();
                match error.kind() {
                    ErrorKind::NotFound => {
                        let detail =
                            format!("{program} cannot be run: it, or the interpreter on its first line, is not there");
                        self.fail(Problem::Missing, detail)
                    }
                    ErrorKind::PermissionDenied => {
                        let detail = format!("{program} may not be run by this user: `chmod +x` it");
                        self.fail(Problem::Denied, detail)
                    }
                    _ => self.fail(Problem::Unreachable, format!("{program} cannot be run: {error}")),
                }
            })
    }

    /// Waits for the program's end, and ends it at the deadline.
    fn wait(&self, child: &mut Child, deadline: Instant) -> Result<ExitStatus, SourceError> {
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if Instant::now() < deadline => thread::sleep(POLL),
                Ok(None) => {
                    // Both can only fail if it has just ended by itself.
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(self.too_slow());
                }
                Err(error) => return Err(self.fail(Problem::Unreachable, format!("waiting for it failed: {error}"))),
            }
        }
    }

    fn too_slow(&self) -> SourceError {
        let seconds = self.time_limit.as_secs_f32();
        let detail =
            format!("it gave no answer within {seconds} s and was ended: run it by hand and see what it waits for");
        self.fail(Problem::Unreachable, detail)
    }

    /// What one of the program's outputs had, once it is closed: as a rule together with the program's end, unless a
    /// program that this one started still has it.
    fn output(
        &self,
        read: &Receiver<Zeroizing<Vec<u8>>>,
        deadline: Instant,
    ) -> Result<Zeroizing<Vec<u8>>, SourceError> {
        let patience = deadline.saturating_duration_since(Instant::now()).max(POLL);
        read.recv_timeout(patience).map_err(|_| self.too_slow())
    }
}

impl KeySource for ExecSource {
    fn expand(&self, info: &[u8]) -> Result<Expanded, SourceError> {
        let deadline = Instant::now() + self.time_limit;
        let mut child = self.start()?;
        let stdout = read_aside(child.stdout.take(), MAX_OUTPUT);
        let stderr = read_aside(child.stderr.take(), MAX_COMPLAINT);
        if let Some(mut stdin) = child.stdin.take() {
            // It fits the pipe. A program that does not read it gets judged by what it prints.
            let _ = stdin.write_all(format!("{}\n", BASE64.encode(info)).as_bytes());
        }
        let status = self.wait(&mut child, deadline)?;
        if !status.success() {
            let said = self.output(&stderr, deadline).unwrap_or_default();
            let said = String::from_utf8_lossy(&said);
            let first = said
                .lines()
                .map(str::trim)
                .find(|line| !line.is_empty())
                .unwrap_or("it said nothing on standard error");
            return Err(self.fail(Problem::Unreachable, format!("the program failed ({status}): {}", printable(first))));
        }
        let printed = self.output(&stdout, deadline)?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        match BASE64.decode_slice(printed.trim_ascii(), key.as_mut_slice()) {
            Ok(KEY_BYTES) => Ok(Expanded::new(key)),
            _ => {
                let detail =
                    "the program has to print 32 bytes in base64, HMAC-SHA256(master, info ‖ 01), and nothing else";
                Err(self.fail(Problem::Malformed, detail.to_owned()))
            }
        }
    }
}

/// Reads up to `most` bytes on a thread of its own, then the rest into nothing, so that the program does not hang on a full pipe.
fn read_aside(from: Option<impl Read + Send + 'static>, most: u64) -> Receiver<Zeroizing<Vec<u8>>> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let capacity = usize::try_from(most).unwrap_or_default() + 1;
        // Never grown, so that no copy is left behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
        if let Some(mut from) = from {
            // What could not be read is missing, and then it is no 32 bytes.
            let _ = from.by_ref().take(most).read_to_end(&mut bytes);
            let _ = std::io::copy(&mut from, &mut std::io::sink());
        }
        // Nobody listens any more after a time-out.
        let _ = send.send(bytes);
    });
    receive
}
