//! `bulla issue`.

use std::{collections::BTreeMap, process::ExitCode};

use bulla::{Issuer, Realm};
use clap::Args;
use serde_json::{Value, json};

use super::{
    ConfigArgument, Failure, Outcome,
    client::{ClientError, ServerArgument},
    output, parsers, unseen,
};
use crate::{
    action::{Actor, issue::Issuing},
    api::issue::{NewApiKey, OneOrMany},
    clock,
};

/// Issue an API key. It is shown this once.
#[derive(Args)]
#[command(
    after_help = "Example:\n  bulla issue --realm live --app 3f2b8c1e-9a7d-4d52-8a55-0123456789ab --ttl 90d --scope orders.read"
)]
pub(super) struct Issue {
    /// The realm that issues it
    #[arg(long)]
    realm: Realm,
    /// The app it belongs to, a UUID
    #[arg(long, value_name = "UUID", value_parser = parsers::app_id)]
    app: uuid::Uuid,
    /// How long it lives, such as 90d, 12h or 15m, or `never` for no expiry; if not said, as the realm has it
    #[arg(long, value_name = "DURATION", conflicts_with = "expires_at")]
    ttl: Option<String>,
    /// When it expires, an RFC 3339 time
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// A note for the ledger
    #[arg(long)]
    name: Option<String>,
    /// A scope it grants; give it once for each
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// An audience it is for; give it once for each
    #[arg(long, value_name = "AUDIENCE")]
    audience: Vec<String>,
    /// An address block it may be used from, such as 10.0.0.0/8; give it once for each
    #[arg(long, value_name = "BLOCK")]
    cidr: Vec<String>,
    /// A note inside the key; give it once for each
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    meta: Vec<(String, String)>,
    /// With a secret half: 32 random bytes more, of which only a hash is stored
    #[arg(long)]
    secret: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgument,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Issue {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        output::can_show()?;
        let issued = self.issue(config).map_err(in_options)?;
        let shown = if self.json { output::json(&issued) } else { print(&issued) };
        match shown {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) => Err(unseen::revoke(config, &self.server, &output::text(&issued, "api_key_id"), &error)),
        }
    }

    fn issue(&self, config: &ConfigArgument) -> Result<Value, Failure> {
        Ok(match self.server.admin()? {
            Some(server) => server.post("/v1/api-keys", &self.body()?)?,
            None => {
                let deployment = config.open()?;
                let store = deployment.store()?;
                let (document, keyring) = deployment.keyring(&*store)?;
                let peppers = deployment.peppers(&document)?;
                let (issuer, actor) = (Issuer::new(&keyring), Actor::command_line());
                let issuing = Issuing {
                    issuer: &issuer,
                    store: &*store,
                    config: &deployment.config,
                    peppers: peppers.as_ref(),
                    actor: &actor,
                    now: clock::now(),
                };
                let issued = issuing.one(self.request()?)?;
                serde_json::to_value(&issued).map_err(std::io::Error::from)?
            }
        })
    }

    fn meta(&self) -> Result<BTreeMap<String, String>, Failure> {
        let meta: BTreeMap<String, String> = self.meta.iter().cloned().collect();
        if meta.len() == self.meta.len() {
            return Ok(meta);
        }
        Err(Failure::Usage("--meta names one thing twice: give each name once".to_owned()))
    }

    fn request(&self) -> Result<NewApiKey, Failure> {
        Ok(NewApiKey {
            name: self.name.clone(),
            expires_in: self.ttl.clone(),
            expires_at: self.expires_at.clone(),
            scopes: self.scope.clone(),
            audience: OneOrMany::Many(self.audience.clone()),
            cidr: self.cidr.clone(),
            meta: self.meta()?,
            secret: self.secret,
            ..NewApiKey::plain(self.realm, self.app)
        })
    }

    fn body(&self) -> Result<Value, Failure> {
        let meta = self.meta()?;
        Ok(json!({
            "realm": self.realm.as_str(), "app_id": self.app, "name": self.name, "expires_in": self.ttl,
            "expires_at": self.expires_at, "scopes": self.scope, "audience": self.audience, "cidr": self.cidr,
            "meta": meta, "secret": self.secret,
        }))
    }
}

/// The failure with the names of options in the place of fields.
pub(super) fn in_options(failure: Failure) -> Failure {
    let option = |field: &str| match field {
        "expires_in" => Some("--ttl"),
        "expires_at" => Some("--expires-at"),
        "app_id" => Some("--app"),
        "scopes" => Some("--scope"),
        _ => None,
    };
    let renamed = |told: &str| {
        let (field, message) = told.split_once(": ")?;
        Some(format!("{}: {message}", option(field)?))
    };
    match failure {
        Failure::Action(ref error) => renamed(&error.to_string()).map_or(failure, Failure::Usage),
        Failure::Client(ClientError::Refused { url, status, detail }) => {
            let detail = renamed(&detail).unwrap_or(detail);
            Failure::Client(ClientError::Refused { url, status, detail })
        }
        other => other,
    }
}

fn print(issued: &Value) -> std::io::Result<()> {
    let text =
        |name: &str| issued.get(name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let list = issued
        .get("scopes")
        .and_then(Value::as_array)
        .map(|scopes| scopes.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "));
    output::fields(&[
        ("API key", text("api_key").unwrap_or_default()),
        ("id", text("api_key_id").unwrap_or_default()),
        ("app", text("app_id").unwrap_or_default()),
        ("key version", text("version").unwrap_or_default()),
        ("issued", text("issued_at").unwrap_or_default()),
        ("expires", text("expires_at").filter(|time| time != "null").unwrap_or_else(|| "never".to_owned())),
        ("scopes", list.unwrap_or_default()),
    ])?;
    output::line("\nThe API key is shown this once: hand it to its owner now.")
}
