//! Errors in the arguments: without their values, because a misplaced value may be an API key, and with the command
//! that the user may have meant.

use std::ffi::OsString;

use bulla::ApiKey;
use clap::{
    ArgMatches, Command, Error,
    builder::StyledStr,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};

use super::{Failure, parsers};

/// Longer than every option and command, and shorter than every API key.
const MAX_NAME: usize = 32;

/// Arguments that take an API key, or are not read.
const FOR_KEYS: [&str; 3] = ["key", "id", "ignored"];

/// Words that other tools have for commands of bulla.
const SYNONYMS: [(&[&str], &str); 6] = [
    (&["create", "new", "add", "generate"], "bulla issue"),
    (&["delete", "remove", "rm"], "bulla revoke"),
    (&["check", "validate"], "bulla verify"),
    (&["rotate"], "bulla keyring stage` and `bulla keyring activate"),
    (&["start", "run", "server"], "bulla serve"),
    (&["log", "logs", "history"], "bulla audit"),
];

/// The error without the values and with the usage of what was typed, and with a tip if a word is a command elsewhere.
pub(super) fn explained(error: Error, command: &Command) -> Error {
    let mut error = without_values(error);
    if let Some(usage) = usage_as_typed(error.kind(), std::env::args_os()) {
        error.insert(ContextKind::Usage, usage);
    }
    if error.kind() == ErrorKind::InvalidSubcommand
        && let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand)
        && let Some(meant) = meant_by(word, command)
    {
        let verb = if meant.contains("` and `") { "do" } else { "does" };
        suggest(&mut error, format!("`{meant}` {verb} that"));
    }
    let waits = !matches!(error.get(ContextKind::InvalidArg), Some(ContextValue::String(name)) if name == "--wait");
    if matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::ArgumentConflict)
        && waits
        && let Some(time) = time_apart(std::env::args_os())
    {
        suggest(&mut error, format!("an equals sign joins option and time: `--wait={time}`"));
    }
    error
}

/// The usage that this kind of error has without the environment: a usage shows what was given, and clap counts options
/// that the environment sets, such as `--config`, so that they look as if one had to type them.
fn usage_as_typed(kind: ErrorKind, arguments: impl Iterator<Item = OsString>) -> Option<ContextValue> {
    let typed = without_environment(super::command()).try_get_matches_from(arguments).err()?;
    typed.get(ContextKind::Usage).filter(|_| typed.kind() == kind).cloned()
}

fn without_environment(command: Command) -> Command {
    command.mut_args(|argument| argument.env(None::<&str>)).mut_subcommands(without_environment)
}

fn suggest(error: &mut Error, tip: String) {
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(tip)]));
}

/// The time that follows `--wait` as an argument of its own, where it counts as another argument.
fn time_apart(arguments: impl Iterator<Item = OsString>) -> Option<String> {
    let mut behind = arguments.skip_while(|argument| argument != "--wait").skip(1);
    behind.next()?.into_string().ok().filter(|time| parsers::wait(time).is_ok())
}

/// The command for a word: one that is nested elsewhere, or has another name.
fn meant_by(word: &str, command: &Command) -> Option<String> {
    let nested = command.get_subcommands().find(|group| {
        group.get_subcommands().any(|one| one.get_name() == word || one.get_all_aliases().any(|alias| alias == word))
    });
    let nested = nested.map(|group| format!("bulla {} {word}", group.get_name()));
    let synonym = || SYNONYMS.iter().find(|(words, _)| words.contains(&word)).map(|(_, name)| (*name).to_owned());
    // A command of the top level is meant where the user is in the wrong group.
    let top = command.find_subcommand(word).map(|one| format!("bulla {}", one.get_name()));
    top.or(nested).or_else(synonym)
}

fn without_values(mut error: Error) -> Error {
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
    text.len() <= MAX_NAME && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

/// Refuses an API key in an argument that takes none, because the command may store or show it.
pub(super) fn refuse_keys(command: &Command, matches: &ArgMatches) -> Result<(), Failure> {
    for argument in command.get_arguments().filter(|argument| !FOR_KEYS.contains(&argument.get_id().as_str())) {
        let given = matches.try_get_raw(argument.get_id().as_str()).ok().flatten();
        if given.into_iter().flatten().any(|value| ApiKey::is_within(&value.to_string_lossy())) {
            let what = format!(
                "{argument} takes no API key. `ps` and the shell's history show what is on a command line: consider whether to \
                 revoke the key"
            );
            return Err(Failure::Usage(what));
        }
    }
    match matches.subcommand().and_then(|(name, inner)| Some((command.find_subcommand(name)?, inner))) {
        Some((command, inner)) => refuse_keys(command, inner),
        None => Ok(()),
    }
}

/// Refuses a configuration where a command makes one in a folder: its files would not be where that one is.
pub(super) fn refuse_config(matches: &ArgMatches) -> Result<(), Failure> {
    let (name, init) = match matches.subcommand() {
        Some(("init", init)) => ("init", init),
        Some(("edge", edge)) => match edge.subcommand_matches("init") {
            Some(init) => ("edge init", init),
            None => return Ok(()),
        },
        _ => return Ok(()),
    };
    let is_folder_typed = init.value_source("dir") == Some(ValueSource::CommandLine);
    match matches.value_source("config") {
        Some(ValueSource::CommandLine) => Err(Failure::Usage(format!(
            "`bulla {name}` takes no --config: it makes bulla.toml in a folder, which `bulla {name} DIR` names"
        ))),
        // It may be set for other commands.
        Some(ValueSource::EnvVariable) if !is_folder_typed => Err(Failure::Usage(format!(
            "`bulla {name}` does not go by BULLA_CONFIG: it makes bulla.toml in a folder, so name it (`bulla {name} .`)"
        ))),
        _ => Ok(()),
    }
}
