//! `bulla keys reroll`.

use clap::Args;

use crate::{
    action::reroll,
    api::reroll::Reroll as Request,
    cli::{
        ConfigArgument, Outcome, common_args::CommonArgs, id_argument::IdArgument, output, propagation, undelivered,
    },
};

#[derive(Args)]
pub(in crate::cli) struct Reroll {
    #[command(flatten)]
    key: IdArgument,
    /// How long the old key remains valid; 0s revokes it at once
    #[arg(long, value_name = "DURATION", default_value = reroll::GRACE)]
    grace: String,
    /// Lifetime of the new key, or `never`; the default is the lifetime of the old key
    #[arg(long, value_name = "DURATION", conflicts_with = "expires_at")]
    ttl: Option<String>,
    /// Expiry of the new key, an RFC 3339 time
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// The reason, for the ledger: one line of up to 200 characters
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    wait: propagation::Wait,
    #[command(flatten)]
    common: CommonArgs,
}

impl Reroll {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let how =
            Request { grace: Some(self.grace), expires_in: self.ttl, expires_at: self.expires_at, reason: self.reason };
        output::can_show()?;
        let backend = self.common.open(config)?;
        let rerolled = backend.reroll(self.key.read(&*backend)?, &how, self.wait.limit)?;
        let shown = self.common.print(&rerolled, |rerolled| {
            propagation::print_with(rerolled, rerolled.propagation.as_ref())?;
            output::line("\nThe new API key is shown only once: give it to its owner now.")
        });
        match shown {
            Ok(()) => Ok(propagation::exit_code(rerolled.propagation.as_ref())),
            Err(error) => Err(undelivered::revoke(&*backend, &rerolled.issued.api_key_id, &error)),
        }
    }
}
