//! The health of the running service, which may have another store open than the one here, or be another deployment's.

use bulla::keyring::KeyringId;

use super::Report;
use crate::{
    cli::local_service::{self, Failing, LocalService},
    deployment::Deployment,
};

/// Asks `/readyz` at the address that the configuration gives the data plane. `keyring` is the deployment's, where it
/// can be read.
pub(super) fn check(deployment: &Deployment, keyring: Option<KeyringId>, report: &mut Report) {
    let data = &deployment.config.data;
    let ready = match local_service::ask(data, keyring) {
        LocalService::Ready(ready) => ready,
        LocalService::Nobody => return report.ok("service", format_args!("no service answers at {}", data.listen)),
        LocalService::Stranger => {
            return report.warning("service", format_args!("another program than bulla answers at {}", data.listen));
        }
    };
    if ready.same_keyring == Some(false) {
        let text = format_args!(
            "the service at {} is another deployment's: it has another keyring. Stop it, or give this deployment an address of \
             its own (data.listen, and the other listeners')",
            data.listen
        );
        return report.warning("service", text);
    }
    if !ready.ready {
        report.wrong("service", format_args!("the service at {} is not ready: it verifies no key", data.listen));
    }
    for Failing { what, since, detail } in &ready.degraded {
        let text = format_args!("the service at {} is degraded since {since} (`{what}`): {detail}", data.listen);
        // Without these the service changes nothing, or misses revocations, if only after a restart.
        if matches!(what.as_str(), "store" | "revocations" | "edge state") {
            report.wrong("service", text);
        } else {
            report.warning("service", text);
        }
    }
    if ready.ready && ready.degraded.is_empty() {
        report.ok("service", format_args!("the service at {} is ready and healthy", data.listen));
    }
}
