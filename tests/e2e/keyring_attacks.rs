//! What someone may try who can write the keyring document, or knows an old master key.

use crate::support::deployment::{APP, Deployment};

fn keyring(deployment: &Deployment) -> String {
    std::fs::read_to_string(deployment.file("keyring.toml")).expect("the keyring")
}

fn put(deployment: &Deployment, text: &str) {
    std::fs::write(deployment.file("keyring.toml"), text).expect("written");
}

/// The document signed with the key in `mac_file`, as its attacker would.
fn signed_with(
    deployment: &Deployment,
    mac_file: &str,
    change: impl FnOnce(&mut bulla::keyring::KeyringDocument, &bulla::source::Sources),
) -> String {
    let sources = bulla::source::Sources::new(deployment.path());
    let genuine: bulla::source::SourceUri = "file:keyring-mac.key".parse().expect("a URI");
    let mut document =
        bulla::keyring::KeyringDocument::parse(&keyring(deployment), &genuine, &sources).expect("the keyring");
    change(&mut document, &sources);
    let key = format!("file:{mac_file}").parse().expect("a URI");
    let key = bulla::keyring::MacKey::open(&key, &sources, document.id()).expect("a key");
    document.render(&key).expect("a document")
}

fn refused(deployment: &Deployment, told: &str) {
    for arguments in [vec!["issue", "--realm", "live", "--app", APP], vec!["keyring", "check"], vec!["serve"]] {
        let ran = deployment.run(&arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.out);
        assert!(ran.err.contains(told), "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn an_older_document_is_recognized() {
    let deployment = Deployment::new();
    let old = keyring(&deployment);
    deployment.keyring(&["stage", "--source", &deployment.new_master(2)]);
    deployment.keyring(&["compromise", "1", "--successor", "2"]);
    put(&deployment, &old);
    refused(&deployment, "rolled back");
}

#[test]
fn a_compromised_version_cannot_be_brought_back_under_a_new_serial() {
    let deployment = Deployment::new();
    deployment.keyring(&["stage", "--source", &deployment.new_master(2)]);
    let before = keyring(&deployment);
    deployment.keyring(&["compromise", "1", "--successor", "2"]);
    // The strongest attacker: one with the MAC key, who restores the old states and counts the serial on.
    let forged = signed_with(&deployment, "keyring-mac.key", |document, sources| {
        let mac = "file:keyring-mac.key".parse().expect("a URI");
        *document = bulla::keyring::KeyringDocument::parse(&before, &mac, sources).expect("the old keyring");
        for _ in 0..5 {
            document.limit(bulla::keyring::KeyVersion::FIRST, None, None).expect("a change that counts the serial on");
        }
    });
    put(&deployment, &forged);
    refused(&deployment, "brings it back");
}

#[test]
fn a_master_key_signs_no_document() {
    let deployment = Deployment::new();
    let forged = signed_with(&deployment, "master-1.key", |document, _| {
        document.limit(bulla::keyring::KeyVersion::FIRST, None, None).expect("a change");
    });
    put(&deployment, &forged);
    refused(&deployment, "MAC is wrong");
}

#[test]
fn a_key_of_the_attackers_own_is_not_trusted() {
    let deployment = Deployment::new();
    deployment.configure("trusted_sources = [\"file:\"]", "trusted_sources = [\"file:master-1.key\"]");
    let own = deployment.new_master(2);
    let forged = signed_with(&deployment, "keyring-mac.key", |document, sources| {
        let source = bulla::keyring::SourceRecord { uri: own.parse().expect("a URI"), wrapped: None };
        document.stage(bulla::keyring::Suite::default(), vec![source], sources, 1_767_225_600).expect("staged");
    });
    put(&deployment, &forged);
    refused(&deployment, "it is not a trusted source; the entry \"file:master-2.key\" would cover it");
    let staged = Deployment::new();
    staged.configure("trusted_sources = [\"file:\"]", "trusted_sources = [\"file:master-1.key\"]");
    let ran = staged.run(&["keyring", "stage", "--source", &staged.new_master(2)]);
    assert!(ran.code == 2 && ran.err.contains("it is not a trusted source"), "{}", ran.err);
    assert!(ran.err.contains("`keyring.trusted_sources` in the configuration"), "{}", ran.err);
}

#[test]
fn another_key_behind_the_right_name_is_caught_by_its_check_value() {
    let deployment = Deployment::new();
    let other = deployment.new_master(2);
    std::fs::copy(deployment.file(other.trim_start_matches("file:")), deployment.file("master-1.key"))
        .expect("swapped");
    refused(&deployment, "key-check value");
}

#[test]
fn a_master_that_another_version_has_is_not_staged_again() {
    let deployment = Deployment::new();
    std::fs::copy(deployment.file("master-1.key"), deployment.file("again.key")).expect("copied");
    let again = deployment.run(&["keyring", "stage", "--source", "file:again.key"]);
    assert!(again.code == 2 && again.err.contains("version 1 already has"), "{}", again.err);
    deployment.keyring(&["stage", "--source", &deployment.new_master(2)]);
    deployment.keyring(&["compromise", "1", "--successor", "2"]);
    let burned = deployment.run(&["keyring", "stage", "--source", "file:again.key"]);
    assert!(
        burned.code == 2 && burned.err.contains("version 1 already has"),
        "a compromised one least of all: {}",
        burned.err
    );
}

#[test]
fn the_key_of_the_keyrings_mac_is_no_master_key() {
    let deployment = Deployment::new();
    let staged = deployment.run(&["keyring", "stage", "--source", "file:keyring-mac.key"]);
    assert!(staged.code == 2 && staged.err.contains("authenticates the keyring"), "{}", staged.err);
    std::fs::remove_file(deployment.file("keyring.toml")).expect("removed");
    let made = deployment.run(&["keyring", "init", "--force", "--source", "file:keyring-mac.key"]);
    assert!(made.code == 2 && made.err.contains("authenticates the keyring"), "{}", made.err);
    assert!(!deployment.file("keyring.toml").exists());
}

#[test]
fn a_slow_mac_source_beside_changes_is_no_rollback() {
    let deployment = Deployment::new();
    let script = deployment.file("mac.sh");
    let works = "#!/bin/sh\nsleep 0.2\n(base64 -d; printf '\\001') | openssl dgst -sha256 -mac HMAC -macopt hexkey:$(base64 -d < \"$(dirname \"$0\")/keyring-mac.key\" | od -An -v -tx1 | tr -d ' \\n') -binary | base64\n";
    std::fs::write(&script, works).expect("written");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).expect("its mode");
    deployment
        .configure("mac_source = \"file:keyring-mac.key\"", &format!("mac_source = \"exec:{}\"", script.display()));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 2..5 {
                deployment.keyring(&["stage", "--source", &deployment.new_master(number)]);
            }
        });
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..4 {
                    deployment.issue("live", &[]);
                }
            });
        }
    });
    assert_eq!(deployment.keyring(&["show"])["serial"], 5);
}

#[test]
fn a_linked_keyring_stays_a_link() {
    let deployment = Deployment::new();
    std::fs::create_dir(deployment.file("elsewhere")).expect("a folder");
    std::fs::rename(deployment.file("keyring.toml"), deployment.file("elsewhere/keyring.toml")).expect("moved");
    std::os::unix::fs::symlink("elsewhere/keyring.toml", deployment.file("keyring.toml")).expect("linked");
    deployment.keyring(&["stage", "--source", &deployment.new_master(2)]);
    assert!(deployment.file("keyring.toml").is_symlink());
    let target = std::fs::read_to_string(deployment.file("elsewhere/keyring.toml")).expect("the target");
    assert!(target.contains("master-2.key"));
}
