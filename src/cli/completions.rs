//! `bulla completions`.

use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;

use super::Outcome;

/// Print a shell completion script
#[derive(Args)]
#[command(after_help = "Example:\n  bulla completions bash > /etc/bash_completion.d/bulla")]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::command(), "bulla", &mut script);
        std::io::Write::write_all(&mut std::io::stdout().lock(), &script)?;
        Ok(ExitCode::SUCCESS)
    }
}
