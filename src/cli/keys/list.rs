//! `bulla keys list`.

use std::process::ExitCode;

use bulla::Realm;
use clap::Args;
use serde_json::Value;

use crate::{
    api::{
        ledger::{ApiKeyPage, LedgerQuery},
        query::LONGEST_PAGE,
    },
    cli::{ConfigArgument, Failure, Outcome, client::ServerArgument, known_realm, output, parsers},
    clock,
};

#[derive(Args)]
pub(in crate::cli) struct List {
    /// Only keys of this realm
    #[arg(long)]
    realm: Option<Realm>,
    /// Only keys of this app, a UUID
    #[arg(long, value_name = "UUID", value_parser = parsers::app_id)]
    app: Option<uuid::Uuid>,
    /// Where to go on: the `next_cursor` of the page before
    #[arg(long)]
    cursor: Option<String>,
    /// At most so many, up to 1000
    #[arg(long, default_value_t = LONGEST_PAGE)]
    limit: u32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgument,
}

impl List {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let page = match self.server.admin()? {
            Some(server) => server.get(&format!("/v1/api-keys?{}", self.query()))?,
            None => {
                let wanted = LedgerQuery {
                    realm: self.realm,
                    app_id: self.app,
                    cursor: self.cursor.clone(),
                    limit: Some(self.limit),
                    without: None,
                };
                let deployment = config.open()?;
                let store = deployment.store()?;
                if let Some(realm) = self.realm.filter(|realm| !store.has_realm(*realm).unwrap_or(true)) {
                    known_realm(&deployment.config, realm, "and the ledger has no key of it")?;
                }
                let page = ApiKeyPage::read(&*store, &wanted, clock::now());
                let page = page.map_err(|error| Failure::Usage(error.to_string()))?;
                serde_json::to_value(page).map_err(std::io::Error::from)?
            }
        };
        if self.json {
            output::json(&page)?;
            return Ok(ExitCode::SUCCESS);
        }
        let keys = page.get("api_keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let rows: Vec<_> = keys.iter().map(row).collect();
        output::table(&["ID", "APP", "STATE", "ISSUED", "EXPIRES", "LAST USED", "NAME", "SCOPES"], &rows)?;
        if let Some(cursor) = page.get("next_cursor").and_then(Value::as_str) {
            output::line(format_args!("\nThere are more: --cursor {cursor}"))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", &self.limit.to_string());
        for (name, value) in [
            ("realm", self.realm.map(|realm| realm.to_string())),
            ("app_id", self.app.map(|app| app.to_string())),
            ("cursor", self.cursor.clone()),
        ] {
            if let Some(value) = value {
                query.append_pair(name, &value);
            }
        }
        query.finish()
    }
}

fn row(key: &Value) -> Vec<String> {
    let text = |name: &str| key.get(name).and_then(Value::as_str).map(str::to_owned);
    let scopes = key.get("scopes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    vec![
        output::or_dash(text("api_key_id")),
        output::or_dash(text("app_id")),
        output::or_dash(text("state")),
        output::or_dash(text("issued_at")),
        text("expires_at").unwrap_or_else(|| "never".to_owned()),
        text("last_used_at").unwrap_or_else(|| "never".to_owned()),
        output::or_dash(text("name")),
        scopes.collect::<Vec<_>>().join(" "),
    ]
}
