//! The API key that a command is about: its id, the whole key, or either on standard input.

use bulla::ApiKeyId;
use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use super::{
    Failure, api_key_argument,
    backend::{Backend, Found},
};

#[derive(Args)]
pub(super) struct IdArgument {
    /// The API-key id (the public beginning of a key), the whole API key, or `-` to read either from standard input;
    /// `ps` shows what is on a command line
    #[arg(value_name = "ID|KEY|-")]
    id: String,
}

impl IdArgument {
    /// All keys that the text is, at least one.
    pub(super) fn read_all(&self, backend: &dyn Backend) -> Result<Found, Failure> {
        backend.ids_of(self.text()?.expose_secret())
    }

    /// The id of a key that has only one.
    pub(super) fn read(&self, backend: &dyn Backend) -> Result<ApiKeyId, Failure> {
        backend.id_of(self.text()?.expose_secret())
    }

    /// The text that was given.
    pub(super) fn text(&self) -> std::io::Result<SecretString> {
        read(&self.id)
    }
}

/// An id or a key: the argument, or standard input if the argument is `-`.
pub(super) fn read(argument: &str) -> std::io::Result<SecretString> {
    api_key_argument::read(argument, "the API key or its id")
}
