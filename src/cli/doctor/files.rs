//! Files: certificates, mounts, and modes.

use std::{os::unix::fs::PermissionsExt, path::Path};

use jiff::Timestamp;

use super::Report;
use crate::{
    config::Listener,
    deployment::{Deployment, consistency},
    tls::ListenerTls,
};

pub(super) fn check_certificates(deployment: &Deployment, now: Timestamp, report: &mut Report) {
    for Listener { plane, tls, .. } in deployment.config.listeners() {
        let Some(tls) = tls else { continue };
        match ListenerTls::load(tls) {
            Ok(loaded) => {
                let (until, certificate) = (loaded.validity.until, tls.certificate.display());
                if let Some(trouble) = loaded.validity.trouble(now) {
                    report.wrong("certificate", format_args!("[{plane}.tls] {certificate} {trouble}"));
                } else if loaded.validity.ends_soon(now) {
                    let text = format_args!("[{plane}.tls] {certificate} expires at {until}: renew it");
                    report.warning("certificate", text);
                } else {
                    let text = format_args!("[{plane}.tls] {certificate} matches its key and is valid until {until}");
                    report.ok("certificate", text);
                }
            }
            Err(error) => report.wrong("certificate", format_args!("[{plane}.tls]: {error}")),
        }
        if tls.client_ca.is_some() && tls.clients.is_empty() {
            let text = format_args!("[{plane}.tls] has a client_ca, but [{plane}.tls.clients] gives no name scopes");
            report.warning("certificate", text);
        }
    }
}

/// Files that are mounted without their folders.
pub(super) fn check_mounts(deployment: &Deployment, report: &mut Report) {
    let troubles = consistency::lone_mounts(deployment);
    if troubles.is_empty() {
        return report.ok("mounts", "store and keyring are mounted with their folders");
    }
    for trouble in troubles {
        report.warning("mounts", trouble);
    }
}

/// Modes of the files that protect keys. Key sources check the modes of key files themselves.
pub(super) fn check_modes(config: &Path, deployment: &Deployment, report: &mut Report) {
    let mut paths = vec![config.to_owned(), deployment.config.folder.clone()];
    paths.extend(deployment.keyring_path());
    paths.extend(deployment.store_path());
    let mut sound = true;
    for path in paths {
        let Ok(metadata) = path.metadata() else { continue };
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o002 != 0 {
            sound = false;
            report.wrong(
                "modes",
                format_args!("anyone may write {0} (mode {mode:04o}): run `chmod o-w {0}`", path.display()),
            );
        }
    }
    if sound {
        report.ok("modes", "only owner and group may write the configuration, its folder, the keyring and the store");
    }
}
