//! `bulla keyring compromise` and `bulla keyring destroy`: the two changes that end all API keys of a version.

use bulla::keyring::KeyVersion;
use clap::Args;

use super::{ConfigArgument, Outcome, print};
use crate::{
    api::keyring::{self, Changed},
    cli::{
        Failure,
        backend::Backend,
        common_args::CommonArgs,
        confirm::{Confirmation, counted_keys},
        parsers, propagation,
    },
};

#[derive(Args)]
#[command(after_help = "\
From then on no API key of the version is accepted, including administrators' keys. It cannot be undone.")]
pub(in crate::cli) struct Compromise {
    /// The number of the version whose master key is known to others
    #[arg(value_parser = parsers::version)]
    version: KeyVersion,
    /// The staged or deactivated version that replaces the active one in the same step
    #[arg(long, value_parser = parsers::version, value_name = "VERSION")]
    successor: Option<KeyVersion>,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    wait: propagation::Wait,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Args)]
#[command(after_help = "\
From then on no API key of the version is accepted, and the keyring holds nothing of its key. It cannot be undone. Delete the
key in its source yourself.")]
pub(in crate::cli) struct Destroy {
    /// The number of a staged, deactivated or compromised version
    #[arg(value_parser = parsers::version)]
    version: KeyVersion,
    #[command(flatten)]
    confirmation: Confirmation,
    #[command(flatten)]
    wait: propagation::Wait,
    #[command(flatten)]
    common: CommonArgs,
}

impl Compromise {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let also = match self.successor {
            None => "; if it is the active version, no API key can be issued until another version is activated",
            Some(_) => "",
        };
        let backend = self.common.open(config)?;
        confirm(&*backend, &self.confirmation, self.version, "compromise", also)?;
        let how = keyring::Compromise { successor: self.successor };
        told(&self.common, &backend.compromise(self.version, how, self.wait.limit)?)
    }
}

impl Destroy {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let backend = self.common.open(config)?;
        confirm(&*backend, &self.confirmation, self.version, "destroy", "")?;
        told(&self.common, &backend.destroy(self.version, self.wait.limit)?)
    }
}

fn told(common: &CommonArgs, changed: &Changed) -> Outcome {
    let propagation = changed.propagation.as_ref();
    common.print(changed, |changed| {
        print(changed)?;
        propagation.map_or(Ok(()), propagation::print)
    })?;
    Ok(propagation::exit_code(propagation))
}

fn confirm(
    backend: &dyn Backend,
    confirmation: &Confirmation,
    version: KeyVersion,
    command: &str,
    also: &str,
) -> Result<(), Failure> {
    // With --yes a compromise does not wait for the count.
    if confirmation.is_given() {
        return Ok(());
    }
    let keyring = backend.counted_keyring()?;
    let counted = keyring.versions.into_iter().find(|one| one.version == version.number());
    let active = counted.and_then(|version| version.active_api_keys);
    let (all, administrators) = active.map_or((0, 0), |active| (active.all, active.administrators));
    let told = format!("This permanently rejects {}{also}. It cannot be undone.", counted_keys(all, administrators));
    confirmation.ask(&told, &format!("{command} {version}"))
}
