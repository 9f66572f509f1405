//! `exec:PROGRAM [ARGUMENT…]`: any program that reads `info` in base64 and a line end on standard input, and prints
//! `HMAC-SHA256(master, info ‖ 01)` in base64 on standard output: a cloud's command line, tpm2-tools, a script.
//!
//! Arguments end at spaces; there is no quoting and no shell. A program named with a slash is relative to the folder of
//! the configuration, which is also the folder it runs in; another one is found by PATH. Whatever it has to say about a
//! failure belongs on the first line of its standard error, which is shown to operators. It runs in a process group of
//! its own, which is ended as a whole with the program, or when there is no answer in time.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use zeroize::Zeroizing;

use super::{KeySource, SourceError, SourceErrorKind, SourceUri, exec_process::run_program, printable};
use crate::derive::{DerivedKey, KEY_BYTES};

/// More than 32 bytes in base64 with any white space around it.
const MAX_OUTPUT: usize = 256;
/// Enough of standard error for its first line.
const MAX_COMPLAINT: usize = 2048;

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
        let named = words.next().ok_or_else(|| fail(SourceErrorKind::Uri, "it names no program".to_owned()))?;
        // A relative program together with a folder to run in would mean different things on different systems.
        let folder = std::path::absolute(if base.as_os_str().is_empty() { Path::new(".") } else { base })
            .map_err(|error| fail(SourceErrorKind::Unreachable, format!("the configuration's folder: {error}")))?;
        let program = if named.contains('/') { folder.join(&named) } else { PathBuf::from(&named) };
        if named.contains('/') && !program.is_file() {
            return Err(fail(SourceErrorKind::Missing, format!("there is no program {}", program.display())));
        }
        Ok(ExecSource { uri: uri.clone(), program, arguments: words.collect(), folder, time_limit })
    }

    fn fail(&self, problem: SourceErrorKind, detail: String) -> SourceError {
        SourceError::new(&self.uri, problem, detail)
    }

    /// Why the program does not run.
    fn not_run(&self, error: &std::io::Error) -> SourceError {
        let program = self.program.display();
        match error.kind() {
            ErrorKind::NotFound => {
                let detail = format!("{program} cannot be run: it, or the interpreter on its first line, is not there");
                self.fail(SourceErrorKind::Missing, detail)
            }
            ErrorKind::PermissionDenied => {
                self.fail(SourceErrorKind::Denied, format!("{program} may not be run by this user: `chmod +x` it"))
            }
            _ => self.fail(SourceErrorKind::Unreachable, format!("{program} cannot be run: {error}")),
        }
    }

    fn too_slow(&self) -> SourceError {
        let seconds = self.time_limit.as_secs_f32();
        let detail =
            format!("it gave no answer within {seconds} s and was ended: run it by hand and see what it waits for");
        self.fail(SourceErrorKind::Unreachable, detail)
    }
}

impl KeySource for ExecSource {
    fn expand(&self, info: &[u8]) -> Result<DerivedKey, SourceError> {
        let deadline = Instant::now() + self.time_limit;
        let input = format!("{}\n", BASE64.encode(info));
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.folder);
        let ran = run_program(&mut command, input.as_bytes(), deadline, MAX_OUTPUT, MAX_COMPLAINT);
        let finished = ran.map_err(|error| self.not_run(&error))?.ok_or_else(|| self.too_slow())?;
        if !finished.status.success() {
            let said = String::from_utf8_lossy(&finished.said);
            let first = said
                .lines()
                .map(str::trim)
                .find(|line| !line.is_empty())
                .unwrap_or("it said nothing on standard error");
            let detail = format!("the program failed ({}): {}", finished.status, printable(first));
            return Err(self.fail(SourceErrorKind::Unreachable, detail));
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        match BASE64.decode_slice(finished.printed.trim_ascii(), key.as_mut_slice()) {
            Ok(KEY_BYTES) => Ok(DerivedKey::new(key)),
            _ => {
                let detail =
                    "the program must print 32 bytes in base64, HMAC-SHA256(master, info ‖ 01), and nothing else";
                Err(self.fail(SourceErrorKind::Malformed, detail.to_owned()))
            }
        }
    }
}
