//! The reference implementation in Python, which shares no code with bulla.

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::Value;

/// Python with the packages that the reference needs.
pub fn python() -> PathBuf {
    let target = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/test-parts");
    let python = std::env::var_os("BULLA_TEST_PARTS").map_or_else(target, PathBuf::from).join("bin/python");
    assert!(python.exists(), "{} is missing: ./tests/run installs it", python.display());
    python
}

/// One of the reference's scripts.
pub fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name)
}

pub struct Reference {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Reference {
    pub fn start() -> Self {
        let mut child = Command::new(python())
            .arg(script("bulla_reference.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let input = child.stdin.take().expect("its input");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Reference { child, input, output }
    }

    /// Asks one question.
    pub fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.input, "{question}").expect("asked");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("answered");
        let answer: Value = serde_json::from_str(&line).expect("a JSON object");
        assert!(answer.get("error").is_none(), "{answer}");
        answer
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}
