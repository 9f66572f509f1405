//! The command line: one file per command.

mod admin_key;
mod api_key_argument;
mod audit;
mod client;
mod completions;
mod confirm;
mod doctor;
mod id_argument;
mod init;
mod inspect;
mod issue;
mod keyring;
mod keys;
mod output;
mod parsers;
mod quickstart;
#[cfg_attr(not(feature = "escrow"), path = "reveal_left_out.rs")]
mod reveal;
mod revoke;
mod serve;
mod signals;
mod unix_socket;
mod unseen;
mod usage;
mod verify;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{
    action::ActionError,
    deployment::{Deployment, DeploymentError},
    server::StartError,
    store::StoreError,
};

/// API keys that verify themselves: sealed with AES-GCM under a versioned master key, verified without a database.
#[derive(Parser)]
#[command(name = "bulla", version, max_term_width = 100, arg_required_else_help = true, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    config: ConfigArgument,
}

const EXAMPLES: &str = "\
Examples:
  bulla quickstart                                     see it all run, on a throw-away keyring
  bulla init . && bulla serve                          a deployment in this folder
  bulla issue --realm live --app UUID --ttl 90d        one API key
  bulla verify - < key.txt                             0 accepted, 1 rejected, 2 could not tell

Durations read 90d, 12h, 15m; times are RFC 3339. With --json a command prints one JSON object.";

#[derive(Subcommand)]
enum Command {
    /// A throw-away keyring and store, a running server, one key issued and verified over HTTP
    Quickstart(quickstart::Quickstart),
    /// Write bulla.toml, a keyring and a store, and print the first admin API key once
    Init(init::Init),
    /// Run the service
    Serve(serve::Serve),
    /// Issue an API key
    Issue(issue::Issue),
    /// Verify an API key: exit 0 accepted, 1 rejected, 2 could not tell
    Verify(verify::Verify),
    /// Show what an API key shows without any master key
    Inspect(inspect::Inspect),
    /// Take back an API key, or what an app or a realm was issued before some time, for good
    Revoke(revoke::Revoke),
    /// List, show, suspend, resume and reroll the API keys on record, and take in others
    #[command(subcommand)]
    Keys(keys::Keys),
    Reveal(reveal::Reveal),
    /// Show who did what, oldest first
    Audit(audit::Audit),
    /// Make, show, check and change the keyring
    #[command(subcommand)]
    Keyring(keyring::Keyring),
    /// Check config, keyring, sources, store, clock and file modes, and say what to do
    Doctor(doctor::Doctor),
    /// Print a completion script for a shell
    Completions(completions::Completions),
}

/// Where the configuration is; every command takes it.
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

/// Refuses a realm that the configuration does not have: it is mistyped, or `otherwise`.
fn known_realm(config: &crate::config::Config, realm: bulla::Realm, otherwise: &str) -> Result<(), Failure> {
    let known = config.all_realms();
    if known.contains(&realm) {
        return Ok(());
    }
    let names: Vec<String> = known.iter().map(|realm| format!("`{realm}`")).collect();
    let what =
        format!("there is no [realms.{realm}] in the configuration, which has {}; {otherwise}", names.join(", "));
    Err(Failure::Usage(what))
}

/// What ends a command early.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Action(#[from] ActionError),
    #[error(transparent)]
    Client(#[from] client::ClientError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Usage(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Deployment(error.into())
    }
}

impl From<bulla::KeyringError> for Failure {
    fn from(error: bulla::KeyringError) -> Self {
        Failure::Deployment(error.into())
    }
}

/// A command ran to its end, with this exit code.
type Outcome = Result<ExitCode, Failure>;

/// Runs the command that the arguments name. A failure is exit code 2, as a usage error is.
pub fn run() -> ExitCode {
    signals::survive_file_size_limit();
    let mut known = Arguments::command();
    let arguments = known
        .try_get_matches_from_mut(std::env::args_os())
        .and_then(|matches| Ok((Arguments::from_arg_matches(&matches)?, matches)));
    let (Arguments { command, config }, matches) = match arguments {
        Ok(arguments) => arguments,
        Err(error) => usage::without_values(error.format(&mut known)).exit(),
    };
    let outcome = usage::refuse_keys(&known, &matches).and_then(|()| run_command(command, &config));
    outcome.unwrap_or_else(|failure| {
        match &failure {
            // A closed pipe (`bulla … | head`) is nobody's error.
            Failure::Io(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            _ => output::error(&failure),
        }
        ExitCode::from(2)
    })
}

fn run_command(command: Command, config: &ConfigArgument) -> Outcome {
    match command {
        Command::Quickstart(command) => command.run(),
        Command::Init(command) => command.run(),
        Command::Serve(command) => command.run(config),
        Command::Issue(command) => command.run(config),
        Command::Verify(command) => command.run(config),
        Command::Inspect(command) => command.run(),
        Command::Revoke(command) => command.run(config),
        Command::Reveal(command) => command.run(config),
        Command::Audit(command) => command.run(config),
        Command::Keys(command) => command.run(config),
        Command::Keyring(command) => command.run(config),
        Command::Doctor(command) => command.run(config),
        Command::Completions(command) => command.run(),
    }
}

/// The commands and their arguments, for tests that try them all.
#[doc(hidden)]
pub fn command() -> clap::Command {
    Arguments::command()
}

/// A deployment in `folder`, for tests; where its configuration is.
pub(crate) fn throw_away(folder: &std::path::Path) -> Result<PathBuf, Box<dyn std::error::Error>> {
    Ok(init::create(folder)?.config)
}

/// The same, and the first administrator's API key.
pub(crate) fn throw_away_with_administrator(
    folder: &std::path::Path,
) -> Result<(PathBuf, secrecy::SecretString), Box<dyn std::error::Error>> {
    let new = init::create(folder)?;
    Ok((new.config, new.admin_api_key))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        super::Arguments::command().debug_assert();
    }
}
