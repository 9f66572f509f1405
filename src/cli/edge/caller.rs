//! `bulla edge caller`.

use std::{io, process::ExitCode};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use clap::Args;
use rand::{TryRng, rngs::SysRng};
use serde::Serialize;
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
    token: String,
    line: String,
}

impl Caller {
    pub(super) fn run(self) -> Outcome {
        output::can_show()?;
        let mut random = Zeroizing::new([0; 32]);
        SysRng.try_fill_bytes(random.as_mut_slice()).map_err(io::Error::other)?;
        let token = format!("caller-{}", BASE64URL.encode(random.as_slice()));
        let hash = hex::encode(Sha256::digest(&token));
        let made = Made { line: format!("{:?} = \"sha256:{hash}\"", self.name), token };
        if self.json {
            output::json(&made)?;
        } else {
            output::fields(&[("token", made.token.clone()), ("[follow.callers]", made.line.clone())])?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
