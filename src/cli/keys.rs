//! `bulla keys`: the API keys on record.

use std::process::ExitCode;

use bulla::{ApiKeyId, Realm};
use clap::{Args, Subcommand};

use super::{ConfigArgument, Failure, Outcome, output};
use crate::view::ledger::{ApiKeyView, LONGEST_PAGE, Page, Wanted};

#[derive(Subcommand)]
pub(super) enum Keys {
    /// List the API keys on record, oldest first
    List(List),
    /// Show one API key on record
    Show(Show),
}

#[derive(Args)]
pub(super) struct List {
    /// Only keys of this realm
    #[arg(long)]
    realm: Option<Realm>,
    /// Only keys of this app, a UUID
    #[arg(long, value_name = "UUID")]
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
}

#[derive(Args)]
pub(super) struct Show {
    /// The API-key id, the public beginning of a key
    id: ApiKeyId,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Keys {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        match self {
            Keys::List(command) => command.run(config),
            Keys::Show(command) => command.run(config),
        }
    }
}

impl List {
    fn run(self, config: &ConfigArgument) -> Outcome {
        let wanted = Wanted { realm: self.realm, app_id: self.app, cursor: self.cursor, limit: Some(self.limit) };
        let page = Page::read(&*config.open()?.store()?, &wanted).map_err(|error| Failure::Usage(error.to_string()))?;
        if self.json {
            output::json(&page)?;
            return Ok(ExitCode::SUCCESS);
        }
        let rows: Vec<_> = page.api_keys.iter().map(row).collect();
        output::table(&["ID", "APP", "ISSUED", "EXPIRES", "NAME", "SCOPES"], &rows)?;
        if let Some(cursor) = page.next_cursor {
            output::line(format_args!("\nThere are more: --cursor {cursor}"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(key: &ApiKeyView) -> Vec<String> {
    vec![
        key.api_key_id.clone(),
        key.app_id.to_string(),
        key.issued_at.to_string(),
        key.expires_at.map_or("never".to_owned(), |time| time.to_string()),
        output::or_dash(key.name.as_ref()),
        key.scopes.join(" "),
    ]
}

impl Show {
    fn run(self, config: &ConfigArgument) -> Outcome {
        let row = config.open()?.store()?.find(&self.id)?;
        let row = row.ok_or_else(|| Failure::Usage(format!("the ledger has no API key {}", self.id)))?;
        let key = ApiKeyView::new(row);
        if self.json {
            output::json(&key)?;
            return Ok(ExitCode::SUCCESS);
        }
        output::fields(&[
            ("id", key.api_key_id),
            ("app", key.app_id.to_string()),
            ("key version", key.version.to_string()),
            ("name", key.name.unwrap_or_default()),
            ("issued", key.issued_at.to_string()),
            ("issued by", key.issued_by),
            ("expires", key.expires_at.map_or("never".to_owned(), |time| time.to_string())),
            ("scopes", key.scopes.join(" ")),
        ])?;
        Ok(ExitCode::SUCCESS)
    }
}
