//! `bulla reveal` in a build without the feature `escrow`.

use clap::Args;

use super::{ConfigArgument, Failure, Outcome};

/// Show an API key again (not in this build: it lacks the feature escrow)
#[derive(Args)]
pub(super) struct Reveal {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    ignored: Vec<String>,
}

impl Reveal {
    pub(super) fn run(self, _: &ConfigArgument) -> Outcome {
        drop(self.ignored);
        let what = "this build of bulla lacks the feature escrow: build it with `cargo build --features escrow`";
        Err(Failure::Undone(what.to_owned()))
    }
}
