//! `bulla issue`.

use std::{collections::BTreeMap, io, process::ExitCode};

use bulla::Realm;
use clap::Args;

use super::{ConfigArgument, Failure, Outcome, common_args::CommonArgs, output, parsers, undelivered};
use crate::api::issue::{IssuedApiKey, NewApiKey, OneOrMany};

/// Issue an API key and show it once
#[derive(Args)]
#[command(
    after_help = "Example:\n  bulla issue --realm live --app 3f2b8c1e-9a7d-4d52-8a55-0123456789ab --ttl 90d --scope orders.read"
)]
pub(super) struct Issue {
    /// The realm of the key
    #[arg(long)]
    realm: Realm,
    /// The app that the key belongs to, a UUID
    #[arg(long, value_name = "UUID", value_parser = parsers::app_id)]
    app: uuid::Uuid,
    /// Lifetime, such as 90d, 12h or 15m, or `never`; the default is the realm's
    #[arg(long, value_name = "DURATION", conflicts_with = "expires_at")]
    ttl: Option<String>,
    /// Expiry, an RFC 3339 time
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// A name for the ledger
    #[arg(long)]
    name: Option<String>,
    /// A scope that the key grants (repeatable)
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// An audience that the key is for (repeatable)
    #[arg(long, value_name = "AUDIENCE")]
    audience: Vec<String>,
    /// An address block that the key may be used from, such as 10.0.0.0/8 (repeatable)
    #[arg(long, value_name = "BLOCK")]
    cidr: Vec<String>,
    /// A note inside the key, which every verifier reads (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    meta: Vec<(String, String)>,
    /// Add a secret half: 32 more random bytes, of which only a hash is stored
    #[arg(long)]
    secret: bool,
    #[command(flatten)]
    common: CommonArgs,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Issue {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        output::can_show()?;
        let backend = self.common.open(config)?;
        let issued = backend.issue(self.new_api_key()?)?;
        match self.common.print(&issued, print) {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) => Err(undelivered::revoke(&*backend, &issued.api_key_id, &error)),
        }
    }

    fn new_api_key(&self) -> Result<NewApiKey, Failure> {
        let meta: BTreeMap<String, String> = self.meta.iter().cloned().collect();
        if meta.len() != self.meta.len() {
            return Err(Failure::Usage("--meta has the same name twice: give each name once".to_owned()));
        }
        Ok(NewApiKey {
            name: self.name.clone(),
            expires_in: self.ttl.clone(),
            expires_at: self.expires_at.clone(),
            scopes: self.scope.clone(),
            audience: OneOrMany::Many(self.audience.clone()),
            cidr: self.cidr.clone(),
            meta,
            secret: self.secret,
            ..NewApiKey::plain(self.realm, self.app)
        })
    }
}

fn print(issued: &IssuedApiKey) -> io::Result<()> {
    output::fields(&[
        ("API key", issued.api_key.expose().to_owned()),
        ("id", issued.api_key_id.clone()),
        ("app", issued.app_id.to_string()),
        ("key version", issued.version.to_string()),
        ("issued", issued.issued_at.to_string()),
        ("expires", output::or_never(issued.expires_at)),
        ("scopes", issued.scopes.join(" ")),
    ])?;
    output::line("\nThe API key is shown only once: give it to its owner now.")
}
