//! The health of the running service, which may have another store open than the one here.

use std::time::Duration;

use serde::Deserialize;
use ureq::{Agent, unversioned::resolver::DefaultResolver};

use super::Report;
use crate::{cli::unix_socket::UnixConnector, config::Listen, deployment::Deployment};

/// Timeout of the request.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Longer than any answer, in bytes.
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

/// Asks `/readyz` at the address that the configuration gives the data plane.
pub(super) fn check(deployment: &Deployment, report: &mut Report) {
    let data = &deployment.config.data;
    if data.tls.is_some() {
        return report.ok("service", "not checked, because it uses [data.tls]: read its /readyz yourself");
    }
    let Some(answer) = ask(&data.listen) else {
        return report.ok("service", format_args!("no service answers at {}", data.listen));
    };
    let Ok(ready) = serde_json::from_str::<Ready>(&answer) else {
        return report.warning("service", format_args!("another program than bulla answers at {}", data.listen));
    };
    if !ready.ready {
        report.wrong("service", format_args!("the service at {} is not ready: it verifies no key", data.listen));
    }
    for Failing { what, since, detail } in &ready.degraded {
        let told = format_args!("the service at {} is degraded since {since} (`{what}`): {detail}", data.listen);
        // Without these the service changes nothing, or misses revocations.
        if matches!(what.as_str(), "store" | "revocations") {
            report.wrong("service", told);
        } else {
            report.warning("service", told);
        }
    }
    if ready.ready && ready.degraded.is_empty() {
        report.ok("service", format_args!("the service at {} is ready and healthy", data.listen));
    }
}

/// The answer, if there is one.
fn ask(listen: &Listen) -> Option<String> {
    // No proxy: the service runs on this machine.
    let config = Agent::config_builder().proxy(None).timeout_global(Some(TIMEOUT)).http_status_as_error(false).build();
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
