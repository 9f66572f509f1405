//! `bulla doctor`: looks at everything a deployment stands on, and says what to do about what is wrong.

mod files;
mod keys;
mod report;
mod service;
mod store;

use std::{path::Path, process::ExitCode};

use clap::Args;
use serde::Serialize;

use self::report::{Finding, Report, Status};
use super::{
    ConfigArgument, Outcome,
    output::{self, BAD, CARE, GOOD},
};
use crate::{clock, deployment::Deployment};

/// Check config, keyring, sources, store, certificates, clock and file modes, and say what to do. Exit 0 when nothing is wrong.
#[derive(Args)]
pub(super) struct Doctor {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Findings {
    ok: bool,
    findings: Vec<Finding>,
}

impl Doctor {
    pub(super) fn run(self, config: &ConfigArgument) -> Outcome {
        let mut report = Report::default();
        examine(&config.config, &mut report);
        let all = Findings { ok: report.is_well(), findings: report.0 };
        if self.json {
            output::json(&all)?;
        } else {
            for finding in &all.findings {
                let (style, word) = match finding.status {
                    Status::Ok => (GOOD, "ok"),
                    Status::Warning => (CARE, "warning"),
                    Status::Wrong => (BAD, "wrong"),
                };
                output::line(format_args!("{style}{word:8}{style:#} {:12} {}", finding.check, finding.message))?;
            }
        }
        Ok(ExitCode::from(u8::from(!all.ok)))
    }
}

fn examine(config: &Path, report: &mut Report) {
    let deployment = match Deployment::open(config) {
        Ok(deployment) => deployment,
        Err(error) => return report.wrong("config", error),
    };
    report.ok("config", config.display());
    if deployment.config.verify.default_realms.is_empty() {
        report.warning("config", "verify.default_realms is empty: requests that name no realm are rejected");
    }
    let now = clock::now();
    if let Some(store) = store::check(&deployment, report) {
        keys::check(&deployment, &*store, now, report);
    }
    match deployment.feed_key() {
        Ok(Some(key)) => report.ok("feed", format_args!("signed by {}", key.verifying_key())),
        Ok(None) => report.ok("feed", "none: feed.signing_key is not set"),
        Err(error) => report.wrong("feed", error),
    }
    match deployment.assertions() {
        Ok(Some(assertions)) => {
            let ids: Vec<&str> = assertions.key_ids().collect();
            report.ok("assertion", format_args!("signed by the first of {}", ids.join(", ")));
        }
        Ok(None) => report.ok("assertion", "none: assertion.signing_keys is empty"),
        Err(error) => report.wrong("assertion", error),
    }
    service::check(&deployment, report);
    files::check_certificates(&deployment, now, report);
    files::check_mounts(&deployment, report);
    files::check_modes(&deployment, report);
}
