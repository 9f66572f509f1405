//! The actions of administrators, by the command and over the admin plane. Each action is one transaction of the store
//! with its audit record: an action that cannot be recorded is not done.

pub(crate) mod audit;
pub(crate) mod export;
pub(crate) mod fleet;
mod gate;
pub(crate) mod idempotency;
pub(crate) mod import;
pub(crate) mod imported_sets;
pub(crate) mod issue;
pub(crate) mod keyring;
pub(crate) mod new_api_key;
mod policy;
pub(crate) mod replace;
pub(crate) mod reroll;
pub(crate) mod reroll_secret;
pub(crate) mod restore;
pub(crate) mod restore_end;
pub(crate) mod reveal;
pub(crate) mod revoke;
pub(crate) mod rotation;

use bulla::{ApiKeyId, IssueError, secret::SecretHashError};
use jiff::Timestamp;

pub(crate) use self::audit::Actor;
use crate::{escrow::RecipientError, input::text, store::StoreError};

/// An action was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActionError {
    /// The request is invalid: the caller must change it.
    #[error("{field}: {message}")]
    Invalid { field: String, message: String },
    /// The realm's policy does not allow it.
    #[error("{field}: {message}")]
    Policy { field: String, message: String },
    /// The idempotency key was used with another request before.
    #[error("this Idempotency-Key came with another request before: use a new one for each request")]
    KeyReused,
    /// The ledger has no such key.
    #[error("the ledger has no API key {0}")]
    Unknown(ApiKeyId),
    /// The key is not in the state that the action needs.
    #[error("{0}")]
    Conflict(String),
    /// A new key would be rejected by a rule whose time lies ahead of the clock.
    #[error(
        "a rule revokes what is issued before {rule}, and it is {now} here: a key of that time would be rejected everywhere. \
         Set the clock right. If the rule was made by a clock that was ahead: `bulla doctor` says what to do"
    )]
    RuleAhead { rule: Timestamp, now: Timestamp },
    /// The keyring or the generator.
    #[error(transparent)]
    Issue(IssueError),
    /// A secret half could not be hashed.
    #[error("the secret half cannot be hashed: {0}")]
    Secret(#[from] SecretHashError),
    /// A key could not be encrypted for its realm's escrow recipient.
    #[error(transparent)]
    Escrow(#[from] RecipientError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Unix seconds, as the library takes times.
fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_second()).unwrap_or(0)
}

/// Longest note for the record, in characters.
const MAX_NOTE: usize = 200;

/// Checks a note for the record.
fn check_note(field: &str, note: &str) -> Result<(), ActionError> {
    if note.chars().count() > MAX_NOTE {
        return Err(invalid(field, format!("it must have at most {MAX_NOTE} characters in one line")));
    }
    check_text(field, note)
}

/// Refuses a text for record or output that has more than one line, or holds an API key or nearly one.
fn check_text(field: &str, text: &str) -> Result<(), ActionError> {
    text::check_for_record(text).map_err(|error| invalid(field, error))
}

fn invalid(field: impl Into<String>, message: impl ToString) -> ActionError {
    ActionError::Invalid { field: field.into(), message: message.to_string() }
}

impl ActionError {
    /// The error of one key of several in a request.
    fn at(self, at: usize) -> Self {
        match self {
            ActionError::Invalid { field, message } => invalid(format!("api_keys[{at}].{field}"), message),
            ActionError::Policy { field, message } => {
                ActionError::Policy { field: format!("api_keys[{at}].{field}"), message }
            }
            other => other,
        }
    }
}
