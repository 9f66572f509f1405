//! The real command and the real service on real devices: a rotation onto an HSM that then goes away, a KMS that is lost, and
//! what `bulla doctor` says of the mistakes a person makes on the way.

use serde_json::{Value, json};

use crate::{
    parts::{
        moto::{Moto, REGION},
        openbao::OpenBao,
        p11_kit::P11Kit,
        softhsm::SoftHsm,
        world,
    },
    support::{
        command::run,
        deployment::{APP, Deployment},
        server::Server,
    },
};

/// A deployment that trusts `sources` too.
pub fn trusting(sources: &[&str]) -> Deployment {
    world::folder();
    let deployment = Deployment::new();
    let all: Vec<String> = ["file:"].iter().chain(sources).map(|one| format!("{one:?}")).collect();
    deployment.configure("trusted_sources = [\"file:\"]", &format!("trusted_sources = [{}]", all.join(", ")));
    deployment
}

fn active(server: &Server, key: &Value) -> bool {
    server.data.post("/v1/verify", &json!({"api_key": key})).json()["active"] == true
}

#[test]
fn a_running_service_rotates_onto_an_hsm_and_does_not_miss_it_when_it_is_gone() {
    world::folder();
    SoftHsm::get();
    let mut p11_kit = P11Kit::start_as("service-p11-kit");
    let module = format!("pkcs11:token=bulla?module-path={}", p11_kit.module);
    let deployment = trusting(&[&module]);
    let pin = world::file(deployment.path(), "pin", "1234");
    let uri =
        format!("pkcs11:token=bulla;object=master-1?module-path={}&pin-source=file:{}", p11_kit.module, pin.display());
    let server = Server::start_with(&deployment, &[("P11_KIT_SERVER_ADDRESS", &p11_kit.address())]);
    let first = deployment.issue("live", &[])["api_key"].clone();

    let staged = server.admin.post("/v1/keyring/versions", &json!({"sources": [uri]}));
    assert_eq!(staged.status, 201, "{}", staged.body);
    assert_eq!(server.admin.post("/v1/keyring/versions/2/activate", &json!({})).status, 200);
    let issue = || server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP})).json();
    let second = issue();
    assert_eq!(second["version"], 2);

    p11_kit.go_away();
    server.signal("HUP");
    server.until("the failed reload", |server| server.metric("bulla_keyring_refresh_failing") == 1);
    let degraded = server.data.get("/readyz").json();
    assert!(degraded["degraded"][0]["detail"].as_str().expect("why").contains("pkcs11:"), "{degraded}");
    let third = issue();
    assert_eq!(third["version"], 2, "it issues without the device");
    assert!([&first, &second["api_key"], &third["api_key"]].into_iter().all(|key| active(&server, key)));

    p11_kit.come_back();
    server.until("the recovery", |server| server.metric("bulla_keyring_refresh_failing") == 0);
    assert!(active(&server, &third["api_key"]));
}

#[test]
fn a_lost_kms_loses_nothing_where_a_second_one_wraps_the_same_key() {
    world::folder();
    let (kept, lost) = (Moto::get(), Moto::another());
    let uri = |moto: &Moto, key: &str| format!("aws-kms:{key}?mode=unwrap&region={REGION}&endpoint={}", moto.url());
    let (first, second) = (uri(&lost, &lost.wrapping_key()), uri(kept, &kept.wrapping_key()));
    let deployment = trusting(&[&first, &second]);
    deployment.keyring(&["stage", "--source", &first]);
    deployment.keyring(&["activate", "2"]);
    let before = deployment.issue_text("live", &[]);
    deployment.keyring(&["rewrap", "2", "--add", &second]);
    assert_eq!(deployment.keyring(&["check"])["served"][1]["source"], first);

    drop(lost);
    let served = deployment.keyring(&["check"]);
    assert_eq!(served["served"][1]["source"], second, "{served}");
    let after = deployment.issue_text("live", &[]);
    for key in [&before, &after] {
        deployment.run_with(&["verify", "-"], key).ok();
    }
    deployment.keyring(&["rewrap", "2", "--remove", &first]);
    assert_eq!(deployment.keyring(&["check"])["served"][1]["failed"], json!([]));
}

#[test]
fn a_deployment_moves_from_a_file_to_transit_without_reissuing_a_key() {
    world::folder();
    let bao = OpenBao::get();
    let trusted = format!("vault-transit:{}", bao.url);
    let deployment = trusting(&[&trusted]);
    let key = deployment.issue_text("live", &[]);
    let master = std::fs::read_to_string(deployment.file("master-1.key")).expect("the master key");
    bao.import("moved", master.trim());
    let token = bao.token("moved", "path \"transit/hmac/moved\" { capabilities = [\"update\"] }");
    let uri = format!("vault-transit:{}/transit/moved?key_version=1&token-source=file:{}", bao.url, token.display());
    deployment.keyring(&["rewrap", "1", "--add", &uri]);
    deployment.keyring(&["rewrap", "1", "--remove", "file:master-1.key"]);
    std::fs::remove_file(deployment.file("master-1.key")).expect("moved away");
    deployment.run_with(&["verify", "-"], &key).ok();
    assert_eq!(deployment.issue("live", &[])["version"], 1);
}

/// What doctor says is wrong with a deployment whose version 2 is at `uri`, after `spoil`.
fn doctor_after(uri: &str, trusted: &str, spoil: impl FnOnce(&Deployment)) -> String {
    let deployment = trusting(&[trusted]);
    world::file(deployment.path(), "pin", "1234");
    deployment.keyring(&["stage", "--source", uri]);
    deployment.run(&["doctor"]).ok();
    spoil(&deployment);
    let ran = run(deployment.path(), &["doctor"]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    ran.out
}

#[test]
fn doctor_names_the_mistakes_that_people_make_with_devices() {
    world::folder();
    let module = &SoftHsm::get().module;
    let hsm = format!("pkcs11:token=bulla;object=master-1?module-path={module}&pin-source=file:pin");
    let trusted = format!("pkcs11:?module-path={module}");
    let wrong_pin = doctor_after(&hsm, &trusted, |deployment| {
        world::file(deployment.path(), "pin", "999999");
    });
    assert!(wrong_pin.contains("the PIN is wrong"), "{wrong_pin}");
    let open_pin = doctor_after(&hsm, &trusted, |deployment| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(deployment.file("pin"), std::fs::Permissions::from_mode(0o644)).expect("its mode");
    });
    assert!(open_pin.contains("chmod 600"), "{open_pin}");

    let moto = Moto::get();
    let kms = format!("aws-kms:{}?mode=unwrap&region={REGION}&endpoint={}", moto.wrapping_key(), moto.url());
    let wrong_context = doctor_after(&kms, &kms, |deployment| {
        // Another keyring's wrapped key, in a document that is otherwise in order.
        let sources = bulla::Sources::new(deployment.path());
        let mac: bulla::SourceUri = "file:keyring-mac.key".parse().expect("a URI");
        let text = std::fs::read_to_string(deployment.file("keyring.toml")).expect("the keyring");
        let other = bulla::KeyringId::random().expect("an id").to_string();
        let id = bulla::KeyringDocument::parse(&text, &mac, &sources).expect("the keyring").id().to_string();
        let text = resigned(&text.replace(&id, &other), deployment);
        std::fs::write(deployment.file("keyring.toml"), text).expect("written");
    });
    // Version 1 is in a file, so its check value tells first; of version 2 the KMS itself says no.
    assert!(
        wrong_context.contains("key-check value") || wrong_context.contains("encryption context"),
        "{wrong_context}"
    );
    let moto_port = moto.port.to_string();
    let unreachable = doctor_after(&kms, &kms, |deployment| {
        deployment.configure(&moto_port, "9");
        let path = deployment.file("keyring.toml");
        let text = std::fs::read_to_string(&path).expect("the keyring").replace(&moto_port, "9");
        std::fs::write(path, resigned(&text, deployment)).expect("written");
    });
    assert!(unreachable.contains("aws-kms:") && unreachable.contains("cannot be reached"), "{unreachable}");
}

/// The document with a MAC that is right for what it says now, computed as docs/FORMAT.md has it.
fn resigned(text: &str, deployment: &Deployment) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use hmac::{Hmac, KeyInit, Mac};
    use sha2::Sha256;
    let key = std::fs::read_to_string(deployment.file("keyring-mac.key")).expect("the MAC key");
    let key = STANDARD.decode(key.trim()).expect("base64");
    let id = text.lines().find_map(|line| line.strip_prefix("keyring_id = \"")).expect("an id").trim_end_matches('"');
    let id: Vec<u8> = (0..16).map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).expect("hex")).collect();
    let hmac = |key: &[u8], bytes: &[u8]| {
        Hmac::<Sha256>::new_from_slice(key).expect("any length").chain_update(bytes).finalize().into_bytes()
    };
    let key = hmac(&key, &[b"bulla/v1 keyring-mac\0".as_slice(), &id, &[1]].concat());
    let signed = &text[..text.find("hmac_sha256 = ").expect("the last line")];
    let mac: String = hmac(&key, signed.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{signed}hmac_sha256 = \"{mac}\"\n")
}
