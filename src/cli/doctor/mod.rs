//! `bulla doctor`: checks everything that a deployment needs, and says how to fix what is wrong.

mod edge;
mod files;
mod fleet;
mod keys;
mod report;
mod service;
mod store;

use std::{path::Path, process::ExitCode};

use clap::Args;
use serde::Serialize;

use self::report::{Finding, Report, Status};
use super::{
    ConfigArgument, Failure, Outcome,
    output::{self, ERROR, SUCCESS, WARNING},
};
use crate::{clock, deployment::Deployment};

/// Check configuration, keyring, store, certificates and clock; say what to fix
///
/// Exits with 0 if nothing is wrong, with 1 if something is.
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
                    Status::Ok => (SUCCESS, "ok"),
                    Status::Warning => (WARNING, "warning"),
                    Status::Wrong => (ERROR, "wrong"),
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
        Err(error) => {
            let failure = Failure::Deployment(error);
            let hint = failure.hint().map_or_else(String::new, |hint| format!("; {hint}"));
            return report.wrong("config", format!("{failure}{hint}"));
        }
    };
    report.ok("config", config.display());
    if deployment.config.verify.default_realms.is_empty() && !deployment.config.is_relay() {
        report.warning("config", "verify.default_realms is empty: a request that names no realm is rejected");
    }
    let now = clock::now();
    if let Some(follow) = deployment.config.follow.clone() {
        edge::check(&deployment.config, &follow, now, report);
        check_assertions(&deployment, report);
        service::check(&deployment, Some(follow.keyring_id), report);
        files::check_certificates(&deployment, now, report);
        return files::check_modes(config, &deployment, report);
    }
    let keyring = store::check(&deployment, report).and_then(|store| {
        let keyring = keys::check(&deployment, &*store, now, report);
        fleet::check(&deployment, &*store, now, report);
        keyring
    });
    match deployment.feed_key() {
        Ok(Some(key)) => report.ok("feed", format_args!("signed by {}", key.verifying_key())),
        Ok(None) => report.ok("feed", "off: feed.signing_key is not set"),
        Err(error) => report.wrong("feed", error),
    }
    check_assertions(&deployment, report);
    service::check(&deployment, keyring, report);
    files::check_certificates(&deployment, now, report);
    files::check_mounts(&deployment, report);
    files::check_modes(config, &deployment, report);
}

fn check_assertions(deployment: &Deployment, report: &mut Report) {
    match deployment.assertions() {
        Ok(Some(assertions)) => {
            let ids: Vec<&str> = assertions.key_ids().collect();
            report.ok("assertion", format_args!("signed by the first of {}", ids.join(", ")));
        }
        Ok(None) => report.ok("assertion", "off: assertion.signing_keys is empty"),
        Err(error) => report.wrong("assertion", error),
    }
}
