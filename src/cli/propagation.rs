//! What `--wait` prints and returns: who has a revocation in force.

use std::{io, process::ExitCode};

use super::output;
use crate::api::propagation::Propagation;

/// The exit code of a change that is made, and not in force everywhere yet.
const NOT_EVERYWHERE: u8 = 3;

/// The exit code of a change; without a wait it is made, and that is all.
pub(super) fn exit_code(propagation: Option<&Propagation>) -> ExitCode {
    match propagation {
        Some(propagation) if !propagation.is_complete() => ExitCode::from(NOT_EVERYWHERE),
        _ => ExitCode::SUCCESS,
    }
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
