//! The first part of a look: configuration and keyring, with the keys that are loaded. It asks no key source.

use std::path::Path;

use bulla::keyring::KeyringError;

use super::FirstOutcome;
use crate::{
    deployment::{self, DeploymentError},
    server::Node,
};

/// Reads the configuration at `path` and the keyring, and puts both in force. A configuration that cannot be loaded, or
/// whose keyring cannot be read, must not delay a compromise: then the keyring is read with the configuration in force.
/// An error says why nothing could be read.
pub(super) fn take(node: &Node, path: &Path) -> Result<FirstOutcome, String> {
    let (config, mut failed) = match deployment::load(path) {
        Ok(mut config) => {
            config.listen_as(&node.config);
            (config, Vec::new())
        }
        Err(error) => (node.reloader.wanted(), vec![error.to_string()]),
    };
    let is_read = failed.is_empty();
    let error = match node.reloader.publish(Some(config.clone())) {
        Ok(published) => {
            failed.extend(published.failed);
            return Ok(FirstOutcome { changed: published.changed, failed, wants_mac_key: false, loaded: is_read });
        }
        Err(error) => error,
    };
    let wants_mac_key = matches!(error, DeploymentError::Keyring(KeyringError::MacWrong));
    if !wants_mac_key {
        node.reloader.abandon(&config);
        failed.push(error.to_string());
    }
    let loaded = is_read && wants_mac_key;
    match node.reloader.publish(None) {
        Ok(published) => {
            failed.extend(published.failed);
            Ok(FirstOutcome { changed: published.changed, failed, wants_mac_key, loaded })
        }
        Err(_) if wants_mac_key => Ok(FirstOutcome { changed: false, failed, wants_mac_key, loaded }),
        Err(_) => Err(failed.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bulla::keyring::{KeyVersion, VersionState};

    use super::*;
    use crate::{
        action::{Actor, keyring::Change},
        api::keyring::Compromise,
        cli::throw_away,
        clock,
        deployment::Deployment,
        server::reload::{
            SecondPart, Trigger,
            sources::{self, ReloadMemory},
        },
    };

    /// A change of the keyring by another process, whose configuration is good.
    fn change(deployment: &Deployment, change: &Change) {
        let store = deployment.store().expect("a store");
        change.apply(deployment, &*store, &Actor::service(), clock::now()).expect("changed");
    }

    #[test]
    fn a_keyring_is_read_whatever_the_configuration_looks_like() {
        for (from, to, told) in [
            ("[keyring]\n", "garbage = [\n[keyring]\n", "bulla.toml"),
            ("\"file:keyring.toml\"", "\"file:gone.toml\"", "gone.toml"),
            ("\"file:keyring-mac.key\"", "\"file:gone.key\"", "gone.key"),
            ("\"file:keyring-mac.key\"", "\"file:master-1.key\"", "MAC"),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = throw_away(folder.path()).expect("made");
            let good = Deployment::open(&path).expect("opened");
            let node = Node::load(Deployment::open(&path).expect("opened"), false).expect("loaded");
            let text = fs::read_to_string(&path).expect("the configuration");
            assert!(text.contains(from), "{from}");
            fs::write(&path, text.replacen(from, to, 1)).expect("written");
            let state = || node.snapshot().document.version(KeyVersion::FIRST).map(|record| record.state);
            let looks = || {
                let first = take(&node, &path).expect("the keyring in force");
                assert!(first.changed, "{to}");
                let at_once = state();
                let second = SecondPart { trigger: Trigger::Retry, first };
                let outcome = sources::take(&node, second, &ReloadMemory::default(), true);
                assert!(!outcome.loaded && outcome.failed.join("; ").contains(told), "{to}: {:?}", outcome.failed);
                assert_eq!(node.snapshot().config, good.config, "{to}: the configuration in force stays");
                at_once
            };
            change(&good, &Change::Compromise(KeyVersion::FIRST, Compromise::default()));
            assert_eq!(looks(), Some(VersionState::Compromised), "{to}");
            // Nothing of the first look is in the way of the second one.
            change(&good, &Change::Destroy(KeyVersion::FIRST));
            assert_eq!(looks(), Some(VersionState::Destroyed), "{to}");

            fs::write(&path, text).expect("written");
            let first = take(&node, &path).expect("everything");
            assert!(first.loaded && !first.wants_mac_key && first.failed.is_empty(), "{to}: {:?}", first.failed);
        }
    }
}
