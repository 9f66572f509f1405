//! A service reads what changed between the time it read its files and the time it watches them.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bulla::keyring::EdgeKey;
use rcgen::{CertificateParams, KeyPair};
use secrecy::ExposeSecret;
use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{ConfigFile, FileStamps, Watch};
use crate::{
    action::{Actor, export::export},
    cli::{throw_away, throw_away_with_administrator},
    clock,
    config::{Config, EDGE},
    deployment::Deployment,
    server::{core::Core, edge::Edge, role::ServingNode},
};

/// A deadline, not an expectation. It is less than the interval at which everything is looked at anyway.
const TIMEOUT: Duration = Duration::from_secs(25);

/// What is neither a document, nor a certificate, nor a credential.
const NONSENSE: &str = "nonsense";

fn hangup(runtime: &Runtime) -> Signal {
    let _inside = runtime.enter();
    signal(SignalKind::hangup()).expect("a handler")
}

fn write_secret(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("private");
}

/// Appends TLS of the data plane, with a certificate in `tls.crt` that leads to itself.
fn add_tls(config: &Path) {
    let folder = config.parent().expect("a folder");
    let key = KeyPair::generate().expect("a key");
    let signed = CertificateParams::new(vec!["a.example".to_owned()]).expect("a name").self_signed(&key);
    fs::write(folder.join("tls.crt"), signed.expect("a certificate").pem()).expect("written");
    write_secret(&folder.join("tls.key"), &key.serialize_pem());
    let text = fs::read_to_string(config).expect("the configuration");
    let tls = "\n[data.tls]\ncertificate = \"tls.crt\"\nkey = \"tls.key\"\n";
    fs::write(config, text + tls).expect("written");
}

/// A folder with an edge of a deployment in another one; its configuration.
fn edge(folder: &Path, node: &Path) -> PathBuf {
    let (config, admin_key) = throw_away_with_administrator(node).expect("made");
    let deployment = Deployment::open(&config).expect("opened");
    let store = deployment.store().expect("opened");
    let document = deployment.document(&*store).expect("a keyring");
    let feed_key = deployment.feed_key().expect("opened").expect("a key of the feed");
    let key = EdgeKey::generate().expect("a key");
    write_secret(&folder.join("edge.key"), &key.to_text());
    write_secret(&folder.join("feed-api.key"), admin_key.expose_secret());
    let (realm, now) = ("live".parse().expect("a realm"), clock::now());
    let exported = export((&deployment, &*store), (realm, &key.recipient()), &Actor::service(), now);
    fs::create_dir(folder.join("exports")).expect("made");
    fs::write(folder.join("exports/live.export"), exported.expect("exported")).expect("written");
    let path = folder.join("bulla.toml");
    let text = EDGE
        .replace("{sources}", "\"http://127.0.0.1:9\"")
        .replace("{keyring_id}", &document.id().to_string())
        .replace("{public_key}", &feed_key.verifying_key().to_string())
        .replace("{realms}", "[realms.live]\n")
        .replace("{default_realms}", "\"live\"");
    fs::write(&path, text).expect("written");
    add_tls(&path);
    path
}

/// Waits until one of `names` shows in what fails.
fn becomes_degraded(runtime: &Runtime, core: &Core, names: [&str; 2], file: &str) {
    let degraded = runtime.block_on(async {
        let degrades = async {
            while !names.iter().any(|name| core.health.detail(name).is_some()) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(TIMEOUT, degrades).await
    });
    assert!(degraded.is_ok(), "a change of {file} before the watch was not noticed");
}

#[test]
fn a_node_reads_what_changed_before_it_watched() {
    let runtime = Runtime::new().expect("a runtime");
    for file in ["bulla.toml", "keyring.toml", "tls.crt", "tls.key"] {
        let folder = tempfile::tempdir().expect("a folder");
        let config = throw_away(folder.path()).expect("made");
        add_tls(&config);
        let looked_at = ConfigFile::look(&config);
        let deployment = Deployment::open(&config).expect("opened");
        let mut serving = ServingNode::load(deployment, looked_at, hangup(&runtime), false).expect("loaded");
        assert_eq!(serving.node.core.health.detail("keyring"), None);
        fs::write(folder.path().join(file), NONSENSE).expect("written");
        let (stop, stopped) = watch::channel(false);
        let running = runtime.spawn(serving.reload.take().expect("its loop").run(stopped));
        becomes_degraded(&runtime, &serving.node.core, ["keyring"; 2], file);
        stop.send_replace(true);
        runtime.block_on(running).expect("ended");
    }
}

#[test]
fn an_edge_reads_what_changed_before_it_watched() {
    let runtime = Runtime::new().expect("a runtime");
    let names = ["configuration", "key export"];
    for file in ["bulla.toml", "exports/live.export", "exports/new.export", "feed-api.key", "tls.crt", "tls.key"] {
        let [folder, node] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let path = edge(folder.path(), node.path());
        let looked_at = ConfigFile::look(&path);
        let config = Config::load_file(&path).expect("read");
        let inside = runtime.enter();
        let mut edge = Edge::load(config, looked_at, hangup(&runtime)).expect("loaded");
        assert_eq!(names.map(|name| edge.core.health.detail(name)), [None, None]);
        fs::write(folder.path().join(file), NONSENSE).expect("written");
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        edge.start(&mut tasks, &stopped);
        drop(inside);
        becomes_degraded(&runtime, &edge.core, names, file);
        stop.send_replace(true);
        edge.finish();
    }
    runtime.shutdown_background();
}

#[test]
fn files_that_stayed_as_they_were_are_no_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
    fs::write(&one, "1").expect("written");
    let look = |paths: &[&PathBuf]| FileStamps::default().and(paths.iter().map(|path| (*path).clone()));
    let before = look(&[&one, &other]);
    assert!(!before.have_changed(&look(&[&one, &other])));
    assert!(!look(&[&one]).have_changed(&look(&[&one, &other])), "nothing is known of how the other one was");
    fs::write(&other, "1").expect("written");
    assert!(before.have_changed(&look(&[&one, &other])), "it is there now");
    fs::remove_file(&one).expect("removed");
    assert!(before.have_changed(&look(&[&one])), "it is gone");
}

#[test]
fn a_watch_notifies_of_what_changed_before_its_first_look() {
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    fs::write(&path, "1").expect("written");
    let before = Arc::new(FileStamps::default().and([path.clone()]));
    fs::write(&path, "12").expect("written");
    let owner = Arc::new(path);
    let watch = Watch::start(&owner, before, |path| vec![path.clone()]);
    runtime.block_on(async { timeout(TIMEOUT, watch.changed()).await }).expect("notified");
}
