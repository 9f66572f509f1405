//! `bulla keys list`.

use std::process::ExitCode;

use bulla::Realm;
use clap::Args;

use crate::{
    api::{
        ledger::{ApiKeyView, LedgerQuery},
        query::LONGEST_PAGE,
    },
    cli::{ConfigArgument, Outcome, common_args::CommonArgs, output, parsers},
};

#[derive(Args)]
#[command(after_help = "Example:\n  bulla keys list --realm live --app 3f2b8c1e-9a7d-4d52-8a55-0123456789ab")]
pub(in crate::cli) struct List {
    /// Only keys of this realm
    #[arg(long)]
    realm: Option<Realm>,
    /// Only keys of this app, a UUID
    #[arg(long, value_name = "UUID", value_parser = parsers::app_id)]
    app: Option<uuid::Uuid>,
    /// Continue after the page that ended with this `next_cursor`
    #[arg(long)]
    cursor: Option<String>,
    /// At most this number of keys, up to 1000
    #[arg(long, default_value_t = LONGEST_PAGE)]
    limit: u32,
    #[command(flatten)]
    common: CommonArgs,
}

impl List {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        output::can_print()?;
        let List { realm, app: app_id, cursor, limit, common } = self;
        let query = LedgerQuery { realm, app_id, cursor, limit: Some(limit), without: None };
        let page = common.open(config)?.list(&query)?;
        common.print(&page, |page| {
            let rows: Vec<_> = page.api_keys.iter().map(row).collect();
            output::table(&["ID", "APP", "STATE", "ISSUED", "EXPIRES", "LAST USED", "NAME", "SCOPES"], &rows)?;
            match &page.next_cursor {
                Some(cursor) => output::line(format_args!("\nThere are more: --cursor {cursor}")),
                None => Ok(()),
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

fn row(key: &ApiKeyView) -> Vec<String> {
    vec![
        key.api_key_id.clone(),
        key.app_id.to_string(),
        key.state.name().to_owned(),
        key.issued_at.to_string(),
        output::or_never(key.expires_at),
        output::or_never(key.last_used_at),
        output::or_dash(key.name.as_ref()),
        key.scopes.join(" "),
    ]
}
