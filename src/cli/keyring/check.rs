//! `bulla keyring check`.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::{ConfigArgument, Outcome};
use crate::cli::output;

#[derive(Args)]
pub(in crate::cli) struct Check {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Checked {
    ok: bool,
    served: Vec<Served>,
}

#[derive(Serialize)]
struct Served {
    version: u32,
    source: String,
    failed: Vec<String>,
}

impl Check {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let deployment = config.open()?;
        let (_, keyring) = deployment.keyring(&*deployment.store()?)?;
        let served = keyring.source_reports().iter().map(|served| Served {
            version: served.version.number(),
            source: served.source.to_string(),
            failed: served.failed.iter().map(ToString::to_string).collect(),
        });
        let checked = Checked { ok: true, served: served.collect() };
        if self.json {
            output::json(&checked)?;
        } else {
            let row =
                |served: &Served| vec![served.version.to_string(), served.source.clone(), served.failed.join("; ")];
            let rows: Vec<_> = checked.served.iter().map(row).collect();
            output::table(&["VERSION", "SERVED BY", "FAILED BEFORE"], &rows)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
