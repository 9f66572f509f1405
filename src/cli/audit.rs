//! `bulla audit`.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{ConfigArgument, Outcome, client::ServerArgument, output};
use crate::api::{audit::AuditPage, query::LONGEST_PAGE};

/// Show who did what, oldest first.
#[derive(Args)]
#[command(after_help = "Example:\n  bulla audit --jsonl > audit.jsonl       all of it, one record a line")]
pub(super) struct Audit {
    /// Only records behind this number
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: u64,
    /// At most so many; all, if not said
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Print one JSON object
    #[arg(long, conflicts_with = "jsonl")]
    json: bool,
    /// Print one JSON object a line, a record each
    #[arg(long)]
    jsonl: bool,
    #[command(flatten)]
    server: ServerArgument,
}

impl Audit {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let client = self.server.admin()?;
        let store = if client.is_none() { Some(config.open()?.store()?) } else { None };
        let page = |after: u64, limit: u32| -> Result<Value, super::Failure> {
            Ok(match (&client, &store) {
                (Some(client), _) => client.get(&format!("/v1/audit?after={after}&limit={limit}"))?,
                (None, Some(store)) => {
                    serde_json::to_value(AuditPage::read(&**store, after, limit)?).map_err(std::io::Error::from)?
                }
                (None, None) => Value::Null,
            })
        };
        let (mut left, mut after, mut records) = (self.limit.unwrap_or(u64::MAX), Some(self.after), Vec::new());
        while let Some(from) = after.filter(|_| left > 0) {
            let limit = u32::try_from(left).map_or(LONGEST_PAGE, |left| left.min(LONGEST_PAGE));
            let mut read = page(from, limit)?;
            let found = read.get_mut("records").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
            left -= (found.len() as u64).min(left);
            after = read.get("next_after").and_then(Value::as_u64);
            if self.jsonl {
                found.iter().try_for_each(output::json)?;
            } else {
                records.extend(found);
            }
        }
        if self.json {
            output::json(&json!({"records": records, "next_after": after}))?;
        } else if !self.jsonl {
            let rows: Vec<_> = records.iter().map(row).collect();
            output::table(&["SEQ", "AT", "ACTOR", "FROM", "ACTION", "TARGET", "DETAIL"], &rows)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(record: &Value) -> Vec<String> {
    let text = |name: &str| {
        record.get(name).filter(|value| !value.is_null()).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    };
    ["seq", "at", "actor", "address", "action", "target", "detail"].map(|name| output::or_dash(text(name))).to_vec()
}
