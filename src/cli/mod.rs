//! The command line: one file per command.

mod admin_key;
mod api_key_argument;
mod audit;
mod backend;
mod client;
mod common_args;
mod completions;
mod confirm;
mod doctor;
mod edge;
mod ending_signals;
mod failure;
mod feed;
mod fleet;
mod help;
mod helper;
mod id_argument;
mod init;
mod inspect;
mod issue;
mod keyring;
mod keys;
mod local_service;
mod local_verification;
mod output;
mod parsers;
mod propagation;
mod quickstart;
#[cfg_attr(not(feature = "escrow"), path = "reveal_disabled.rs")]
mod reveal;
mod revoke;
mod serve;
mod standard_input;
mod status;
mod store;
mod tls_trouble;
mod undelivered;
mod unix_socket;
mod usage;
mod verify;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use self::failure::Failure;
use crate::deployment::{Deployment, DeploymentError};

/// API keys that verify themselves: sealed under a versioned master key, verified without a database
#[derive(Parser)]
#[command(name = "bulla", version, max_term_width = 100, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    config: ConfigArgument,
}

// Each command's first line of help is the documentation of its arguments.
#[derive(Subcommand)]
enum Command {
    Quickstart(quickstart::Quickstart),
    Init(init::Init),
    Serve(serve::Serve),
    Doctor(doctor::Doctor),
    Status(status::Status),
    Issue(issue::Issue),
    Verify(verify::Verify),
    Inspect(inspect::Inspect),
    Revoke(revoke::Revoke),
    Reveal(reveal::Reveal),
    /// Everything about API keys: list, show, suspend, reroll, import …
    #[command(subcommand, alias = "key")]
    Keys(keys::Keys),
    /// Show, check and change the keyring: rotate a master key, end a leaked one
    #[command(subcommand)]
    Keyring(keyring::Keyring),
    Fleet(fleet::Fleet),
    /// Set up an edge: a verifier elsewhere, without store and keyring
    #[command(subcommand)]
    Edge(edge::Edge),
    Audit(audit::Audit),
    /// The revocation feed as files, for followers that ask no node
    #[command(subcommand)]
    Feed(feed::Feed),
    /// Make, migrate and move the database behind the service
    #[command(subcommand)]
    Store(store::Store),
    /// Answer servers that do not ask over HTTP: squid, lighttpd, Apache
    #[command(subcommand)]
    Helper(helper::Helper),
    Completions(completions::Completions),
}

/// The option that every command takes.
#[derive(Args, Clone)]
struct ConfigArgument {
    /// The configuration file
    #[arg(long, global = true, env = "BULLA_CONFIG", default_value = "./bulla.toml", value_name = "FILE")]
    config: PathBuf,
}

impl ConfigArgument {
    fn open(&self) -> Result<Deployment, DeploymentError> {
        Deployment::open(&self.config)
    }
}

/// Refuses a realm that the configuration does not have; the error ends with `consequence`.
fn known_realm(config: &crate::config::Config, realm: bulla::Realm, consequence: &str) -> Result<(), Failure> {
    let known = config.all_realms();
    if known.contains(&realm) {
        return Ok(());
    }
    let names: Vec<String> = known.iter().map(|realm| format!("`{realm}`")).collect();
    let what =
        format!("there is no [realms.{realm}] in the configuration, which has {}; {consequence}", names.join(", "));
    Err(Failure::Undone(what))
}

/// The exit code of a command that ran to its end.
type Outcome = Result<ExitCode, Failure>;

/// Runs the command that the arguments name. A failure exits with 2, and wrong arguments with 64.
pub fn run() -> ExitCode {
    ending_signals::survive_file_size_limit();
    let mut known = command();
    let arguments = known
        .try_get_matches_from_mut(std::env::args_os())
        .and_then(|matches| Ok((Arguments::from_arg_matches(&matches)?, matches)));
    let (Arguments { command, config }, matches) = match arguments {
        Ok(arguments) => arguments,
        Err(error) => {
            let error = usage::explained(error.format(&mut known), &known);
            let code = if error.use_stderr() { failure::WRONG_ARGUMENTS } else { 0 };
            // The output is a closed pipe, so there is nowhere to report it.
            let _closed_pipe = error.print();
            return ExitCode::from(code);
        }
    };
    let refused = usage::refuse_keys(&known, &matches).and_then(|()| usage::refuse_config(&matches));
    let outcome = refused.and_then(|()| run_command(command, &config));
    ending_signals::wait_if_ending();
    outcome.unwrap_or_else(|failure| {
        if !failure.is_closed_pipe() {
            output::error(&failure.message());
            if let Some(hint) = failure.hint() {
                output::hint(&hint);
            }
        }
        ExitCode::from(failure.exit_code())
    })
}

fn run_command(command: Command, config: &ConfigArgument) -> Outcome {
    // The service ends in an order of its own.
    if !matches!(command, Command::Quickstart(_) | Command::Serve(_)) {
        ending_signals::end_programs_first();
    }
    match command {
        Command::Quickstart(command) => command.run(),
        Command::Init(command) => command.run(),
        Command::Serve(command) => command.run(config),
        Command::Issue(command) => command.run(config),
        Command::Verify(command) => command.run(config),
        Command::Inspect(command) => command.run(),
        Command::Revoke(command) => command.run(config),
        Command::Reveal(command) => command.run(config),
        Command::Fleet(command) => command.run(config),
        Command::Audit(command) => command.run(config),
        Command::Store(command) => command.run(config),
        Command::Keys(command) => command.run(config),
        Command::Keyring(command) => command.run(config),
        Command::Edge(command) => command.run(config),
        Command::Feed(command) => command.run(config),
        Command::Doctor(command) => command.run(config),
        Command::Status(command) => command.run(config),
        Command::Helper(command) => command.run(),
        Command::Completions(command) => command.run(),
    }
}

/// The commands and their arguments.
#[doc(hidden)]
pub fn command() -> clap::Command {
    help::grouped(Arguments::command())
}

/// A deployment in `folder`, for tests; the path of its configuration.
pub(crate) fn throw_away(folder: &std::path::Path) -> Result<PathBuf, Box<dyn std::error::Error>> {
    Ok(init::create(folder, crate::config::DEFAULT)?.config)
}

/// The same, with its store at `url`.
pub(crate) fn throw_away_on(folder: &std::path::Path, url: &str) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let configuration = crate::config::DEFAULT.replace("sqlite:bulla.db", url);
    Ok(init::create(folder, &configuration)?.config)
}

/// The same, with the first admin API key.
pub(crate) fn throw_away_with_administrator(
    folder: &std::path::Path,
) -> Result<(PathBuf, secrecy::SecretString), Box<dyn std::error::Error>> {
    let new = init::create(folder, crate::config::DEFAULT)?;
    Ok((new.config, new.admin_api_key))
}

#[cfg(test)]
mod doors_tests;

#[cfg(test)]
mod tests {
    #[test]
    fn the_arguments_are_consistent() {
        super::command().debug_assert();
    }
}
