//! A core of the running server holds neither master key, nor seal key, nor an API key it was shown.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use crate::support::{
    deployment::{APP, Deployment},
    server::Server,
};

#[test]
fn a_core_holds_no_key() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let mut shown = vec![deployment.admin_key.clone()];
    for _ in 0..20 {
        let issued = server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP})).json();
        let key = issued["api_key"].as_str().expect("a key").to_owned();
        server.data.post("/v1/verify", &json!({"api_key": key}));
        server.data.request("GET", "/v1/authorize", &[("x-api-key", &key)], "");
        shown.push(key);
    }
    let core = take_core(&deployment, server.id());
    let master = std::fs::read_to_string(deployment.file("master-1.key")).expect("the master key");
    let master = STANDARD.decode(master.trim()).expect("base64");
    let id = deployment.keyring(&["show"])["keyring_id"].as_str().expect("hex").to_owned();
    let id: Vec<u8> = (0..16).map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).expect("hex")).collect();
    for realm in ["live", "bulla"] {
        let info = [b"bulla/v1 seal\0".as_slice(), &id, &[1], &1u32.to_be_bytes(), realm.as_bytes(), &[1]].concat();
        let seal_key = Hmac::<Sha256>::new_from_slice(&master).expect("any length").chain_update(&info).finalize();
        assert!(!holds(&core, &seal_key.into_bytes()[..16]), "the seal key of {realm}");
    }
    assert!(!holds(&core, &master[..16]), "the master key");
    assert!(!holds(&core, &STANDARD.encode(&master).as_bytes()[..20]), "the master key as it stands in its file");
    for key in &shown {
        assert!(!holds(&core, &key.as_bytes()[key.len() - 30..]), "an API key");
    }
    assert_eq!(server.data.get("/healthz").status, 200, "it goes on serving");
}

/// The core as a debugger takes it from a running process.
fn take_core(deployment: &Deployment, id: u32) -> Vec<u8> {
    let prefix = deployment.file("core");
    let taken = std::process::Command::new("gcore").arg("-o").arg(&prefix).arg(id.to_string()).output();
    let taken = taken.expect("gcore is missing: ./tests/run installs gdb");
    let path = deployment.file(&format!("core.{id}"));
    let core = std::fs::read(&path).unwrap_or_else(|error| panic!("{error}: {taken:?}"));
    assert!(core.starts_with(b"\x7fELF"), "a core");
    core
}

fn holds(core: &[u8], secret: &[u8]) -> bool {
    core.windows(secret.len()).any(|window| window == secret)
}
