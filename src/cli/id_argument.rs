//! An API key that a command is about: its id, the whole key, or either on standard input.

use bulla::{ApiKey, ApiKeyId};
use clap::Args;
use zeroize::Zeroizing;

use super::{ConfigArgument, Failure, api_key_argument, client::ServerArgument, output};
use crate::{imported::ImportedKeys, server::read_imported};

#[derive(Args)]
pub(super) struct IdArgument {
    /// The API-key id, the public beginning of a key; or the whole API key; or `-` to read either from standard input: what
    /// stands on a command line shows in `ps`
    #[arg(value_name = "ID|KEY|-")]
    id: String,
}

impl IdArgument {
    /// The id that is meant.
    pub(super) fn read(&self, config: &ConfigArgument, server: &ServerArgument) -> Result<ApiKeyId, Failure> {
        find(&api_key_argument::read(&self.id)?, config, server)
    }

    /// What was given.
    pub(super) fn text(&self) -> std::io::Result<Zeroizing<String>> {
        api_key_argument::read(&self.id)
    }
}

/// The id that `text` means, from itself or from a whole key; where the store is at hand, from an imported one, too. What it
/// is instead is not told: it may be a key with a typing error.
pub(super) fn find(text: &str, config: &ConfigArgument, server: &ServerArgument) -> Result<ApiKeyId, Failure> {
    find_all(text, config, server)?.first().copied().ok_or_else(unknown)
}

/// All ids that `text` means: several where it is a key that was imported under several rules. There is one at least.
pub(super) fn find_all(text: &str, config: &ConfigArgument, server: &ServerArgument) -> Result<Vec<ApiKeyId>, Failure> {
    if let Ok(id) = text.parse::<ApiKey>().map(|key| key.id()).or_else(|_| text.parse::<ApiKeyId>()) {
        return Ok(vec![id]);
    }
    let mut ids = Vec::new();
    if !server.is_given() {
        let (known, deployment) = (ImportedKeys::default(), config.open()?);
        read_imported(&known, &*deployment.store()?, &deployment.config)?;
        for candidate in known.recognize(text) {
            match candidate.matches() {
                Ok(true) => ids.push(candidate.key().id),
                Ok(false) => {}
                Err(error) => output::note(&format!("{}: {error}", candidate.key().id)),
            }
        }
    }
    if ids.is_empty() { Err(unknown()) } else { Ok(ids) }
}

fn unknown() -> Failure {
    Failure::Usage("that is neither an API-key id (a realm, `_`, 22 characters) nor an API key".to_owned())
}
