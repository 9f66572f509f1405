//! `--wait`, and what it prints and returns: who has a change in force.

use std::{io, process::ExitCode, time::Duration};

use clap::Args;
use serde::Serialize;

use super::{output, parsers};
use crate::api::propagation::Propagation;

/// The exit code of a change that is made, and not in force everywhere yet.
const NOT_EVERYWHERE: u8 = 3;

#[derive(Args)]
pub(super) struct Wait {
    /// Wait until every registered node and follower has it in force, up to 60s; exit with 3 and name the others if
    /// some have not
    #[arg(
        long = "wait", value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "30s",
        value_parser = parsers::wait
    )]
    pub(super) limit: Option<Duration>,
}

/// The exit code of a change; without a wait it is made, and that is all.
pub(super) fn exit_code(propagation: Option<&Propagation>) -> ExitCode {
    match propagation {
        Some(propagation) if !propagation.is_complete() => ExitCode::from(NOT_EVERYWHERE),
        _ => ExitCode::SUCCESS,
    }
}

/// Prints an outcome for people, and behind it who has it in force.
pub(super) fn print_with(outcome: &impl Serialize, propagation: Option<&Propagation>) -> io::Result<()> {
    output::object_without(outcome, "propagation")?;
    propagation.map_or(Ok(()), print)
}

/// Prints who has it in force, for people.
pub(super) fn print(propagation: &Propagation) -> io::Result<()> {
    let Propagation { registered, followers, reached, missing, error, .. } = propagation;
    let told = match (error, registered, followers) {
        (Some(error), ..) => format!("unknown: {error}"),
        (None, 0, _) => "nobody is registered: no node runs on this store, and no follower reports".to_owned(),
        (None, _, 0) => format!("{reached} of {registered} nodes; no follower is registered"),
        _ => format!("{reached} of {registered} nodes and followers"),
    };
    output::fields(&[("reached", told)])?;
    for one in missing {
        output::fields(&[("missing", format!("{} ({}): {}", one.name, one.role.name(), one.why))])?;
    }
    let named = missing.len() as u64;
    match (registered - reached).saturating_sub(named) {
        0 => Ok(()),
        more => output::fields(&[("missing", format!("and {more} more: `bulla fleet` lists them"))]),
    }
}
