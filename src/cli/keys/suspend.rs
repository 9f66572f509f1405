//! `bulla keys suspend` and `bulla keys resume`.

use clap::Args;

use crate::{
    api::revoke::RevokeOutcome,
    cli::{
        ConfigArgument, Outcome, common_args::CommonArgs, id_argument::IdArgument, propagation,
        revoke::warn_of_typing_error,
    },
};

#[derive(Args)]
pub(in crate::cli) struct Suspend {
    #[command(flatten)]
    key: IdArgument,
    /// The reason, for the audit: one line of up to 200 characters
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    wait: propagation::Wait,
    #[command(flatten)]
    common: CommonArgs,
}

impl Suspend {
    pub(super) fn suspend(self, config: &ConfigArgument) -> Outcome {
        let backend = self.common.open(config)?;
        let found = self.key.read_all(&*backend)?;
        let suspended = backend.suspend(&found.ids, self.reason, self.wait.limit)?;
        let ended = told(&self.common, &suspended)?;
        found.check_complete("suspended")?;
        Ok(ended)
    }

    pub(super) fn resume(self, config: &ConfigArgument) -> Outcome {
        let backend = self.common.open(config)?;
        // Whether each is to be good again, the key does not say: its ids do.
        let resumed = backend.resume(self.key.read(&*backend)?, self.reason, self.wait.limit)?;
        told(&self.common, &resumed)
    }
}

fn told(common: &CommonArgs, outcome: &RevokeOutcome) -> Outcome {
    let propagation = outcome.propagation.as_ref();
    common.print(outcome, |outcome| {
        propagation::print_with(outcome, propagation)?;
        warn_of_typing_error(!outcome.on_record);
        Ok(())
    })?;
    Ok(propagation::exit_code(propagation))
}
