//! Errors in the arguments, told without their values: what stands in the wrong place may be an API key.

use bulla::ApiKey;
use clap::{
    ArgMatches, Command, Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::Failure;

/// Longer than every option and command, and shorter than every API key.
const LONGEST_NAME: usize = 32;

/// Arguments that take an API key, and where nothing else is read.
const FOR_KEYS: [&str; 3] = ["key", "id", "ignored"];

/// The error without what was given; only what could be the name of an option or a command is repeated.
pub(super) fn without_values(mut error: Error) -> Error {
    let hidden = || ContextValue::String("…".to_owned());
    if error.get(ContextKind::InvalidValue).is_some() {
        error.insert(ContextKind::InvalidValue, hidden());
    }
    for (kind, of) in [
        (ContextKind::InvalidArg, ErrorKind::UnknownArgument),
        (ContextKind::InvalidSubcommand, ErrorKind::InvalidSubcommand),
    ] {
        let name = matches!(error.get(kind), Some(ContextValue::String(name)) if is_name(name));
        if error.kind() == of && !name {
            error.insert(kind, hidden());
            // The tips repeat it.
            error.remove(ContextKind::Suggested);
        }
    }
    error
}

fn is_name(text: &str) -> bool {
    text.len() <= LONGEST_NAME && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

/// Refuses an API key in an argument that takes none: it would be stored, or shown, or be a file's name.
pub(super) fn refuse_keys(command: &Command, matches: &ArgMatches) -> Result<(), Failure> {
    for argument in command.get_arguments().filter(|argument| !FOR_KEYS.contains(&argument.get_id().as_str())) {
        let given = matches.try_get_raw(argument.get_id().as_str()).ok().flatten();
        if given.into_iter().flatten().any(|value| ApiKey::is_within(&value.to_string_lossy())) {
            let what = format!(
                "{} holds an API key, which belongs neither there nor on a command line: `ps` and the shell's history show \
                 it. Consider whether to revoke it",
                argument
            );
            return Err(Failure::Usage(what));
        }
    }
    match matches.subcommand().and_then(|(name, inner)| Some((command.find_subcommand(name)?, inner))) {
        Some((command, inner)) => refuse_keys(command, inner),
        None => Ok(()),
    }
}
