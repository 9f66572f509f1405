//! The real command and the real service on real devices: a rotation onto an HSM that then goes away, a KMS that is
//! lost, and what `bulla doctor` says of the mistakes a person makes on the way.

use serde_json::{Value, json};

use crate::parts::{
    moto::{Moto, REGION},
    openbao::OpenBao,
    p11_kit::P11Kit,
    softhsm::SoftHsm,
    world,
};
use crate::support::{
    command::run,
    deployment::{APP, Deployment},
    server::Server,
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
    assert_eq!(server.admin.post("/v1/keyring/versions/2/activate", &json!({"force": true})).status, 200);
    let issue = || server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP})).json();
    let second = issue();
    assert_eq!(second["version"], 2);

    p11_kit.go_away();
    server.signal("HUP");
    server.until("the failed reload", |server| server.metric("bulla_keyring_refresh_failing") == 1);
    server.until("why", |server| {
        let ready = server.data.get("/readyz").json();
        ready["degraded"][0]["detail"].as_str().is_some_and(|why| why.contains("pkcs11:"))
    });
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
        let sources = bulla::source::Sources::new(deployment.path());
        let mac: bulla::source::SourceUri = "file:keyring-mac.key".parse().expect("a URI");
        let text = std::fs::read_to_string(deployment.file("keyring.toml")).expect("the keyring");
        let other = bulla::keyring::KeyringId::random().expect("an id").to_string();
        let id = bulla::keyring::KeyringDocument::parse(&text, &mac, &sources).expect("the keyring").id().to_string();
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

/// Holds a server as a network that drops its packets would, and everything it started.
fn hold(server: u32, held: bool) {
    let signal = if held { "-STOP" } else { "-CONT" };
    let children = std::process::Command::new("pgrep").args(["-P", &server.to_string()]).output().expect("pgrep runs");
    let children = String::from_utf8(children.stdout).expect("numbers");
    for id in children.split_whitespace().chain([server.to_string().as_str()]) {
        std::process::Command::new("kill").args([signal, id]).status().expect("kill runs");
    }
}

#[test]
fn a_compromise_is_in_force_while_an_hsm_hangs() {
    world::folder();
    SoftHsm::get();
    let p11_kit = P11Kit::start_as("hanging-p11-kit");
    let module = format!("pkcs11:token=bulla?module-path={}", p11_kit.module);
    let deployment = trusting(&[&module]);
    let pin = world::file(deployment.path(), "pin", "1234");
    let uri =
        format!("pkcs11:token=bulla;object=master-1?module-path={}&pin-source=file:{}", p11_kit.module, pin.display());
    let environment = [("P11_KIT_SERVER_ADDRESS", p11_kit.address())];
    let environment = [(environment[0].0, environment[0].1.as_str()), ("BULLA_SERVER__SHUTDOWN_GRACE", "10s")];
    let server = Server::start_with(&deployment, &environment);
    let old = deployment.issue("live", &[])["api_key"].clone();
    let staged = server.admin.post("/v1/keyring/versions", &json!({"sources": [uri]}));
    assert_eq!(staged.status, 201, "{}", staged.body);
    assert_eq!(server.admin.post("/v1/keyring/versions/2/activate", &json!({"force": true})).status, 200);
    let new = server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP})).json()["api_key"].clone();
    assert!(active(&server, &old) && active(&server, &new));

    hold(p11_kit.id(), true);
    server.signal("HUP");
    let asking = |server: &Server| {
        let ready = server.data.get("/readyz").json();
        ready["degraded"][0]["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("asking the key sources has taken"))
    };
    server.until("the word of what hangs", asking);
    deployment.keyring(&["compromise", "1"]);
    server.within("the compromise", |server| !active(server, &old));
    assert!(active(&server, &new), "the other version's keys are at hand");
    // A command says which source it is, and ends.
    let mut command = crate::support::command::bulla(deployment.path());
    command.args(["keyring", "check"]).env("P11_KIT_SERVER_ADDRESS", p11_kit.address());
    let checked = crate::support::command::finish(&mut command, "");
    assert_eq!(checked.code, 2);
    assert!(checked.err.contains("pkcs11:") && checked.err.contains("no answer within"), "{}", checked.err);
    server.until("the source told", |server| {
        server.data.get("/readyz").body.contains("no answer within")
            || server.data.get("/readyz").body.contains("has not answered for")
    });
    hold(p11_kit.id(), false);
    server.until("the recovery", |server| server.metric("bulla_keyring_refresh_failing") == 0);

    hold(p11_kit.id(), true);
    server.signal("HUP");
    server.until("the word of what hangs", asking);
    server.stop();
    hold(p11_kit.id(), false);
}

#[test]
fn versions_at_one_server_that_hangs_are_asked_at_once_and_hold_no_compromise_up() {
    world::folder();
    let bao = OpenBao::start("bao-that-hangs");
    let trusted = format!("vault-transit:{}", bao.url);
    let deployment = trusting(&[&trusted]);
    let token = bao.token("hanging", "path \"transit/hmac/*\" { capabilities = [\"update\"] }");
    for number in 2..6 {
        bao.bao(&["write", &format!("transit/keys/hanging-{number}"), "type=hmac", "key_size=32"]);
        let uri = format!(
            "vault-transit:{}/transit/hanging-{number}?key_version=1&token-source=file:{}",
            bao.url,
            token.display()
        );
        deployment.keyring(&["stage", "--source", &uri]);
    }
    deployment.keyring(&["activate", "5"]);
    let server = Server::start(&deployment);
    let new = deployment.issue("live", &[])["api_key"].clone();
    deployment.keyring(&["activate", "4"]);
    server.until("the other version", |server| server.data.get("/readyz").json()["active_version"] == 4);
    hold(bao.id(), true);
    server.signal("HUP");
    let compromised = deployment.run(&["keyring", "compromise", "5", "--yes"]);
    assert_eq!(compromised.code, 0, "{}", compromised.err);
    server.within("the compromise", |server| !active(server, &new));
    server.until("all four told", |server| {
        let ready = server.data.get("/readyz").body;
        ["hanging-2", "hanging-3", "hanging-4"].iter().all(|key| ready.contains(key))
    });
    server.stop();
    hold(bao.id(), false);
}

#[test]
fn a_rate_limit_is_waited_out_and_starts_nothing_over() {
    world::folder();
    let bao = OpenBao::start("bao-with-a-quota");
    let trusted = format!("vault-transit:{}", bao.url);
    let deployment = trusting(&[&trusted]);
    let token = bao.token("quota", "path \"transit/hmac/*\" { capabilities = [\"update\"] }");
    for number in 1..=3 {
        let key = format!("transit/keys/key-{number}");
        bao.bao(&["write", &key, "type=hmac", "key_size=32"]);
        let uri = format!(
            "vault-transit:{}/transit/key-{number}?key_version=1&token-source=file:{}",
            bao.url,
            token.display()
        );
        deployment.keyring(&["stage", "--source", &uri]);
    }
    // All versions are asked at once, and one at a time is answered.
    bao.bao(&["write", "sys/quotas/rate-limit/few", "path=transit", "rate=1", "interval=2s"]);
    let server = Server::start(&deployment);
    server.until("all is well", |server| server.data.get("/readyz").json()["degraded"] == json!([]));
}

#[test]
fn a_start_that_waits_for_its_source_ends_at_what_waiting_does_not_change() {
    world::folder();
    let bao = OpenBao::start("bao-to-wait-for");
    let trusted = format!("vault-transit:{}", bao.url);
    let deployment = trusting(&[&trusted]);
    let token = bao.token("waiting", "path \"transit/hmac/*\" { capabilities = [\"update\"] }");
    let uri = format!("vault-transit:{}/transit/master-1?key_version=1&token-source=file:{}", bao.url, token.display());
    deployment.keyring(&["stage", "--source", &uri]);
    bao.seal();
    let mut waiting = Waiting::start(&deployment);
    waiting.until("waiting for a key source");
    bao.unseal();
    waiting.until("serving");
    waiting.end();

    bao.seal();
    let mut waiting = Waiting::start(&deployment);
    waiting.until("waiting for a key source");
    // A malformed token: nothing waits for it.
    std::fs::write(&token, "none\n").expect("written");
    bao.unseal();
    let (code, said) = waiting.ended();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("the token is not valid"), "{said}");
}

/// `bulla serve --wait-for-source`.
struct Waiting {
    process: std::process::Child,
    lines: std::io::Lines<std::io::BufReader<std::process::ChildStderr>>,
}

impl Waiting {
    fn start(deployment: &Deployment) -> Self {
        let mut process = crate::support::command::bulla(deployment.path())
            .args(["serve", "--wait-for-source", "--data-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .env("BULLA_METRICS__LISTEN", "")
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("started");
        let lines = std::io::BufRead::lines(std::io::BufReader::new(process.stderr.take().expect("its log")));
        Waiting { process, lines }
    }

    fn until(&mut self, word: &str) {
        assert!(self.lines.by_ref().map_while(Result::ok).any(|line| line.contains(word)), "{word}");
    }

    fn ended(mut self) -> (Option<i32>, String) {
        let said: Vec<String> = self.lines.by_ref().map_while(Result::ok).collect();
        (self.process.wait().expect("it ends").code(), said.join("\n"))
    }

    fn end(mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("reaped");
    }
}
