//! `bulla audit`.

use std::process::ExitCode;

use clap::Args;

use super::{ConfigArgument, Outcome, backend, client::ServerArgument, output};
use crate::api::{
    audit::{AuditPage, AuditRecordView},
    query::LONGEST_PAGE,
};

/// Show who did what, oldest first
#[derive(Args)]
#[command(after_help = "Example:\n  bulla audit --jsonl > audit.jsonl       all of it, one record a line")]
pub(super) struct Audit {
    /// Only records after this number
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: u64,
    /// At most this number of records; the default is all
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Print one JSON object
    #[arg(long, conflicts_with = "jsonl")]
    json: bool,
    /// Print one JSON object per line, each with one record
    #[arg(long)]
    jsonl: bool,
    #[command(flatten)]
    server: ServerArgument,
}

impl Audit {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        output::can_print()?;
        let backend = backend::open(config, &self.server)?;
        let mut all = AuditPage { records: Vec::new(), next_after: Some(self.after) };
        let mut left = self.limit.unwrap_or(u64::MAX);
        while let Some(after) = all.next_after.filter(|_| left > 0) {
            let page = backend.audit(after, u32::try_from(left).unwrap_or(u32::MAX).min(LONGEST_PAGE))?;
            left = left.saturating_sub(page.records.len() as u64);
            all.next_after = page.next_after;
            if self.jsonl {
                page.records.iter().try_for_each(output::json)?;
            } else {
                all.records.extend(page.records);
            }
        }
        if self.json {
            output::json(&all)?;
        } else if !self.jsonl {
            let rows: Vec<_> = all.records.iter().map(row).collect();
            output::table(&["SEQ", "AT", "ACTOR", "FROM", "ACTION", "TARGET", "DETAIL"], &rows)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(record: &AuditRecordView) -> Vec<String> {
    vec![
        record.seq.to_string(),
        record.at.to_string(),
        record.actor.clone(),
        output::or_dash(record.address.as_ref()),
        record.action.clone(),
        output::or_dash(record.target.as_ref()),
        record.detail.to_string(),
    ]
}
