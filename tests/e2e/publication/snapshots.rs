//! Snapshots beside the messages: who begins loads one in the place of a long log.

use bulla::{
    SharedVerifier, Verifier,
    feed::{FollowerHandle, WhenStale},
    keyring::{Keyring, KeyringDocument},
    source::Sources,
};

use super::*;
use crate::support::clock;

const MANY: usize = 25_000;

/// A follower that begins, as a program has it.
fn start(publication: &Publication, address: &str) -> FollowerHandle {
    let (id, key) = (publication.keyring_id.parse().expect("an id"), publication.public_key.parse().expect("a key"));
    let keyring = Keyring::load(&KeyringDocument::new(id), &Sources::new("."), &[]).expect("an empty keyring");
    let verifier = SharedVerifier::new(Verifier::new(&keyring));
    let source = PublishedSource::new(address, id, key).expect("an address").interval(Duration::from_millis(100));
    source.start(None, &verifier, WhenStale::GoOn, clock::now).expect("started")
}

fn knows(handle: &FollowerHandle, revocations: usize) -> bool {
    let status = handle.status();
    status.complete && status.revocations == revocations
}

/// The files of this kind.
fn named(folder: &Path, kind: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(folder.join("files")).expect("published").map(|file| file.expect("a file").path());
    all.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(kind))).collect()
}

/// Removes the message files but the first, so that nobody gets far without the snapshot.
fn lose_messages(folder: &Path) {
    let files: Vec<PathBuf> = (1..=9).flat_map(|digit| named(folder, &digit.to_string())).collect();
    assert!(!files.is_empty(), "there are several");
    files.iter().for_each(|file| fs::remove_file(file).expect("removed"));
}

#[test]
fn a_new_follower_loads_a_snapshot_in_the_place_of_the_log() {
    let publication = Publication::new();
    publication.revoke(0, 5);
    assert_eq!(publication.publish(&[]).ok().json()["snapshot"], Value::Null, "a short log is read as fast");
    publication.revoke(5, MANY - 5);
    assert_eq!(publication.publish(&[]).ok().json()["snapshot"], MANY);
    let [manifests, bodies] = ["snapshot-", "body-"].map(|kind| named(&publication.folder, kind));
    assert_eq!((manifests.len(), bodies.len()), (1, 1));
    let bytes = fs::metadata(&bodies[0]).expect("its length").len();
    assert!(bytes < 13 * MANY as u64, "{bytes} bytes for {MANY} ids");

    lose_messages(&publication.folder);
    let here = start(&publication, &format!("file:{}/head", publication.folder.display()));
    wait_for("everything from the folder", || knows(&here, MANY));
    let folder = tempfile::tempdir().expect("a folder");
    let (origin, port) = (process::free_port(), process::free_port());
    let _nginx = nginx(folder.path(), &publication.folder, origin, port);
    let away = start(&publication, &format!("http://127.0.0.1:{port}/feed/head"));
    wait_for("everything through the cache", || knows(&away, MANY));
    let asked = || fs::read_to_string(folder.path().join("access.log")).expect("the log");
    wait_for("the log of the body", || asked().contains("/feed/files/body-"));

    // A part of it, as where a download was cut off.
    let name = bodies[0].file_name().expect("its name").to_string_lossy().into_owned();
    let mut curl = Command::new(programs::find("curl"));
    curl.args([
        "--silent",
        "--range",
        "1000-",
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code} %{size_download}",
    ]);
    let part = programs::run(curl.arg(format!("http://127.0.0.1:{port}/feed/files/{name}")));
    assert_eq!(part, format!("206 {}", bytes - 1_000));

    // The missing files are made anew, with another snapshot; both followers go on.
    publication.revoke(MANY, 1);
    let published = publication.publish(&["--keep", "0s"]).ok().json();
    assert_eq!((&published["seq"], &published["snapshot"]), (&json!(MANY + 1), &json!(MANY + 1)));
    for follower in [&here, &away] {
        wait_for("the next revocation", || knows(follower, MANY + 1));
    }
    publication.publish(&["--keep", "0s"]).ok();
    assert_eq!((named(&publication.folder, "snapshot-").len(), named(&publication.folder, "body-").len()), (1, 1));
}

#[test]
fn a_publisher_without_a_key_hands_a_node_s_snapshot_on() {
    let publication = Publication::new();
    publication.revoke(0, MANY);
    let _publisher = publisher(&publication, "publisher", &["--interval", "1s"]);
    wait_for("the first publication", || publication.folder.join("head").exists());
    assert_eq!(publication.head().snapshot.map(|name| name.seq), Some(MANY as u64));
    lose_messages(&publication.folder);
    let follower = start(&publication, &format!("file:{}/head", publication.folder.display()));
    wait_for("everything", || knows(&follower, MANY));
}
