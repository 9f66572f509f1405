//! A gate: opened from files, kept current by a feed or by its host, and ready answers.

use std::{
    net::IpAddr,
    os::unix::fs::OpenOptionsExt,
    thread,
    time::{Duration, Instant},
};

use bulla::{
    ApiKey, IssueRequest, Issuer,
    claims::Claims,
    gateway::{Answer, Gate, GateError, HEADERS, Presented, Settings, now},
    keyring::{EdgeKey, Keyring, KeyringDocument, RealmExport, Suite, VersionState},
    revocation::Change,
};

use crate::{
    allocation::counted,
    feed_server::{FeedServer, public_key, signing_key},
    fixture::{self, Folder, KEYRING_ID, MASTER_7, Version, realm},
};

/// A worked example; to a feed in a test it is a password like any other.
const FEED_API_KEY: &str =
    "acme_live_00000XzbyFf5rOyRXQyt8VBSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw";

const BASIC: &str = "Basic realm=\"bulla\", Bearer";

/// A keyring on disk, a feed, and keys.
struct World {
    folder: Folder,
    document: KeyringDocument,
    server: FeedServer,
}

impl World {
    fn new() -> Self {
        let folder = Folder::new();
        let document = folder.document(&[Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7)]);
        folder.put("keyring.toml", document.render(&folder.mac_key(&document)).expect("rendered"), 0o644);
        folder.put("feed.key", FEED_API_KEY, 0o600);
        World { folder, document, server: FeedServer::start(FEED_API_KEY, now) }
    }

    fn follow(&self, sources: &str) -> String {
        format!(
            "[follow]\nsources = [{sources}]\nkeyring_id = '{}'\npublic_key = '{}'\napi_key = 'feed.key'\n",
            hex::encode(KEYRING_ID),
            public_key()
        )
    }

    /// Settings with the keyring itself.
    fn settings(&self, more: &str) -> Settings {
        let follow = self.follow(&format!("'{}'", self.server.address().replace("/v1/revocations", "")));
        self.parse(&format!(
            "{follow}{more}[keyring]\nsource = 'file:keyring.toml'\nmac_source = 'file:mac.key'\n\
             [verify]\ndefault_realms = ['acme_live']\n[realms.acme_live]\n[realms.acme_test]\n"
        ))
    }

    fn parse(&self, text: &str) -> Settings {
        Settings::parse(text, &self.folder.path("")).expect("settings")
    }

    fn issue(&self, of: &str, claims: Claims) -> ApiKey {
        let keyring = Keyring::load(&self.document, &self.folder.sources(), &[realm(of)]).expect("loaded");
        let request =
            IssueRequest { realm: realm(of), app_id: uuid::Uuid::max(), expires_at: Some(now() + 600), claims };
        Issuer::new(&keyring).issue(&request, now()).expect("issued")
    }
}

fn ask(gate: &Gate, route: &str, headers: &[(&str, &str)], address: Option<IpAddr>) -> Answer {
    let wanted = gate.requirements(route).expect("requirements");
    let (mut presented, mut answer) = (Presented::new(&wanted), Answer::new());
    headers.iter().for_each(|(name, value)| presented.add(name.as_bytes(), value.as_bytes()));
    gate.check(&wanted, &presented, address, now(), &mut answer);
    answer
}

fn told(gate: &Gate, route: &str, headers: &[(&str, &str)]) -> (u16, &'static str, Option<String>) {
    let answer = ask(gate, route, headers, None);
    (answer.status(), answer.reason(), answer.challenge().map(str::to_owned))
}

fn status(gate: &Gate, key: &ApiKey) -> u16 {
    ask(gate, "realm:acme_live,realm:acme_test", &[("X-Api-Key", key.expose())], None).status()
}

/// Waits until the gate answers so.
fn becomes(gate: &Gate, key: &ApiKey, expected: u16) {
    let begun = Instant::now();
    while status(gate, key) != expected {
        assert!(begun.elapsed() < Duration::from_secs(120), "{expected}: {:?}", gate.counters(now()));
        thread::sleep(Duration::from_millis(5));
    }
}

fn revoke(key: &ApiKey) -> Change {
    Change::Revoke { id: key.id(), expires_at: None }
}

#[test]
fn a_gate_follows_its_feed_from_its_start_and_ends_at_once() {
    let world = World::new();
    let gate = Gate::open(&world.settings("")).expect("opened");
    let (one, other) = (world.issue("acme_live", Claims::new()), world.issue("acme_test", Claims::new()));
    assert_eq!((status(&gate, &one), gate.counters(now()).feed_age), (503, None), "nothing has come yet");

    let running = gate.start().expect("started");
    assert!(matches!(gate.start(), Err(GateError::Started)));
    becomes(&gate, &one, 200);
    let place = world.server.append(&[revoke(&one)]);
    becomes(&gate, &one, 401);
    assert_eq!(status(&gate, &other), 200);
    // The next question waits for news, and the drop does not wait for that.
    world.server.asked_from(place);
    let begun = Instant::now();
    drop(running);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!((status(&gate, &one), status(&gate, &other)), (401, 200), "what was known stays in force");
    let counters = gate.counters(now());
    assert_eq!((counters.seq, counters.revocations, counters.started_in), (place, 1, None));
    assert!(counters.accepted >= 2 && counters.rejected.contains(&("revoked", 2)), "{counters:?}");

    // It starts again.
    let _running = gate.start().expect("started");
    world.server.append(&[revoke(&other)]);
    becomes(&gate, &other, 401);
}

#[test]
fn the_answers_are_those_of_forward_authentication() {
    let world = World::new();
    let gate = Gate::open(&world.settings("")).expect("opened");
    let _running = gate.start().expect("started");
    let claims = Claims::new().with_scopes(["orders.read", "orders.write"]).with_audience(["shop"]);
    let claims = claims.with_meta([("plan", "gold")]).with_cidr(["192.0.2.0/24".parse().expect("a block")]);
    let (key, plain) = (world.issue("acme_live", claims), world.issue("acme_live", Claims::new()));
    becomes(&gate, &plain, 200);

    let bearer = format!("bearer {}", key.expose());
    let address = Some("192.0.2.7".parse().expect("an address"));
    let answer = ask(&gate, "scope:orders.read,aud:shop", &[("AUTHORIZATION", &bearer), ("cookie", "x")], address);
    assert_eq!((answer.status(), answer.reason(), answer.challenge()), (200, "", None));
    let headers: Vec<(&str, &str)> = answer.headers().collect();
    assert_eq!(headers.iter().map(|(name, _)| *name).collect::<Vec<_>>(), HEADERS);
    let id = key.id().to_string();
    assert_eq!(headers[0].1, "ffffffff-ffff-ffff-ffff-ffffffffffff");
    assert_eq!(
        [headers[1].1, headers[2].1, headers[3].1, headers[5].1],
        [&id, "acme_live", "orders.read orders.write", ""]
    );
    assert!(headers[4].1.ends_with('Z') && headers[4].1.len() == 20, "{}", headers[4].1);
    assert_eq!(answer.meta().collect::<Vec<_>>(), [("plan", "gold")]);
    assert_eq!(answer.audiences().collect::<Vec<_>>(), ["shop"]);

    let key = plain.expose();
    let basic = Some(BASIC.to_owned());
    assert_eq!(told(&gate, "-", &[]), (401, "no_credential", basic.clone()));
    assert_eq!(told(&gate, "-", &[("authorization", "Bearer"), ("x-api-key", key)]).0, 200);
    let several = Some(format!("{BASIC} error=\"invalid_request\""));
    assert_eq!(
        told(&gate, "-", &[("x-api-key", key), ("x-api-key", key)]),
        (401, "several_credentials", several.clone())
    );
    assert_eq!(told(&gate, "-", &[("x-api-key", &format!("{key}, {key}"))]), (401, "several_credentials", several));
    assert_eq!(told(&gate, "realm:acme_test", &[("x-api-key", key)]), (401, "realm", basic.clone()));
    assert_eq!(told(&gate, "-", &[("x-api-key", &key.replace('_', "-"))]), (401, "checksum", basic));
    let scope = Some("Bearer error=\"insufficient_scope\", scope=\"a b\"".to_owned());
    assert_eq!(told(&gate, "scope:a,scope:b", &[("x-api-key", key)]), (403, "scope", scope));
    assert_eq!(told(&gate, "from:x-key", &[("x-api-key", key)]), (401, "no_credential", Some("Bearer".to_owned())));
    assert_eq!(told(&gate, "from:x-key", &[("x-api-key", "a"), ("X-Key", key)]).0, 200);
    for (route, told) in [("realm:other", "no [realms.other]"), ("scope", "part 1"), ("nope:1", "part 1")] {
        let error = gate.requirements(route).expect_err(route).to_string();
        assert!(error.contains(told), "{error}");
    }
    let huge = "x".repeat(100 << 10);
    assert_eq!(told(&gate, "-", &[("x-api-key", &huge)]).0, 401);
    let wanted = gate.requirements("-").expect("requirements");
    assert!(wanted.is_read(b"X-API-KEY") && !wanted.is_read(b"cookie") && wanted.headers().count() == 2);
}

#[test]
fn a_host_may_apply_the_messages_itself_without_a_thread() {
    let world = World::new();
    let settings = world.parse(&format!(
        "{}max_stale = '10s'\n[keyring]\nsource = 'file:keyring.toml'\nmac_source = 'file:mac.key'\n[realms.acme_live]\n",
        world.follow("")
    ));
    let gate = Gate::open(&settings).expect("opened");
    let key = world.issue("acme_live", Claims::new());
    let check = |at| {
        let wanted = gate.requirements("realm:acme_live").expect("requirements");
        let mut answer = Answer::new();
        gate.verify(&wanted, key.expose().as_bytes(), None, at, &mut answer);
        (answer.status(), answer.reason())
    };
    let at = now();
    assert_eq!(
        (check(at), gate.question(25).expect("a feed")),
        ((503, "stale"), "/v1/revocations?after=0&wait=25s".to_owned())
    );
    world.server.append(&[revoke(&world.issue("acme_live", Claims::new()))]);
    assert!(!gate.apply(&world.server.message(0, at), at).expect("applied"));
    assert_eq!((check(at + 10), check(at + 11)), ((200, ""), (503, "stale")));
    assert_eq!(gate.question(0).expect("a feed"), "/v1/revocations?after=1");
    world.server.append(&[revoke(&key)]);
    gate.apply(&world.server.message(1, at), at).expect("applied");
    assert_eq!(check(at), (401, "revoked"));

    let refused = gate.apply(b"not a message", at).expect_err("refused").to_string();
    assert!(refused.contains("not a signature"), "{refused}");
    assert_eq!((check(at), gate.counters(at).refused_messages), ((401, "revoked"), 1));
}

#[test]
fn a_keyring_is_swapped_in_place() {
    let world = World::new();
    let gate = Gate::open(&world.settings("")).expect("opened");
    let running = gate.start().expect("started");
    let old = world.issue("acme_live", Claims::new());
    becomes(&gate, &old, 200);

    let versions = [
        Version::new(7, Suite::Aes256Gcm, VersionState::Deactivated, MASTER_7),
        Version::new(8, Suite::Aes256Gcm, VersionState::Active, [8; 32]),
    ];
    let document = world.folder.document(&versions);
    let text = document.render(&world.folder.mac_key(&document)).expect("rendered");
    let keyring = Keyring::load(&document, &world.folder.sources(), &[realm("acme_live")]).expect("loaded");
    let request =
        IssueRequest { realm: realm("acme_live"), app_id: uuid::Uuid::max(), expires_at: None, claims: Claims::new() };
    let key = Issuer::new(&keyring).issue(&request, now()).expect("issued");
    assert_eq!(told(&gate, "-", &[("x-api-key", key.expose())]).1, "version_unknown");
    world.folder.put("keyring.toml", "broken", 0o644);
    assert!(gate.reload().is_err() && gate.counters(now()).reload_error.is_some());
    assert_eq!(status(&gate, &old), 200, "what fails changes nothing");
    // The thread sees the change.
    world.folder.put("keyring.toml", text, 0o644);
    becomes(&gate, &key, 200);
    assert_eq!((status(&gate, &old), gate.counters(now()).reload_error), (200, None));
    drop(running);
}

/// The document of these versions on disk, whether their key files are there or not.
fn put_keyring(world: &World, versions: &[Version]) {
    world.folder.put("keyring.toml", fixture::document(KEYRING_ID, versions), 0o644);
}

#[test]
fn states_count_before_a_source_is_asked_and_loaded_keys_stay() {
    let world = World::new();
    let gate = Gate::open(&world.settings("on_stale = 'serve'\n")).expect("opened");
    gate.apply(&world.server.message(0, now()), now()).expect("applied");
    let old = world.issue("acme_live", Claims::new());
    assert_eq!(status(&gate, &old), 200);
    let seven = |state| Version::new(7, Suite::Aes256Gcm, state, MASTER_7);
    let eight = || Version::new(8, Suite::Aes256Gcm, VersionState::Active, [8; 32]);

    // The new version's source is down, and so is that of the old one.
    std::fs::remove_file(world.folder.path("master-7.key")).expect("removed");
    put_keyring(&world, &[seven(VersionState::Deactivated), eight()]);
    let error = gate.reload().expect_err("a version is missing").to_string();
    assert!(error.contains("version 8 cannot be loaded"), "{error}");
    assert_eq!(status(&gate, &old), 200, "its key is loaded");
    assert!(gate.counters(now()).reload_error.is_some_and(|told| told.contains("version 8")));

    put_keyring(&world, &[seven(VersionState::Compromised), eight()]);
    gate.reload().expect_err("it is still missing");
    assert_eq!(told(&gate, "-", &[("x-api-key", old.expose())]).1, "version_refused");

    let document = world.folder.document(&[seven(VersionState::Compromised), eight()]);
    gate.reload().expect("everything is there");
    let keyring = Keyring::load(&document, &world.folder.sources(), &[realm("acme_live")]).expect("loaded");
    let request =
        IssueRequest { realm: realm("acme_live"), app_id: uuid::Uuid::max(), expires_at: None, claims: Claims::new() };
    let key = Issuer::new(&keyring).issue(&request, now()).expect("issued");
    assert_eq!((status(&gate, &key), gate.counters(now()).reload_error), (200, None));
}

#[test]
fn what_changed_between_the_opening_and_the_start_counts() {
    let world = World::new();
    let gate = Gate::open(&world.settings("on_stale = 'serve'\n")).expect("opened");
    gate.apply(&world.server.message(0, now()), now()).expect("applied");
    let key = world.issue("acme_live", Claims::new());
    assert_eq!(status(&gate, &key), 200);
    put_keyring(&world, &[Version::new(7, Suite::Aes256Gcm, VersionState::Compromised, MASTER_7)]);
    let running = gate.start().expect("started");
    becomes(&gate, &key, 401);
    drop(running);
}

#[test]
fn a_source_that_hangs_holds_up_neither_a_compromise_nor_the_end() {
    let world = World::new();
    let program = "#!/bin/sh\ntouch asked\nread released < release\n";
    world.folder.put("hangs.sh", program, 0o755);
    let made = std::process::Command::new("mkfifo").arg(world.folder.path("release")).status();
    assert!(made.expect("mkfifo runs").success());
    let settings = world.parse(&format!(
        "{}on_stale = 'serve'\n[keyring]\nsource = 'file:keyring.toml'\nmac_source = 'file:mac.key'\n\
         trusted_sources = ['file:', 'exec:./hangs.sh']\n[realms.acme_live]\n[realms.acme_test]\n",
        world.follow("")
    ));
    let gate = Gate::open(&settings).expect("opened");
    gate.apply(&world.server.message(0, now()), now()).expect("applied");
    let running = gate.start().expect("started");
    let old = world.issue("acme_live", Claims::new());
    assert_eq!(status(&gate, &old), 200);

    let seven = |state| Version::new(7, Suite::Aes256Gcm, state, MASTER_7);
    let mut eight = Version::new(8, Suite::Aes256Gcm, VersionState::Active, [8; 32]);
    eight.sources = vec!["exec:./hangs.sh".to_owned()];
    put_keyring(&world, &[seven(VersionState::Deactivated), eight.clone()]);
    let begun = Instant::now();
    while !world.folder.path("asked").exists() {
        assert!(begun.elapsed() < Duration::from_secs(120), "{:?}", gate.counters(now()));
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(status(&gate, &old), 200);
    put_keyring(&world, &[seven(VersionState::Compromised), eight]);
    becomes(&gate, &old, 401);
    drop(running);
    // The program has its reader's end of the pipe open, so nothing waited for it: at its time limit it is ended.
    let mut writer = std::fs::OpenOptions::new();
    let writer = writer.write(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    writer.open(world.folder.path("release")).expect("the program still waits");
}

#[test]
fn the_keys_of_an_edge_may_be_handed_over_and_rotate() {
    let world = World::new();
    let edge = EdgeKey::generate().expect("a key");
    let text = format!("{}[realms.acme_live]\n[verify]\ndefault_realms = ['acme_live']\n", world.follow(""));
    let settings = world.parse(&text).handing("edge.key", edge.to_text().as_bytes());
    let error = Gate::open(&settings).expect_err("no export").to_string();
    assert!(error.contains("the realm acme_live") && error.contains("sealed to bulla-edge-"), "{error}");

    let export = |document: &KeyringDocument, at| {
        let export = RealmExport::of(document, &world.folder.sources(), realm("acme_live"), at).expect("an export");
        export.seal(&edge.recipient(), &signing_key()).expect("sealed")
    };
    let handed = settings.clone().handing("exports/live.export", export(&world.document, now()));
    let gate = Gate::open(&handed).expect("opened");
    let key = world.issue("acme_live", Claims::new());
    gate.apply(&world.server.message(0, now()), now()).expect("applied");
    assert_eq!(told(&gate, "-", &[("x-api-key", key.expose())]).0, 200);

    // A worker that can read nothing else opens what is put beside.
    let document = world.folder.document(&[Version::new(7, Suite::Aes256Gcm, VersionState::Compromised, MASTER_7)]);
    std::fs::create_dir(world.folder.path("exports")).expect("a folder");
    world.folder.put("exports/live.export", export(&document, now() + 1), 0o644);
    let from_disk = Gate::open(&settings).expect("opened");
    from_disk.apply(&world.server.message(0, now()), now()).expect("applied");
    assert_eq!(told(&from_disk, "-", &[("x-api-key", key.expose())]).1, "version_refused");
    world.folder.put("exports/live.export", "broken", 0o644);
    from_disk.reload().expect("those from before are kept");
    assert!(from_disk.counters(now()).reload_error.is_some_and(|error| error.contains("live.export")));
    assert_eq!(told(&from_disk, "-", &[("x-api-key", key.expose())]).1, "version_refused");
}

#[test]
fn what_was_known_survives_a_restart_without_the_feed() {
    let world = World::new();
    let settings = world.settings("state = 'state'\n");
    let (one, other) = (world.issue("acme_live", Claims::new()), world.issue("acme_live", Claims::new()));
    let gate = Gate::open(&settings).expect("opened");
    let running = gate.start().expect("started");
    becomes(&gate, &other, 200);
    // Another process has the same folder, and goes on without.
    let beside = Gate::open(&settings).expect("opened");
    let _running = beside.start().expect("started");
    let place = world.server.append(&[revoke(&one)]);
    becomes(&gate, &one, 401);
    drop(running);

    world.server.change(|log| log.failing = Some(500));
    let again = Gate::open(&settings).expect("opened");
    assert_eq!((status(&again, &one), status(&again, &other), again.counters(now()).seq), (401, 200, place));
    std::fs::write(world.folder.path("state/state"), "changed").expect("written");
    let without = Gate::open(&settings).expect("opened");
    assert_eq!(status(&without, &other), 503);
    assert!(without.counters(now()).state_error.is_some_and(|error| error.contains("it was changed")));
}

#[test]
fn a_named_pipe_in_the_place_of_published_files_holds_up_no_node() {
    let world = World::new();
    std::fs::create_dir(world.folder.path("published")).expect("a folder");
    let pipe = world.folder.path("published/head");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo runs").success());
    let node = world.server.address().replace("/v1/revocations", "");
    let settings = world.parse(&format!(
        "{}[keyring]\nsource = 'file:keyring.toml'\nmac_source = 'file:mac.key'\n[realms.acme_live]\n\
         [realms.acme_test]\n",
        world.follow(&format!("'file:{}', '{node}'", pipe.display()))
    ));
    let gate = Gate::open(&settings).expect("opened");
    let running = gate.start().expect("started");
    let key = world.issue("acme_live", Claims::new());
    becomes(&gate, &key, 200);
    world.server.append(&[revoke(&key)]);
    becomes(&gate, &key, 401);
    drop(running);
}

#[test]
fn an_answer_that_is_reused_allocates_nothing() {
    let world = World::new();
    let gate = Gate::open(&world.settings("on_stale = 'serve'\n")).expect("opened");
    gate.apply(&world.server.message(0, now()), now()).expect("applied");
    let claims = Claims::new().with_scopes(["orders.read", "orders.write"]).with_meta([("plan", "gold")]);
    let key = world.issue("acme_live", claims);
    let (bearer, wanted) = (format!("Bearer {}", key.expose()), gate.requirements("-").expect("requirements"));
    let mut answer = Answer::new();
    for (value, status) in
        [(bearer.as_str(), 200), ("Bearer x", 401), ("", 401), (&bearer[..60], 401), (bearer.as_str(), 200)]
    {
        let at = now();
        let ((), allocations) = counted(|| {
            let mut presented = Presented::new(&wanted);
            presented.add(b"authorization", value.as_bytes());
            gate.check(&wanted, &presented, None, at, &mut answer);
        });
        assert_eq!((answer.status(), allocations), (status, 0), "{value}");
    }
}
