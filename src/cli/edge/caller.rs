//! `bulla edge caller`.

use std::{io, process::ExitCode};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use clap::Args;
use rand::{TryRng, rngs::SysRng};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::Outcome;
use crate::cli::output;

#[derive(Args)]
#[command(after_help = "The token is shown only once. The edge's configuration holds its SHA-256 alone.")]
pub(in crate::cli) struct Caller {
    /// The caller's name, for logs
    name: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Made {
    #[serde(serialize_with = "exposed")]
    token: SecretString,
    line: String,
}

impl Caller {
    pub(super) fn run(self) -> Outcome {
        output::can_show()?;
        let mut random = Zeroizing::new([0; 32]);
        SysRng.try_fill_bytes(random.as_mut_slice()).map_err(io::Error::other)?;
        let mut text = Zeroizing::new(String::with_capacity(64));
        text.push_str("caller-");
        BASE64URL.encode_string(random.as_slice(), &mut text);
        let token = SecretString::from(text.as_str());
        let hash = hex::encode(Sha256::digest(text.as_bytes()));
        let made = Made { line: format!("{:?} = \"sha256:{hash}\"", self.name), token };
        if self.json {
            output::json(&made)?;
        } else {
            output::fields(&[("token", made.token.expose_secret())])?;
            output::line("\nThe entry of the table [follow.callers] in bulla.toml:")?;
            output::line(&made.line)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn exposed<S: Serializer>(token: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose_secret())
}
