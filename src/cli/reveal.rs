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

use super::{
    ConfigArgument, Failure, Outcome, common_args::CommonArgs, id_argument::IdArgument, output, standard_input,
};
use crate::{
    api,
    escrow::{Identity, IdentityError},
};

/// Longest file with identities or a passphrase, in bytes.
const MAX_FILE: u64 = 64 << 10;

/// Show an API key again that was issued into escrow
#[derive(Args)]
#[command(after_help = "\
This command decrypts the key on the machine where it runs. Keep the identity there, and not on the
server: the server hands out only what it cannot read, and records that in its audit.

Examples:
  age-keygen | age -p -o escrow.age     create an identity under a passphrase, print its recipient
  bulla reveal ID --identity escrow.age --server http://127.0.0.1:8182")]
pub(super) struct Reveal {
    #[command(flatten)]
    key: IdArgument,
    /// The identity of the realm's escrow recipient: an age file, encrypted with a passphrase
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
    /// Read the passphrase from the first line of this file, or of standard input (`-`), instead of asking for it
    #[arg(long, value_name = "FILE | -")]
    passphrase_file: Option<PathBuf>,
    /// The reason, for the audit: one line of up to 200 characters
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Serialize)]
struct Revealed<'a> {
    api_key: &'a str,
    api_key_id: &'a str,
    escrowed_at: jiff::Timestamp,
}

impl Reveal {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        output::can_print()?;
        let backend = self.common.open(config)?;
        let id = self.key.read(&*backend)?;
        let of_identity = |error: &dyn std::fmt::Display| {
            Failure::Undone(format!("the identity {}: {error}", self.identity.display()))
        };
        let file = File::open(&self.identity).and_then(read).map_err(|error| of_identity(&error))?;
        // Unlock first: the backend records each reveal, also one whose identity turns out to be locked.
        let identity = Identity::unlock(&file, || self.passphrase()).map_err(|error| match error {
            IdentityError::NoPassphrase(_) => of_identity(&format!(
                "{error}; --passphrase-file FILE reads it from a file, or from standard input (`-`)"
            )),
            error => of_identity(&error),
        })?;
        let escrowed = backend.reveal(id, &api::reveal::Reveal { reason: self.reason.clone() })?;
        let opened = identity.open(id, &escrowed.recipient, &escrowed.ciphertext, escrowed.ending.as_deref());
        let key = opened.map_err(|error| Failure::Undone(error.to_string()))?;
        let revealed =
            Revealed { api_key: key.expose(), api_key_id: &key.id().to_string(), escrowed_at: escrowed.escrowed_at };
        self.common.print(&revealed, |revealed| output::line(revealed.api_key))?;
        Ok(ExitCode::SUCCESS)
    }

    fn passphrase(&self) -> io::Result<SecretString> {
        let Some(path) = &self.passphrase_file else {
            let prompt = format!("Passphrase of {}: ", self.identity.display());
            return rpassword::prompt_password(prompt).map(SecretString::from);
        };
        let bytes = match path == Path::new("-") {
            true => standard_input::secret("the passphrase", MAX_FILE)?,
            false => read(File::open(path)?)?,
        };
        let text = std::str::from_utf8(&bytes).map_err(|_| io::Error::other("it is not UTF-8"))?;
        Ok(SecretString::from(text.lines().next().unwrap_or_default()))
    }
}

/// Reads up to the limit.
fn read(input: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize));
    input.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}
