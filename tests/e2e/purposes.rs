//! Every purpose has a key of its own.

use std::fs;

use serde_json::json;

use crate::support::{deployment::Deployment, server::Server};

const PEPPER: &str = "1 = \"file:pepper-1.key\"";
const FEED: &str = "signing_key = \"file:feed-signing.key\"";
const ASSERTIONS: &str = "signing_keys = []";

/// The configuration with `to` in the place of `from`, and with what assertions need.
fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the configuration has {from:?}");
    let text = text.replace(from, to);
    text.replace("audience = \"\"", "audience = \"shop\"").replace("issuer = \"\"", "issuer = \"bulla\"")
}

fn with_pepper(active: u32, second: &str) -> impl Fn(&str) -> String {
    let peppers = format!("{PEPPER}\n2 = \"file:{second}\"");
    move |text| changed(text, PEPPER, &peppers).replace("active = 1", &format!("active = {active}"))
}

fn is_active(server: &Server, key: &str) -> bool {
    server.data.post("/v1/verify", &json!({"api_key": key})).json()["active"] == true
}

#[test]
fn a_start_and_doctor_refuse_one_key_for_two_purposes() {
    let deployment = Deployment::new();
    let path = deployment.file("bulla.toml");
    let good = fs::read_to_string(&path).expect("the configuration");
    // By its bytes, under whatever name.
    fs::copy(deployment.file("pepper-1.key"), deployment.file("copy.key")).expect("copied");
    let feed = |file: &str| changed(&good, FEED, &format!("signing_key = \"file:{file}\""));
    let asserts = |file: &str| changed(&good, ASSERTIONS, &format!("signing_keys = [\"file:{file}\"]"));
    let [mac, pepper] = ["keyring.mac_source (file:keyring-mac.key)", "pepper.sources (file:pepper-1.key)"];
    for (text, told) in [
        (feed("pepper-1.key"), format!("{pepper} and feed.signing_key (file:pepper-1.key) hold the same key")),
        (feed("copy.key"), format!("{pepper} and feed.signing_key (file:copy.key) hold the same key")),
        (feed("keyring-mac.key"), format!("{mac} and feed.signing_key (file:keyring-mac.key) hold the same key")),
        (feed("master-1.key"), "the master key of version 1 is a key of feed.signing_key as well".to_owned()),
        (asserts("pepper-1.key"), format!("{pepper} and assertion.signing_keys (file:pepper-1.key) hold the same key")),
        (asserts("keyring-mac.key"), format!("{mac} and assertion.signing_keys (file:keyring-mac.key) hold")),
        (asserts("master-1.key"), "the master key of version 1 is a key of assertion.signing_keys".to_owned()),
        (with_pepper(1, "keyring-mac.key")(&good), format!("{mac} and pepper.sources (file:keyring-mac.key) hold")),
        (with_pepper(1, "copy.key")(&good), format!("{pepper} and pepper.sources (file:copy.key) hold the same key")),
        (with_pepper(2, "pepper-1.key")(&good), format!("{pepper} and {pepper} hold the same key")),
        (
            with_pepper(2, "feed-signing.key")(&good),
            "pepper.sources (file:feed-signing.key) and feed.signing_key (file:feed-signing.key) hold".to_owned(),
        ),
    ] {
        fs::write(&path, text).expect("written");
        let doctor = deployment.run(&["doctor"]);
        assert!(doctor.code == 1 && doctor.out.contains(&told), "{told}: {}", doctor.out);
        let started = deployment.run(&["serve", "--data-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        assert!(started.code == 2 && started.err.contains(&told), "{told}: {}", started.err);
    }
    fs::write(&path, &good).expect("written");
    deployment.run(&["doctor"]).ok();
    Server::start(&deployment);
}

#[test]
fn an_old_version_of_the_pepper_that_is_another_one_s_key_is_told_and_can_be_left() {
    let deployment = Deployment::new();
    fs::copy(deployment.file("keyring-mac.key"), deployment.file("pepper-1.key")).expect("copied");
    fs::copy(deployment.file("keyring-mac.key"), deployment.file("pepper-2.key")).expect("copied");
    let key = fs::read_to_string(deployment.file(deployment.new_master(9).trim_start_matches("file:"))).expect("a key");
    deployment.secret_file("pepper-3.key", &key);
    deployment.configure(PEPPER, &format!("{PEPPER}\n2 = \"file:pepper-2.key\"\n3 = \"file:pepper-3.key\""));
    deployment.configure("active = 1", "active = 3");
    // Stored hashes may need versions 1 and 2, so that the service goes on with them, and says it.
    let server = Server::start(&deployment);
    server.signal("HUP");
    server.until("the word of it", |server| {
        server.data.get("/readyz").json()["degraded"].to_string().contains("hold the same key")
    });
    let doctor = deployment.run(&["doctor"]);
    assert!(doctor.code == 1 && doctor.out.contains("hold the same key"), "{}", doctor.out);
}

#[test]
fn a_reload_keeps_the_keys_in_force_and_takes_the_compromise_of_a_version() {
    let deployment = Deployment::new();
    let old = deployment.issue_text("live", &[]);
    deployment.keyring(&["stage", "--source", &deployment.new_master(2)]);
    deployment.keyring(&["activate", "2"]);
    let good = deployment.issue_text("live", &["--secret"]);
    let server = Server::start(&deployment);
    assert!(is_active(&server, &old) && is_active(&server, &good));
    let path = deployment.file("bulla.toml");
    let text = fs::read_to_string(&path).expect("the configuration");
    fs::write(&path, with_pepper(2, "keyring-mac.key")(&text)).expect("written");
    server.signal("HUP");
    let degraded = |server: &Server| server.data.get("/readyz").json()["degraded"].to_string();
    server.until("the word of it", |server| {
        degraded(server).contains("keyring.mac_source (file:keyring-mac.key) and pepper.sources")
    });
    deployment.keyring(&["compromise", "1"]);
    server.within("the compromise", |server| !is_active(server, &old));
    assert!(is_active(&server, &good), "by the pepper that is loaded");
    fs::write(&path, text).expect("written");
    server.signal("HUP");
    server.until("that all is well", |server| degraded(server) == "[]");
    assert!(is_active(&server, &good));
}
