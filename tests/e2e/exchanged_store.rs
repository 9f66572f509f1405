//! A store whose files are exchanged under a service: nothing is acknowledged that is not kept, and it is said.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{
    command::{bulla, finish},
    deployment::Deployment,
    mount::{Mount, as_root},
    server::Server,
};

const FILES: [&str; 3] = ["bulla.db", "bulla.db-wal", "bulla.db-shm"];

fn active(server: &Server, key: &str) -> bool {
    server.data.post("/v1/verify", &json!({"api_key": key})).json()["active"] == true
}

/// What `/readyz` says of `what`.
fn degraded(server: &Server, what: &str) -> Option<String> {
    let ready = server.data.get("/readyz");
    assert_eq!(ready.status, 200, "{}", ready.body);
    let all: Value = ready.json()["degraded"].clone();
    let found = all.as_array().expect("a list").iter().find(|one| one["what"] == what).cloned();
    found.map(|one| one["detail"].as_str().expect("a text").to_owned())
}

fn revoke(server: &Server, key: &str) -> (u16, String) {
    let answer = server.admin.request("DELETE", &format!("/v1/api-keys/{}", &key[..27]), &[], "");
    (answer.status, answer.body)
}

fn sqlite(file: &Path, text: &str) {
    let database = rusqlite::Connection::open(file).expect("the store");
    database.busy_timeout(std::time::Duration::from_secs(60)).expect("set");
    database.execute_batch(text).expect("done");
}

/// An older state of the store in `older.db`: the log has begun anew since.
fn older(deployment: &Deployment) {
    sqlite(&deployment.file("bulla.db"), &format!("VACUUM INTO '{}'", deployment.file("older.db").display()));
    deployment.issue_text("live", &[]);
    sqlite(&deployment.file("bulla.db"), "PRAGMA wal_checkpoint(RESTART)");
    deployment.issue_text("live", &[]);
}

fn remove(deployment: &Deployment, names: &[&str]) {
    for name in names {
        std::fs::remove_file(deployment.file(name)).expect("removed");
    }
}

type Exchange = fn(&Deployment);

#[test]
fn a_service_whose_store_is_exchanged_acknowledges_nothing_and_goes_on_verifying() {
    let moved: Exchange = |deployment| {
        std::fs::rename(deployment.file("older.db"), deployment.file("bulla.db")).expect("moved");
    };
    let copied: Exchange = |deployment| {
        std::fs::copy(deployment.file("older.db"), deployment.file("bulla.db")).expect("copied");
    };
    let replaced: Exchange = |deployment| {
        remove(deployment, &FILES);
        std::fs::rename(deployment.file("older.db"), deployment.file("bulla.db")).expect("moved");
    };
    for (exchange, told, by_doctor) in [
        (moved, "is another file", Some("not the write-ahead log")),
        (copied, "was overwritten", Some("not the write-ahead log")),
        (|deployment: &Deployment| remove(deployment, &FILES), "was removed", Some("does not exist")),
        (|deployment: &Deployment| remove(deployment, &FILES[..1]), "was removed", Some("does not exist")),
        (|deployment: &Deployment| remove(deployment, &FILES[1..2]), "was removed", Some("is missing")),
        (replaced, "is another file", None),
    ] {
        let deployment = Deployment::on_file();
        let server = Server::start(&deployment);
        let (key, gone) = (deployment.issue_text("live", &[]), deployment.issue_text("live", &[]));
        older(&deployment);
        assert_eq!(revoke(&server, &gone).0, 200);
        assert_eq!(degraded(&server, "store"), None);
        exchange(&deployment);
        // At once, and not only when the service has looked.
        let (status, body) = revoke(&server, &key);
        assert!(status == 503 && body.contains("the store was exchanged"), "{told}: {status} {body}");
        server.within("the trouble to show", |server| degraded(server, "store").is_some());
        let detail = degraded(&server, "store").expect("it stays");
        assert!(detail.contains(told) && detail.contains("stop"), "{told}: {detail}");
        // The log may have been read just before the files were checked.
        server.within("what others revoke is not seen", |server| degraded(server, "revocations").is_some());
        assert!(active(&server, &key) && !active(&server, &gone), "{told}");
        let asking = finish(bulla(deployment.path()).arg("doctor").env("BULLA_DATA__LISTEN", &server.data.address), "");
        assert!(asking.code == 1 && asking.out.contains("(`store`): "), "{told}: {}", asking.out);
        let doctor = deployment.run(&["doctor"]);
        if let Some(told) = by_doctor {
            assert!(doctor.code == 1 && doctor.out.contains(told), "{}", doctor.out);
            let by_hand = deployment.run(&["revoke", &key[..27]]);
            assert!(by_hand.code == 2 && by_hand.err.contains(told), "{}", by_hand.err);
        }
        let log = server.stop();
        assert_eq!(log.matches("store was exchanged, refusing changes").count(), 1, "{log}");
    }
}

#[test]
fn a_backup_that_is_put_in_place_beside_the_log_is_not_opened_until_the_log_is_moved_away() {
    let deployment = Deployment::on_file();
    let server = Server::start(&deployment);
    let key = deployment.issue_text("live", &[]);
    older(&deployment);
    assert_eq!(revoke(&server, &key).0, 200);
    server.signal("KILL");
    drop(server);
    std::fs::rename(deployment.file("bulla.db"), deployment.file("newest.db")).expect("moved");
    std::fs::copy(deployment.file("older.db"), deployment.file("bulla.db")).expect("put in place");
    for arguments in [&["serve"][..], &["revoke", &key[..27]], &["verify", &key], &["keys", "list"]] {
        let ran = deployment.run(arguments);
        assert!(ran.code == 2 && ran.err.contains("move"), "{arguments:?}: {}", ran.err);
    }
    let untouched = std::fs::read(deployment.file("older.db")).expect("there");
    assert_eq!(std::fs::read(deployment.file("bulla.db")).expect("there"), untouched);
    // Both ways out lead to what they say.
    std::fs::rename(deployment.file("newest.db"), deployment.file("bulla.db")).expect("put back");
    assert_eq!(deployment.run(&["verify", &key]).code, 1, "the revocation is in the log");
    std::fs::rename(deployment.file("older.db"), deployment.file("bulla.db")).expect("put in place");
    for name in &FILES[1..] {
        let _closed_well = std::fs::rename(deployment.file(name), deployment.file(&format!("{name}.old")));
    }
    assert_eq!(deployment.run(&["verify", &key]).code, 0, "as the backup has it");
}

#[test]
fn what_the_log_had_before_it_was_removed_is_there_after_a_stop() {
    let deployment = Deployment::on_file();
    let server = Server::start(&deployment);
    let key = deployment.issue_text("live", &[]);
    assert_eq!(revoke(&server, &key).0, 200);
    remove(&deployment, &["bulla.db-wal"]);
    assert_eq!(revoke(&server, &key).0, 503);
    server.stop();
    assert_eq!(deployment.run(&["verify", &key]).code, 1, "the service had the log open");
    deployment.run(&["doctor"]).ok();
}

#[test]
fn what_was_removed_can_be_rescued_while_the_service_runs() {
    let deployment = Deployment::on_file();
    let server = Server::start(&deployment);
    let key = deployment.issue_text("live", &[]);
    assert_eq!(revoke(&server, &key).0, 200);
    remove(&deployment, &FILES);
    server.within("the trouble to show", |server| degraded(server, "store").is_some());
    // As docs/RECOVERY.md has it.
    let script = format!(
        r#"cd {} && mkdir rescued && for fd in /proc/{}/fd/*; do case $(readlink $fd) in
           */bulla.db\ *) cp $fd rescued/bulla.db;; */bulla.db-wal\ *) cp $fd rescued/bulla.db-wal;; esac; done
           chown --reference=bulla.toml rescued/*"#,
        deployment.path().display(),
        server.id()
    );
    as_root(&["sh", "-c", &script]);
    server.stop();
    for name in &FILES[..2] {
        std::fs::rename(deployment.file("rescued").join(name), deployment.file(name)).expect("moved back");
    }
    assert_eq!(deployment.run(&["verify", &key]).code, 1, "the revocation is there");
    deployment.run(&["doctor"]).ok();
}

#[test]
fn a_store_that_is_mounted_without_its_folder_is_warned_of() {
    let deployment = Deployment::on_file();
    let outside = tempfile::tempdir().expect("a folder");
    let file = outside.path().join("bulla.db");
    std::fs::rename(deployment.file("bulla.db"), &file).expect("moved");
    std::fs::write(deployment.file("bulla.db"), "").expect("a place");
    let _bound = Mount::bind(&file, &deployment.file("bulla.db"));
    let keyring = outside.path().join("keyring.toml");
    std::fs::copy(deployment.file("keyring.toml"), &keyring).expect("copied");
    let _bound_as_well = Mount::bind(&keyring, &deployment.file("keyring.toml"));
    let doctor = deployment.run(&["doctor"]).ok().out.clone();
    assert!(doctor.contains("warning  mounts") && doctor.contains("Mount the folder"), "{doctor}");
    let staged = deployment.run(&["keyring", "stage", "--source", &deployment.new_master(2)]);
    assert!(staged.code == 2 && staged.err.contains("mount the folder"), "{}", staged.err);
    let log = Server::start(&deployment).stop();
    for file in ["bulla.db", "keyring.toml"] {
        assert!(log.contains(&format!("{file} is mounted without its folder")), "{log}");
    }
}
