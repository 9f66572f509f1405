//! `bulla reveal`.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use secrecy::SecretString;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{ConfigArgument, Failure, Outcome, client::ServerArgument, id_argument::IdArgument, output};
use crate::{
    action::Actor,
    api::reveal::{Escrowed, Reveal as Action},
    clock,
    escrow::{Identity, IdentityError},
};

/// Longest file of identities or with a passphrase.
const LONGEST: u64 = 64 << 10;

/// Show an API key again that was issued into escrow
#[derive(Args)]
#[command(after_help = "\
The identity belongs on a machine of its own, not on the server: there the key is opened. The
server hands out what it cannot read, and notes that in its audit.

Examples:
  age-keygen | age -p -o escrow.age     an identity under a passphrase; prints the recipient
  bulla reveal ID --identity escrow.age --server http://127.0.0.1:8182")]
pub(super) struct Reveal {
    #[command(flatten)]
    key: IdArgument,
    /// The identity of the realm's escrow recipient: a file of age under a passphrase
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
    /// Take the passphrase from the first line of this file, or of standard input where it is `-`, and do not ask for it
    #[arg(long, value_name = "FILE | -")]
    passphrase_file: Option<PathBuf>,
    /// Why, for the audit
    #[arg(long)]
    reason: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgument,
}

#[derive(Serialize)]
struct Revealed<'a> {
    api_key: &'a str,
    api_key_id: &'a str,
    escrowed_at: jiff::Timestamp,
}

impl Reveal {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let id = self.key.read(config, &self.server)?;
        let of_identity = |error: &dyn std::fmt::Display| {
            Failure::Usage(format!("the identity {}: {error}", self.identity.display()))
        };
        let file = File::open(&self.identity).and_then(read).map_err(|error| of_identity(&error))?;
        // Before anything is handed out, which is on record as a reveal.
        let identity = Identity::unlock(&file, || self.passphrase()).map_err(|error| match error {
            IdentityError::NoPassphrase(_) => of_identity(&format!(
                "{error}; --passphrase-file FILE takes it from a file, or from standard input as `-`"
            )),
            error => of_identity(&error),
        })?;
        let why = Action { reason: self.reason.clone() };
        let escrowed: Escrowed = match self.server.admin()? {
            Some(server) => {
                let body = serde_json::to_value(&why).map_err(io::Error::from)?;
                let answer = server.post(&format!("/v1/api-keys/{id}/reveal"), &body)?;
                serde_json::from_value(answer).map_err(io::Error::from)?
            }
            None => why.apply(id, &*config.open()?.store()?, &Actor::command_line(), clock::now())?,
        };
        let opened = identity.open(id, &escrowed.recipient, &escrowed.ciphertext, escrowed.ending.as_deref());
        let key = opened.map_err(|error| Failure::Usage(error.to_string()))?;
        if self.json {
            output::json(&Revealed {
                api_key: key.expose(),
                api_key_id: &key.id().to_string(),
                escrowed_at: escrowed.escrowed_at,
            })?;
        } else {
            output::line(key.expose())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn passphrase(&self) -> io::Result<SecretString> {
        let Some(path) = &self.passphrase_file else {
            let prompt = format!("Passphrase of {}: ", self.identity.display());
            return rpassword::prompt_password(prompt).map(SecretString::from);
        };
        let bytes = if path == Path::new("-") { read(io::stdin().lock())? } else { read(File::open(path)?)? };
        let text = std::str::from_utf8(&bytes).map_err(|_| io::Error::other("it is no text"))?;
        Ok(SecretString::from(text.lines().next().unwrap_or_default()))
    }
}

/// All of it, if it is not longer than any right content.
fn read(input: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST as usize));
    input.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}
