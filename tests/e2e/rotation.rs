//! No valid key is lost: two servers on one keyring, under load, through a whole rotation and a compromise.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    deployment::{APP, Deployment},
    http::Http,
    server::Server,
    stop::StopOnDrop,
};

/// Keys that are valid, and whatever of them was rejected.
#[derive(Default)]
struct Load {
    keys: Mutex<Vec<String>>,
    checked: AtomicU64,
    lost: Mutex<Vec<String>>,
    stop: AtomicBool,
}

impl Load {
    fn add(&self, issued: &Value) {
        self.keys.lock().expect("the keys").push(issued["api_key"].as_str().expect("a key").to_owned());
    }

    /// Verifies all keys on `data` again and again, and issues one more with `admin` in between.
    fn run(&self, data: &Http, admin: &Http) {
        while !self.stop.load(Ordering::Relaxed) {
            let issued = admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP}));
            assert_eq!(issued.status, 201, "{}", issued.body);
            self.add(&issued.json());
            let keys: Vec<String> = self.keys.lock().expect("the keys").iter().rev().take(500).cloned().collect();
            let results = data.post("/v1/verify/batch", &json!({"api_keys": keys})).json();
            for (key, result) in keys.iter().zip(results["results"].as_array().expect("results")) {
                self.checked.fetch_add(1, Ordering::Relaxed);
                if result["active"] != true {
                    self.lost.lock().expect("the lost").push(key.clone());
                }
            }
        }
    }

    /// Lets the load go over what is there now once more.
    fn round(&self) {
        let goal = self.checked.load(Ordering::Relaxed) + 2_000;
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.checked.load(Ordering::Relaxed) < goal {
            assert!(Instant::now() < deadline, "the load stands still");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn everywhere(servers: &[Server; 2], serial: &Value) {
    for server in servers {
        server.until("the new serial", |server| {
            server.metric("bulla_keyring_serial") == serial.as_u64().expect("a number")
        });
    }
}

#[test]
fn through_stage_activate_rollback_and_activate_no_valid_key_is_rejected() {
    let deployment = Deployment::new();
    let servers = [Server::start(&deployment), Server::start(&deployment)];
    let load = Load::default();
    load.add(&deployment.issue("live", &[]));
    std::thread::scope(|scope| {
        let _stop = StopOnDrop(&load.stop);
        for at in 0..2 {
            let (load, servers) = (&load, &servers);
            // Each server verifies what the other one issues.
            scope.spawn(move || load.run(&servers[at].data, &servers[1 - at].admin));
        }
        let staged = deployment.keyring(&["stage", "--source", &deployment.new_master(2), "--suite", "xaes-256-gcm"]);
        everywhere(&servers, &staged["serial"]);
        load.round();
        for arguments in
            [vec!["activate", "2"], vec!["activate", "1", "--rollback"], vec!["activate", "2", "--rollback"]]
        {
            let moved = deployment.keyring(&arguments);
            load.round();
            everywhere(&servers, &moved["serial"]);
            load.round();
        }
        load.stop.store(true, Ordering::Relaxed);
    });
    let lost = load.lost.into_inner().expect("the lost");
    assert!(lost.is_empty(), "{} of {:?} checks", lost.len(), load.checked);
    let versions = |version: u32| {
        servers
            .iter()
            .map(|server| server.metric(&format!("bulla_verify_accepted_total{{version=\"{version}\"}}")))
            .sum::<u64>()
    };
    assert!(
        versions(1) > 1_000 && versions(2) > 1_000,
        "both versions were under load: {} {}",
        versions(1),
        versions(2)
    );
}

#[test]
fn a_compromise_takes_every_key_of_its_version_and_no_other() {
    let deployment = Deployment::new();
    let servers = [Server::start(&deployment), Server::start(&deployment)];
    let old: Vec<String> = (0..3).map(|_| deployment.issue_text("live", &[])).collect();
    let staged = deployment.keyring(&["stage", "--source", &deployment.new_master(2)]);
    everywhere(&servers, &staged["serial"]);
    let activated = deployment.keyring(&["activate", "2"]);
    everywhere(&servers, &activated["serial"]);
    let staged = deployment.keyring(&["stage", "--source", &deployment.new_master(3)]);
    everywhere(&servers, &staged["serial"]);
    let exposed: Vec<String> = (0..3).map(|_| deployment.issue_text("live", &[])).collect();
    let compromised = deployment.keyring(&["compromise", "2", "--successor", "3"]);
    everywhere(&servers, &compromised["serial"]);
    let issued = servers[0].admin.bearer(&deployment.issue_text("bulla", &["--scope", "issue"]));
    let new = issued.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP})).json();
    assert_eq!(new["version"], 3);
    for server in &servers {
        let active = |key: &str| server.data.post("/v1/verify", &json!({"api_key": key})).json()["active"] == true;
        assert!(exposed.iter().all(|key| !active(key)), "every key of the compromised version is rejected");
        assert!(old.iter().all(|key| active(key)), "those of another version are not touched");
        assert!(active(new["api_key"].as_str().expect("a key")));
    }
}

#[test]
fn rotation_by_age_needs_no_hand() {
    let deployment = Deployment::new();
    let next = deployment.new_master(2);
    deployment.configure("refresh_interval = \"60s\"", "refresh_interval = \"1s\"");
    deployment.configure(
        "automatic = false\nevery = \"90d\"\nsources = []",
        &format!("automatic = true\nevery = \"1s\"\nsources = [\"{next}\"]"),
    );
    let server = Server::start(&deployment);
    let key = deployment.issue_text("live", &[]);
    server.until("the rotation", |server| server.data.get("/readyz").json()["active_version"] == 2);
    assert_eq!(server.data.post("/v1/verify", &json!({"api_key": key})).json()["active"], true);
    server
        .until("the word that no source is left", |server| server.log().contains("all of rotation.sources are in use"));
}
