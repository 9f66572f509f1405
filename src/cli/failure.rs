//! How a command fails, and what the user can type next. The domain and the library know neither commands nor options.

use bulla::{
    IssueError,
    keyring::{KeyringError, VersionState},
    source::SourceErrorKind,
};

use super::client::{ClientError, Plane};
use crate::{
    action::ActionError,
    config::ConfigError,
    deployment::DeploymentError,
    publication::{PlaceError, PublishError},
    server::{StartError, edge::EdgeError},
    store::StoreError,
};

/// The exit code of wrong arguments.
pub(super) const WRONG_ARGUMENTS: u8 = 64;

/// An error that ends a command.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Action(#[from] ActionError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The arguments are wrong, each or together.
    #[error("{0}")]
    Usage(String),
    /// The command could not be done, or not to its end.
    #[error("{0}")]
    Undone(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Deployment(error.into())
    }
}

impl From<KeyringError> for Failure {
    fn from(error: KeyringError) -> Self {
        Failure::Deployment(error.into())
    }
}

impl Failure {
    /// The exit code: wrong arguments have one of their own (EX_USAGE of sysexits.h).
    pub(super) fn exit_code(&self) -> u8 {
        if matches!(self, Failure::Usage(_)) { WRONG_ARGUMENTS } else { 2 }
    }

    /// A closed pipe (`bulla … | head`) is not an error to report.
    pub(super) fn is_closed_pipe(&self) -> bool {
        matches!(self, Failure::Io(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// The message, with options instead of the fields of a request.
    pub(super) fn message(&self) -> String {
        let (before, told) = match self {
            Failure::Client(ClientError::Refused { url, status, problem, .. }) => {
                (format!("{url} answered {status}: "), problem.detail.clone())
            }
            Failure::Action(error) => (String::new(), error.to_string()),
            other => return other.to_string(),
        };
        let told = with_option(&told).unwrap_or(told);
        before + &told
    }

    /// What to type next, where a command or an option helps.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Failure::Client(error) => of_client(error).map(str::to_owned),
            Failure::Deployment(error) => of_deployment(error),
            Failure::Action(error) => of_action(error),
            Failure::Start(StartError::Deployment(error)) => of_deployment(error),
            Failure::Start(StartError::Edge(error)) => of_edge(error),
            _ => None,
        }
    }
}

/// A message about a field, as one about the option that sets the field.
fn with_option(message: &str) -> Option<String> {
    let (field, rest) = message.split_once(": ")?;
    let option = match field {
        "app_id" => "--app",
        "audience" => "--audience",
        "cidr" => "--cidr",
        "expires_at" => "--expires-at",
        "expires_in" => "--ttl",
        "grace" => "--grace",
        "issued_before" => "--issued-before",
        "realm" => "--realm",
        "reason" => "--reason",
        "scopes" => "--scope",
        "secret" => "--secret",
        _ => return None,
    };
    Some(format!("{option}: {rest}"))
}

fn of_client(error: &ClientError) -> Option<&'static str> {
    let ClientError::Refused { status, plane, problem, .. } = error else { return None };
    match (status, plane) {
        (404, Plane::Admin) if problem.r#type == "urn:bulla:problem:not-found" => {
            Some("this command asks the admin plane: is that the data plane?")
        }
        (401, Plane::Data) => Some("this command asks the data plane: is that the admin plane?"),
        _ => None,
    }
}

fn of_deployment(error: &DeploymentError) -> Option<String> {
    let hint = match error {
        DeploymentError::Config(ConfigError::Read { .. }) => {
            "`bulla init` creates a deployment; --config or BULLA_CONFIG names the configuration of another one"
        }
        DeploymentError::Follows => "--server asks a node, where the command has it",
        DeploymentError::KeyringRead { .. } => {
            "only a new deployment creates its keyring: with `bulla init`, or with `bulla keyring init` for a configuration of \
             your own"
        }
        DeploymentError::KeyringKnown { .. } => "--force creates another keyring nevertheless",
        DeploymentError::NotEverywhere { .. } | DeploymentError::StagedAhead { .. } => {
            "--force activates the version nevertheless"
        }
        DeploymentError::Keyring(error) => return of_keyring(error),
        _ => return None,
    };
    Some(hint.to_owned())
}

fn of_edge(error: &EdgeError) -> Option<String> {
    match error {
        EdgeError::NoSource => Some("--follow names the sources in place of the configuration".to_owned()),
        EdgeError::NoExport { realm, recipient, .. } => Some(format!(
            "`bulla keyring export --realm {realm} --to {recipient} --out {realm}.export` makes the export"
        )),
        EdgeError::Parts(error) => of_deployment(error),
        _ => None,
    }
}

fn of_keyring(error: &KeyringError) -> Option<String> {
    Some(match error {
        KeyringError::IllegalMove { version, state: VersionState::Deactivated, asked: "activated", .. } => {
            format!("`bulla keyring activate {version} --rollback` goes back to version {version}")
        }
        KeyringError::Unknown(_) | KeyringError::SourceUnknown { .. } => {
            "`bulla keyring show` lists the versions and their sources".to_owned()
        }
        KeyringError::Source { error, .. } if error.kind() == SourceErrorKind::Untrusted => {
            "`keyring.trusted_sources` in the configuration lists the sources that a keyring may name".to_owned()
        }
        KeyringError::MasterAsPepper { version, .. } => {
            format!("`bulla keyring destroy {version}` removes a version under which nothing was issued")
        }
        KeyringError::MacWrong => "only `bulla keyring` may change the keyring".to_owned(),
        _ => return None,
    })
}

fn of_action(error: &ActionError) -> Option<String> {
    let hint = match error {
        ActionError::Issue(IssueError::NoActiveVersion) => {
            "`bulla keyring stage` adds a version, `bulla keyring activate` activates it"
        }
        ActionError::Issue(IssueError::SealUntil) => "`bulla keyring limit` shows and sets the limits of a version",
        ActionError::RuleAhead { .. } => "`bulla doctor` shows the rule and how to remove it",
        ActionError::Unknown(_) => "`bulla keys list` lists the API keys on record",
        _ => return None,
    };
    Some(hint.to_owned())
}
