//! `bulla doctor` finds each mistake and says what to do.

use std::os::unix::fs::PermissionsExt;

use crate::support::{deployment::Deployment, server::Server};

/// What doctor says is wrong after `spoil` was done to a new deployment.
fn wrong_after(spoil: impl FnOnce(&Deployment)) -> String {
    wrong_with(Deployment::new(), spoil)
}

fn wrong_with(deployment: Deployment, spoil: impl FnOnce(&Deployment)) -> String {
    deployment.run(&["doctor"]).ok();
    spoil(&deployment);
    let ran = deployment.run(&["doctor", "--json"]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    let findings = ran.json();
    assert_eq!(findings["ok"], false);
    let wrong =
        findings["findings"].as_array().expect("findings").iter().filter(|finding| finding["status"] == "wrong");
    wrong.map(|finding| format!("{}: {}\n", finding["check"], finding["message"])).collect()
}

fn mode(deployment: &Deployment, file: &str, mode: u32) {
    std::fs::set_permissions(deployment.file(file), std::fs::Permissions::from_mode(mode)).expect("its mode");
}

#[test]
fn a_key_file_that_others_may_read() {
    let told = wrong_after(|deployment| mode(deployment, "master-1.key", 0o644));
    assert!(told.contains("mode 0644") && told.contains("chmod 600"), "{told}");
}

#[test]
fn what_anyone_may_write() {
    for (file, open) in [("bulla.db", 0o666), ("keyring.toml", 0o666), ("bulla.toml", 0o666), ("", 0o757)] {
        let told = wrong_with(Deployment::on_file(), |deployment| mode(deployment, file, open));
        assert!(told.contains("modes") && told.contains("chmod o-w"), "{file}: {told}");
    }
}

#[test]
fn a_missing_key_keyring_or_store() {
    for (file, advice) in
        [("master-1.key", "master-1.key"), ("keyring.toml", "put it back from the backup"), ("bulla.db", "put it back")]
    {
        let removed = |deployment: &Deployment| std::fs::remove_file(deployment.file(file)).expect("removed");
        let told = wrong_with(Deployment::on_file(), removed);
        assert!(told.contains(advice), "{file}: {told}");
    }
}

#[test]
fn a_keyring_that_is_another_than_the_store_s() {
    let told = wrong_after(|deployment| {
        let other = Deployment::new();
        for file in ["keyring.toml", "keyring-mac.key", "master-1.key", "pepper-1.key"] {
            std::fs::copy(other.file(file), deployment.file(file)).expect("copied");
        }
    });
    assert!(told.contains("\"keyring\": \"the store also knows") && told.contains("backup"), "{told}");
}

#[test]
fn an_active_version_that_seals_nothing_any_more() {
    let told = wrong_after(|deployment| {
        let server = Server::start(deployment);
        let active = || server.data.get("/readyz").json()["active_version"].clone();
        assert_eq!(active(), 1);
        deployment.keyring(&["limit", "1", "--seal-until", "2020-01-01T00:00:00Z"]);
        server.until("the limit", |_| active().is_null());
    });
    assert!(told.contains("past its seal_until") && told.contains("limit 1 --no-seal-until"), "{told}");
}

#[test]
fn a_pepper_that_is_another_than_the_one_of_the_stored_hashes() {
    let told = wrong_after(|deployment| {
        deployment.new_master(9);
        std::fs::copy(deployment.file("master-9.key"), deployment.file("pepper-1.key")).expect("copied");
    });
    assert!(told.contains("\"pepper\": \"none of the 1 stored hashes") && told.contains("another key"), "{told}");
}

#[test]
fn two_listeners_on_one_address() {
    for (admin, same) in [("127.0.0.1:8181", true), ("127.0.0.1:8184", false), ("[::1]:8181", false)] {
        let deployment = Deployment::new();
        deployment.configure("127.0.0.1:8182", admin);
        let ran = deployment.run(&["doctor"]);
        assert_eq!(
            ran.code == 1 && ran.out.contains("data.listen is 127.0.0.1:8181 and admin.listen"),
            same,
            "{}",
            ran.out
        );
    }
}

#[test]
fn an_empty_store_beside_a_keyring_that_is_older() {
    let deployment = Deployment::on_file();
    let empty = || {
        for name in ["bulla.db", "bulla.db-wal", "bulla.db-shm"] {
            let _none = std::fs::remove_file(deployment.file(name));
        }
        std::fs::write(deployment.file("bulla.db"), "").expect("written");
    };
    empty();
    let told = deployment.run(&["doctor"]).ok().out.clone();
    assert!(told.contains("warning  store") && told.contains("the store is empty, and the keyring is from"), "{told}");
    let log = Server::start(&deployment).stop();
    assert!(log.contains("the store is empty, and the keyring is from"), "{log}");
    // The clock cannot be set here, so the keyring is an old one.
    let sources = bulla::source::Sources::new(deployment.path());
    let mac: bulla::source::SourceUri = "file:keyring-mac.key".parse().expect("a URI");
    let old = 1_767_225_600;
    let source = bulla::keyring::SourceRecord { uri: "file:master-1.key".parse().expect("a URI"), wrapped: None };
    let mut document = bulla::keyring::KeyringDocument::new(bulla::keyring::KeyringId::random().expect("random"));
    let version = document.stage(bulla::keyring::Suite::default(), vec![source], &sources, old).expect("staged");
    document.activate(version, old).expect("activated");
    let key = bulla::keyring::MacKey::open(&mac, &sources, document.id()).expect("the MAC key");
    std::fs::write(deployment.file("keyring.toml"), document.render(&key).expect("a document")).expect("written");
    empty();
    let told = deployment.run(&["doctor"]);
    assert!(told.code == 1 && told.out.contains("wrong    store"), "{}", told.out);
    deployment.issue_text("live", &[]);
    let told = deployment.run(&["doctor"]).ok().out.clone();
    assert!(told.contains("the store begins at"), "{told}");
}

#[test]
fn another_key_behind_the_right_name() {
    let told = wrong_after(|deployment| {
        std::fs::write(deployment.file("master-1.key"), format!("{}\n", "A".repeat(43) + "=")).expect("written");
    });
    assert!(told.contains("holds another key"), "{told}");
}

#[test]
fn a_keyring_changed_by_hand() {
    let told = wrong_after(|deployment| {
        let path = deployment.file("keyring.toml");
        let text = std::fs::read_to_string(&path).expect("the keyring");
        std::fs::write(&path, text.replace("serial = 2", "serial = 3")).expect("written");
    });
    assert!(told.contains("MAC is wrong"), "{told}");
}

#[test]
fn a_keyring_from_the_future() {
    // The clock cannot be set here, so the document is: signed again by the reference of its MAC, the library.
    let told = wrong_after(|deployment| {
        let path = deployment.file("keyring.toml");
        let text = std::fs::read_to_string(&path).expect("the keyring");
        let sources = bulla::source::Sources::new(deployment.path());
        let mac: bulla::source::SourceUri = "file:keyring-mac.key".parse().expect("a URI");
        let before = bulla::keyring::KeyringDocument::parse(&text, &mac, &sources).expect("a keyring");
        let mut document = bulla::keyring::KeyringDocument::new(before.id());
        let source = bulla::keyring::SourceRecord { uri: "file:master-1.key".parse().expect("a URI"), wrapped: None };
        let future = 4_102_444_800;
        let version = document.stage(bulla::keyring::Suite::default(), vec![source], &sources, future).expect("staged");
        document.activate(version, future).expect("activated");
        let key = bulla::keyring::MacKey::open(&mac, &sources, before.id()).expect("the MAC key");
        std::fs::write(&path, document.render(&key).expect("a document")).expect("written");
    });
    assert!(told.contains("clock") && told.contains("chrony"), "{told}");
}

#[test]
fn no_configuration_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let ran = crate::support::command::run(folder.path(), &["doctor"]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("bulla init"), "{}", ran.out);
}

#[test]
fn a_service_of_another_deployment_at_the_same_address() {
    let (first, second) = (Deployment::new(), Deployment::new());
    let server = Server::start(&first);
    let told = |deployment: &Deployment| {
        let found = deployment.run_in(&["doctor", "--json"], &[("BULLA_DATA__LISTEN", &server.data.address)]).json();
        let findings = found["findings"].as_array().expect("findings").clone();
        let of_service = findings.into_iter().filter(|finding| finding["check"] == "service");
        of_service.map(|finding| format!("{}: {}\n", finding["status"], finding["message"])).collect::<String>()
    };
    // A service that is busy for two seconds is asked again.
    server.until("its own service", |_| told(&first).contains("is ready and healthy"));
    server.until("another deployment's", |_| {
        let told = told(&second);
        assert!(!told.contains("healthy"), "{told}");
        told.contains("\"warning\": \"the service at") && told.contains("is another deployment's")
    });
    let id = |deployment: &Deployment| deployment.keyring(&["show"])["keyring_id"].as_str().expect("an id").to_owned();
    let asked = |query: String| server.data.get(&format!("/readyz{query}")).json()["same_keyring"].clone();
    assert_eq!(asked(format!("?keyring_id={}", id(&first))), true);
    assert_eq!(asked(format!("?verbose&keyring_id={}", id(&second))), false);
    assert!(asked(String::new()).is_null());
}
