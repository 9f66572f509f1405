//! What the running service says of itself: it may have another store open than the one that lies here.

use std::time::Duration;

use serde::Deserialize;
use ureq::{Agent, unversioned::resolver::DefaultResolver};

use super::Report;
use crate::{cli::unix_socket::UnixConnector, config::Listen, deployment::Deployment};

/// How long it may take to answer.
const LIMIT: Duration = Duration::from_secs(2);
/// More than its answer has.
const MAX_ANSWER: u64 = 64 * 1024;

#[derive(Deserialize)]
struct Ready {
    ready: bool,
    degraded: Vec<Failing>,
}

#[derive(Deserialize)]
struct Failing {
    what: String,
    since: String,
    detail: String,
}

/// Asks `/readyz` where the configuration has the data plane listen.
pub(super) fn check(deployment: &Deployment, report: &mut Report) {
    let data = &deployment.config.data;
    if data.tls.is_some() {
        return report.ok("service", "not asked over [data.tls]: look at its /readyz");
    }
    let Some(answer) = ask(&data.listen) else {
        return report.ok("service", format_args!("none answers at {}", data.listen));
    };
    let Ok(ready) = serde_json::from_str::<Ready>(&answer) else {
        return report.warning("service", format_args!("what answers at {} is not bulla", data.listen));
    };
    if !ready.ready {
        report.wrong("service", format_args!("the one at {} verifies no key just now", data.listen));
    }
    for Failing { what, since, detail } in &ready.degraded {
        let told = format_args!("the one at {} says of `{what}`, since {since}: {detail}", data.listen);
        // Nothing can be changed, or what others revoke is not seen.
        if matches!(what.as_str(), "store" | "revocations") {
            report.wrong("service", told);
        } else {
            report.warning("service", told);
        }
    }
    if ready.ready && ready.degraded.is_empty() {
        report.ok("service", format_args!("the one at {} finds nothing wrong", data.listen));
    }
}

/// The answer; none where nobody answers.
fn ask(listen: &Listen) -> Option<String> {
    // Another machine's proxy is none of this.
    let config = Agent::config_builder().proxy(None).timeout_global(Some(LIMIT)).http_status_as_error(false).build();
    let (agent, host) = match listen {
        Listen::None => return None,
        Listen::Tcp(address) => {
            let mut address = *address;
            if address.ip().is_unspecified() {
                let loopback =
                    if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
                address.set_ip(loopback);
            }
            (Agent::from(config), address.to_string())
        }
        Listen::Unix(path) => {
            let connector = UnixConnector(path.clone());
            (Agent::with_parts(config, connector, DefaultResolver::default()), "127.0.0.1".to_owned())
        }
    };
    let mut answer = agent.get(format!("http://{host}/readyz")).call().ok()?;
    answer.body_mut().with_config().limit(MAX_ANSWER).read_to_string().ok()
}
