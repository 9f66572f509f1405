//! Programs with mounts of their own, for what has its place in the system built in: nothing outside of them changes.

use std::process::Command;

use crate::support::programs;

/// Runs `program` with these arguments as root, in mounts of its own and with these environment variables.
pub fn command(environment: &[(&str, String)], program: &[&str]) -> Command {
    let is_root = programs::run(Command::new("id").arg("-u")) == "0";
    let mut command = if is_root { Command::new("unshare") } else { Command::new("sudo") };
    if !is_root {
        command.args(["--non-interactive", "unshare"]);
    }
    // sudo hands no environment on.
    command.args(["--mount", "--ipc", "env"]);
    command.args(environment.iter().map(|(name, value)| format!("{name}={value}")));
    command.args(program);
    command
}
