//! The life of a key version: the table of legal moves, on the command line and over the admin plane.

use serde_json::json;

use crate::support::{
    deployment::{APP, Deployment},
    server::Server,
};

fn states(deployment: &Deployment) -> Vec<String> {
    let shown = deployment.keyring(&["show"]);
    let versions = shown["versions"].as_array().expect("versions");
    versions.iter().map(|version| version["state"].as_str().expect("a state").to_owned()).collect()
}

fn verdict(deployment: &Deployment, key: &str) -> i32 {
    deployment.run_with(&["verify", "-"], key).code
}

#[test]
fn a_planned_rotation_and_its_rollback() {
    let deployment = Deployment::new();
    let first = deployment.issue_text("live", &[]);
    let staged = deployment.keyring(&["stage", "--source", &deployment.new_master(2), "--suite", "xaes-256-gcm"]);
    assert_eq!((&staged["version"], &staged["state"]), (&json!(2), &json!("staged")));
    assert_eq!(deployment.issue("live", &[])["version"], 1, "nothing seals with a staged version");

    for safe in [&["keyring", "activate", "2"][..], &["keyring", "activate", "2", "--require-loaded"]] {
        let early = deployment.run(safe);
        assert_eq!(early.code, 2, "{}", early.out);
        assert!(early.err.contains("refresh interval") && early.err.contains("--force"), "{}", early.err);
        assert_eq!(states(&deployment), ["active", "staged"]);
    }
    let activated = deployment.keyring(&["activate", "2"]);
    let warned = activated["warning"].as_str().expect("a warning");
    assert!(warned.contains("refresh interval") && warned.ends_with("until they have"), "it is done: {warned}");
    assert_eq!(states(&deployment), ["deactivated", "active"]);
    let second = deployment.issue("live", &[]);
    assert_eq!(second["version"], 2);
    let second = second["api_key"].as_str().expect("a key");
    assert_eq!((verdict(&deployment, &first), verdict(&deployment, second)), (0, 0));

    let back = deployment.run(&["keyring", "activate", "1"]);
    assert!(back.code == 2 && back.err.contains("`bulla keyring activate 1 --rollback`"), "{}", back.err);
    deployment.keyring(&["activate", "1", "--rollback"]);
    assert_eq!(states(&deployment), ["active", "deactivated"]);
    assert_eq!(deployment.issue("live", &[])["version"], 1);
    assert_eq!((verdict(&deployment, &first), verdict(&deployment, second)), (0, 0));
    deployment.keyring(&["activate", "2", "--rollback"]);
    deployment.keyring(&["destroy", "1"]);
    assert_eq!((verdict(&deployment, &first), verdict(&deployment, second)), (1, 0));
}

#[test]
fn every_move_that_is_not_in_the_table_is_refused_and_told_what_is() {
    // Versions 1 to 5 end up destroyed, compromised, deactivated, active and staged.
    let deployment = Deployment::new();
    for number in 2..=5 {
        deployment.keyring(&["stage", "--source", &deployment.new_master(number)]);
        if number < 5 {
            deployment.keyring(&["activate", &number.to_string()]);
        }
    }
    deployment.keyring(&["destroy", "1"]);
    deployment.keyring(&["compromise", "2"]);
    let all = ["destroyed", "compromised", "deactivated", "active", "staged"];
    assert_eq!(states(&deployment), all);
    for (version, illegal) in [
        ("1", vec!["activate", "rollback", "compromise", "destroy"]),
        ("2", vec!["activate", "rollback", "compromise"]),
        ("3", vec!["activate"]),
        ("4", vec!["activate", "rollback", "destroy"]),
        ("5", vec!["rollback"]),
    ] {
        for illegal_move in illegal {
            let arguments = match illegal_move {
                "rollback" => vec!["keyring", "activate", version, "--rollback"],
                "activate" => vec!["keyring", "activate", version],
                ends => vec!["keyring", ends, version, "--yes"],
            };
            let ran = deployment.run(&arguments);
            assert_eq!(ran.code, 2, "{version} {illegal_move}: {}", ran.out);
            assert!(ran.err.contains("cannot be") && ran.err.contains("version"), "{}", ran.err);
            assert_eq!(states(&deployment), all, "{version} {illegal_move} changed something");
        }
    }
    assert!(deployment.run(&["keyring", "destroy", "9", "--yes"]).err.contains("no version 9"));
    assert!(deployment.run(&["keyring", "destroy", "0"]).err.contains("a number from 1"));
}

#[test]
fn compromising_the_active_version_takes_its_successor_along() {
    let deployment = Deployment::new();
    let key = deployment.issue_text("live", &[]);
    deployment.keyring(&["stage", "--source", &deployment.new_master(2)]);
    let unknown = deployment.run(&["keyring", "compromise", "1", "--successor", "7", "--yes"]);
    assert_eq!(
        (unknown.code, states(&deployment)),
        (2, vec!["active".to_owned(), "staged".to_owned()]),
        "all or nothing"
    );
    for (version, successor) in [("1", "1"), ("2", "2"), ("2", "1")] {
        let refused = deployment.run(&["keyring", "compromise", version, "--successor", successor, "--yes"]);
        assert!(
            refused.code == 2 && refused.err.contains("cannot have a successor"),
            "{version} {successor}: {}",
            refused.err
        );
    }
    deployment.keyring(&["compromise", "1", "--successor", "2"]);
    assert_eq!(states(&deployment), ["compromised", "active"]);
    assert_eq!(verdict(&deployment, &key), 1);
    assert_eq!(deployment.issue("live", &[])["version"], 2);

    deployment.keyring(&["compromise", "2"]);
    let stopped = deployment.run(&["issue", "--realm", "live", "--app", APP]);
    assert_eq!(stopped.code, 2, "without a successor issuing stops");
    assert!(stopped.err.contains("no active version"), "{}", stopped.err);
    deployment.keyring(&["stage", "--source", &deployment.new_master(3)]);
    deployment.keyring(&["activate", "3"]);
    assert_eq!(deployment.issue("live", &[])["version"], 3);
}

#[test]
fn limits_of_a_version_are_kept() {
    let deployment = Deployment::new();
    let key = deployment.issue_text("live", &[]);
    deployment.keyring(&["limit", "1", "--seal-until", "2020-01-01T00:00:00Z"]);
    assert!(deployment.run(&["issue", "--realm", "live", "--app", APP]).err.contains("seal_until"));
    assert_eq!(verdict(&deployment, &key), 0);
    deployment.keyring(&["limit", "1", "--verify-until", "2020-01-01T00:00:00Z"]);
    assert_eq!(verdict(&deployment, &key), 1);
    let shown = deployment.keyring(&["limit", "1"]);
    let past = json!("2020-01-01T00:00:00Z");
    assert_eq!((&shown["seal_until"], &shown["verify_until"]), (&past, &past), "one was not lost to the other");
    assert_eq!(deployment.keyring(&["limit", "1"])["serial"], shown["serial"], "it only shows");
    assert_eq!(verdict(&deployment, &key), 1);
    let kept = deployment.keyring(&["limit", "1", "--no-verify-until"]);
    assert_eq!((&kept["seal_until"], &kept["verify_until"]), (&past, &json!(null)));
    assert_eq!(verdict(&deployment, &key), 0);
    deployment.keyring(&["limit", "1", "--no-seal-until"]);
    deployment.issue("live", &[]);
}

#[test]
fn one_master_under_two_sources_survives_the_loss_of_either() {
    let deployment = Deployment::new();
    let key = deployment.issue_text("live", &[]);
    std::fs::copy(deployment.file("master-1.key"), deployment.file("copy.key")).expect("copied");
    let other = deployment.run(&["keyring", "rewrap", "1", "--add", &deployment.new_master(2)]);
    assert!(other.code == 2 && other.err.contains("holds another key"), "{}", other.err);
    deployment.keyring(&["rewrap", "1", "--add", "file:copy.key"]);
    assert_eq!(deployment.keyring(&["check"])["served"][0]["source"], "file:master-1.key");
    // While the other one does not serve, what is removed may be the last of the key.
    let remove = || deployment.run(&["keyring", "rewrap", "1", "--remove", "file:master-1.key"]);
    let (copy, away) = (deployment.file("copy.key"), deployment.file("away.key"));
    std::fs::rename(&copy, &away).expect("moved");
    let gone = remove();
    assert!(gone.code != 0 && gone.err.contains("no other one serves its key"), "{}", gone.err);
    std::fs::copy(deployment.file("master-2.key"), &copy).expect("another key");
    let wrong = remove();
    assert!(wrong.code != 0 && wrong.err.contains("holds another key"), "{}", wrong.err);
    std::fs::rename(&away, &copy).expect("back");
    assert_eq!(deployment.keyring(&["check"])["served"][0]["source"], "file:master-1.key", "it stayed");

    std::fs::remove_file(deployment.file("master-1.key")).expect("lost");
    let served = deployment.keyring(&["check"]);
    assert_eq!(served["served"][0]["source"], "file:copy.key");
    assert!(served["served"][0]["failed"][0].as_str().expect("why").contains("master-1.key"));
    assert_eq!(verdict(&deployment, &key), 0);
    deployment.keyring(&["rewrap", "1", "--remove", "file:master-1.key"]);
    let last = deployment.run(&["keyring", "rewrap", "1", "--remove", "file:copy.key"]);
    assert!(last.code == 2 && last.err.contains("only this source"), "{}", last.err);
    assert_eq!(deployment.issue("live", &[])["version"], 1);
}

#[test]
fn the_admin_plane_makes_the_same_moves() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let move_to = |path: &str, body: serde_json::Value| {
        let answer = server.admin.post(&format!("/v1/keyring/versions{path}"), &body);
        (answer.status, answer.json())
    };
    let uri = deployment.new_master(2);
    let (status, staged) = move_to("", json!({"sources": [uri]}));
    assert_eq!((status, &staged["state"]), (201, &json!("staged")));
    for safe in [json!({}), json!({"require_loaded": true}), json!({"require_loaded": true, "force": true})] {
        assert_eq!(move_to("/2/activate", safe.clone()).0, 409, "{safe}");
    }
    let (status, activated) = move_to("/2/activate", json!({"force": true}));
    assert_eq!((status, activated["warning"].is_string()), (200, true));
    let issued = server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP})).json();
    assert_eq!(issued["version"], 2, "the server that makes the move follows it at once");
    assert_eq!(move_to("/1/activate", json!({"rollback": true})).0, 200);
    assert_eq!(move_to("/2/compromise", json!({})).0, 200);
    assert_eq!(server.admin.request("POST", "/v1/keyring/versions/2/destroy", &[], "").status, 200, "no body, no type");
    assert_eq!(states(&deployment), ["active", "destroyed"]);

    for (path, body, status, kind) in [
        ("/2/activate", json!({}), 409, "conflict"),
        ("/9/destroy", json!({}), 404, "unknown-version"),
        ("/0/destroy", json!({}), 400, "bad-request"),
        ("/x/destroy", json!({}), 400, "bad-request"),
        ("/1/compromise", json!({"reason": "x"}), 400, "bad-request"),
        ("", json!({"sources": []}), 400, "bad-request"),
        ("", json!({"sources": ["nonsense"]}), 400, "bad-request"),
        ("", json!({"sources": ["file:nothing.key"]}), 400, "bad-request"),
        ("", json!({"sources": ["exec:/bin/true"]}), 400, "bad-request"),
        ("", json!({"sources": ["file:master-1.key"]}), 409, "conflict"),
    ] {
        let answer = server.admin.post(&format!("/v1/keyring/versions{path}"), &body);
        assert_eq!((answer.status, answer.problem().as_str()), (status, kind), "{path} {body}: {}", answer.body);
    }
    let reader = server.admin.bearer(&deployment.issue_text("bulla", &["--scope", "read"]));
    assert_eq!(reader.post("/v1/keyring/versions/1/compromise", &json!({})).status, 403);
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(deployment.file("keyring.toml"), std::fs::Permissions::from_mode(0o444))
        .expect("its mode");
    let read_only = server.admin.post("/v1/keyring/versions/1/compromise", &json!({}));
    assert_eq!((read_only.status, read_only.problem().as_str()), (409, "read-only-keyring"));
}

#[test]
fn staging_over_http_does_not_tell_what_files_there_are() {
    use std::os::unix::fs::PermissionsExt;
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let key = std::fs::read_to_string(deployment.file("master-1.key")).expect("a key");
    for (name, text, mode) in [("garbage", "hunter2", 0o600), ("open", key.as_str(), 0o644)] {
        let path = deployment.file(&format!("{name}.key"));
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its mode");
    }
    std::fs::create_dir(deployment.file("folder.key")).expect("made");
    let made = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(deployment.file("pipe.key")).status();
    assert!(made.expect("mkfifo runs").success());
    let answers = ["missing", "garbage", "open", "folder", "pipe"].map(|name| {
        let uri = format!("file:{name}.key");
        let answer = server.admin.post("/v1/keyring/versions", &json!({"sources": [uri]}));
        assert_eq!((answer.status, answer.problem().as_str()), (400, "bad-request"), "{name}: {}", answer.body);
        answer.body.replace(&uri, "file:NAME")
    });
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert!(answers[0].contains("file:NAME yields no key"), "{}", answers[0]);
    // Who has the machine reads it in the log.
    let log = server.stop();
    for told in [
        "missing.key: No such file",
        "garbage.key is not one line of base64",
        "open.key has mode 0644",
        "folder.key is not a file",
        "pipe.key is not a file",
    ] {
        assert!(log.contains(told), "{told}: {log}");
    }
}

#[test]
fn the_seal_budget_is_counted_shown_and_kept() {
    let deployment = Deployment::new();
    deployment.issue("live", &[]);
    let shown = deployment.keyring(&["show"]);
    assert_eq!(shown["versions"][0]["sealed"], json!({"bulla": 1, "live": 1}));
    let budget = shown["versions"][0]["seal_budget"].as_u64().expect("a budget");
    assert!(budget <= (1 << 32) / 10 * 9 && budget > (1 << 32) / 10 * 8, "{budget}");
    let set = |count: u64| {
        let set = format!("UPDATE seal_counts SET count = {count} WHERE realm = 'live'");
        assert_eq!(deployment.store().change(&set), 1);
    };
    set(budget - 1);
    deployment.issue("live", &[]);
    let spent = deployment.run(&["issue", "--realm", "live", "--app", APP]);
    assert_eq!(spent.code, 2);
    assert!(spent.err.contains("budget") && spent.err.contains("activate the next version"), "{}", spent.err);
    deployment.issue("test", &[]);
    let server = Server::start(&deployment);
    let over_http = server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP}));
    assert_eq!((over_http.status, over_http.problem().as_str()), (503, "unavailable"));
    assert_eq!(server.metric("bulla_sealed_api_keys{realm=\"live\",version=\"1\"}"), budget);
    server.until("the warning", |server| server.log().contains("half of the seal budget is used"));
    deployment.keyring(&["stage", "--source", &deployment.new_master(2), "--suite", "xaes-256-gcm"]);
    deployment.keyring(&["activate", "2"]);
    deployment.issue("live", &[]);
    assert_eq!(deployment.keyring(&["show"])["versions"][1]["seal_budget"], json!(null), "suite 2 has none");
}

/// Stages `source` as nothing checked it: as an older version of the command did.
fn stage_unchecked(deployment: &Deployment, source: &str) {
    let path = deployment.file("keyring.toml");
    let sources = bulla::source::Sources::new(deployment.path());
    let mac: bulla::source::SourceUri = "file:keyring-mac.key".parse().expect("a URI");
    let text = std::fs::read_to_string(&path).expect("the keyring");
    let mut document = bulla::keyring::KeyringDocument::parse(&text, &mac, &sources).expect("a keyring");
    let record = bulla::keyring::SourceRecord { uri: source.parse().expect("a URI"), wrapped: None };
    document
        .stage(bulla::keyring::Suite::default(), vec![record], &sources, crate::support::clock::now())
        .expect("staged");
    let key = bulla::keyring::MacKey::open(&mac, &sources, document.id()).expect("the MAC key");
    std::fs::write(&path, document.render(&key).expect("a document")).expect("written");
}

#[test]
fn a_key_of_another_purpose_is_no_master_key() {
    let deployment = Deployment::new();
    deployment.new_master(9);
    let key = std::fs::read_to_string(deployment.file("master-9.key")).expect("a key");
    deployment.secret_file("assertion.key", &key);
    let text = std::fs::read_to_string(deployment.file("bulla.toml")).expect("the configuration");
    let text = text
        .replace("signing_keys = []", "signing_keys = [\"file:assertion.key\"]")
        .replace("audience = \"\"", "audience = \"shop\"")
        .replace("issuer = \"\"", "issuer = \"bulla\"");
    std::fs::write(deployment.file("bulla.toml"), text).expect("written");
    let server = Server::start(&deployment);
    // By its bytes, under whatever name.
    std::fs::copy(deployment.file("pepper-1.key"), deployment.file("copy.key")).expect("copied");
    for (file, setting) in [
        ("pepper-1.key", "pepper.sources"),
        ("copy.key", "pepper.sources"),
        ("feed-signing.key", "feed.signing_key"),
        ("assertion.key", "assertion.signing_keys"),
        ("master-9.key", "assertion.signing_keys"),
    ] {
        let source = format!("file:{file}");
        let refused = deployment.run(&["keyring", "stage", "--source", &source]);
        assert!(refused.code == 2 && refused.err.contains(setting), "{file}: {}", refused.err);
        let refused = server.admin.post("/v1/keyring/versions", &json!({"sources": [source]}));
        assert_eq!((refused.status, refused.problem().as_str()), (400, "bad-request"), "{}", refused.body);
        assert!(refused.body.contains(setting), "{file}: {}", refused.body);
    }
    assert_eq!(states(&deployment), ["active"]);

    // What cannot be compared must not delay a rotation.
    let (pepper, away) = (deployment.file("pepper-1.key"), deployment.file("away.key"));
    std::fs::rename(&pepper, &away).expect("away");
    let staged = deployment.keyring(&["stage", "--source", &deployment.new_master(2)]);
    assert!(staged["warning"].as_str().is_some_and(|told| told.contains("pepper.sources")), "{staged}");
    std::fs::rename(&away, &pepper).expect("back");
    let staged = deployment.keyring(&["stage", "--source", &deployment.new_master(3)]);
    assert_eq!(staged["warning"], json!(null));
}

#[test]
fn a_master_key_of_another_purpose_is_told_and_ends_with_its_version() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    stage_unchecked(&deployment, "file:pepper-1.key");
    stage_unchecked(&deployment, "file:feed-signing.key");
    server.until("the word of it", |server| {
        let degraded = server.data.get("/readyz").json()["degraded"].to_string();
        let all = ["version 2 is a key of pepper.sources", "version 3 is a key of feed.signing_key"];
        all.iter().all(|told| degraded.contains(told))
    });
    server.stop();
    std::fs::copy(deployment.file("pepper-1.key"), deployment.file("copy.key")).expect("copied");
    let rewrapped = deployment.run(&["keyring", "rewrap", "2", "--add", "file:copy.key"]);
    assert!(rewrapped.code == 2 && rewrapped.err.contains("pepper.sources"), "{}", rewrapped.err);
    let doctor = deployment.run(&["doctor"]);
    assert!(doctor.code == 1 && doctor.out.contains("version 3 is a key of feed.signing_key"), "{}", doctor.out);
    let started = deployment.run(&["serve"]);
    assert!(started.code == 2 && started.err.contains("`bulla keyring destroy 2`"), "{}", started.err);
    deployment.keyring(&["destroy", "2"]);
    deployment.keyring(&["destroy", "3"]);
    deployment.run(&["doctor"]).ok();
    let server = Server::start(&deployment);
    server.until("that all is well", |server| server.data.get("/readyz").json()["degraded"] == json!([]));
    deployment.issue("live", &["--secret"]);
}

#[test]
fn automatic_rotation_takes_no_key_of_another_purpose() {
    let deployment = Deployment::new();
    deployment.configure("refresh_interval = \"60s\"", "refresh_interval = \"1s\"");
    deployment.configure(
        "automatic = false\nevery = \"90d\"\nsources = []",
        "automatic = true\nevery = \"1s\"\nsources = [\"file:pepper-1.key\"]",
    );
    let server = Server::start(&deployment);
    server.until("the word of it", |server| {
        let degraded = server.data.get("/readyz").json()["degraded"].to_string();
        degraded.contains("automatic rotation") && degraded.contains("pepper.sources")
    });
    assert_eq!(states(&deployment), ["active"]);
}
