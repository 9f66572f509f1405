//! The command `bulla` as a process.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

/// What a command left behind.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Standard output as the one JSON object it must be.
    pub fn json(&self) -> Value {
        assert_eq!(self.out.lines().count(), 1, "one line of JSON: {:?} {:?}", self.out, self.err);
        serde_json::from_str(&self.out).expect("a JSON object")
    }

    /// The same, of a command that has to succeed.
    pub fn ok(&self) -> &Self {
        assert_eq!(self.code, 0, "{} {}", self.out, self.err);
        self
    }
}

/// A command that knows nothing of the machine's own configuration.
pub fn bulla(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulla"));
    command.current_dir(folder).env_remove("BULLA_CONFIG").env_remove("BULLA_ADMIN_KEY_FILE");
    command
}

/// Runs `bulla` in `folder` to its end.
pub fn run(folder: &Path, arguments: &[&str]) -> Ran {
    finish(bulla(folder).args(arguments), "")
}

/// Runs `bulla` with `input` on standard input.
pub fn run_with(folder: &Path, arguments: &[&str], input: &str) -> Ran {
    finish(bulla(folder).args(arguments), input)
}

/// Runs a prepared command to its end.
pub fn finish(command: &mut Command, input: &str) -> Ran {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("bulla starts");
    // A command that reads nothing may be gone already.
    let _closed = child.stdin.take().expect("its input").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("bulla ends");
    Ran {
        code: output.status.code().expect("an exit code"),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}
