//! Secret halves: nothing is accepted without the right one, and hashing it is bounded whatever arrives.

use bulla::forged::with_checksum;
use serde_json::{Value, json};

use crate::support::{
    deployment::{APP, Deployment, altered},
    reference::Reference,
    server::Server,
};

/// Keys of a flood, and how many send them.
const FLOOD: u64 = 1_000_000;
const CALLERS: u64 = 4;

fn verify(server: &Server, key: &str) -> (u16, bool) {
    let answer = server.data.post("/v1/verify", &json!({"api_key": key}));
    (answer.status, answer.status == 200 && answer.json()["active"] == true)
}

fn text(issued: &Value) -> String {
    issued["api_key"].as_str().expect("a key").to_owned()
}

fn id_of(key: &str) -> String {
    key.parse::<bulla::ApiKey>().expect("an API key").id().to_string()
}

/// The key without its secret half.
fn sealed_half(key: &str) -> String {
    with_checksum(&key[..key.len() - 51])
}

/// The key with another secret half.
fn wrong(key: &str, at: usize) -> String {
    let place = key.len() - 20 - at;
    altered(key, place, if &key[place..=place] == "1" { '0' } else { '1' })
}

fn hashes(server: &Server, scheme: &str) -> u64 {
    server.metric(&format!("bulla_secret_hashes_total{{scheme=\"{scheme}\"}}"))
}

/// What a thief of the master key makes.
fn forged(deployment: &Deployment, realm: &str, claims: &str) -> String {
    let keyring = deployment.reference_keyring();
    let mut question = keyring["versions"][0].clone();
    for (name, value) in [
        ("op", json!("issue")),
        ("keyring_id", keyring["keyring_id"].clone()),
        ("realm", json!(realm)),
        ("app_id", json!(APP)),
        ("issued_at", json!(1_795_000_000)),
        ("expires_at", json!(0)),
        ("claims", json!(claims)),
        ("secret", if claims.contains("3a00010001") { json!("80".repeat(32)) } else { Value::Null }),
    ] {
        question[name] = value;
    }
    text(&Reference::start().ask(&question))
}

#[test]
fn a_key_with_a_secret_half_is_good_with_the_right_one_alone() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let issued = server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP, "secret": true})).json();
    let (key, plain) = (text(&issued), deployment.issue_text("live", &[]));
    assert!(key.len() > plain.len() + 45, "the claim and the secret half");
    let before = hashes(&server, "hmac-sha256");
    for _ in 0..3 {
        assert_eq!(verify(&server, &key), (200, true));
    }
    assert_eq!(hashes(&server, "hmac-sha256"), before + 1, "hashed once, and then remembered");
    for bad in [sealed_half(&key), wrong(&key, 0), wrong(&key, 1)] {
        assert_eq!(verify(&server, &bad), (200, false), "{bad}");
    }
    assert_eq!(server.metric("bulla_verify_rejected_total{reason=\"secret_missing\"}"), 1);
    assert_eq!(server.metric("bulla_verify_rejected_total{reason=\"secret_wrong\"}"), 2);
    assert_eq!(deployment.run(&["verify", &key]).code, 0, "the command checks it, too");
    assert_eq!(deployment.run(&["verify", &wrong(&key, 0)]).code, 1);
    let batch = server.data.post("/v1/verify/batch", &json!({"api_keys": [plain, key, wrong(&key, 0)]})).json();
    let active: Vec<_> =
        batch["results"].as_array().expect("results").iter().map(|one| one["active"] == true).collect();
    assert_eq!(active, [true, true, false]);
    assert_eq!(server.data.request("GET", "/v1/authorize", &[("x-api-key", &key)], "").status, 200);
    let phc = deployment.store().text(&format!("SELECT phc FROM secret_hashes WHERE api_key_id = '{}'", id_of(&key)));
    assert!(phc.starts_with("$hmac-sha256$keyid="), "{phc}");
}

#[test]
fn what_is_remembered_is_the_secret_half_and_nothing_else() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let ask = |key: &str, more: Value| {
        let mut body = json!({"api_key": key, "audience": "shop"});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        server.data.post("/v1/verify", &body).json()["active"] == true
    };
    let more = ["--secret", "--scope", "a", "--audience", "shop"];
    let (key, other) = (deployment.issue_text("live", &more), deployment.issue_text("live", &more));
    assert!(ask(&key, json!({})) && ask(&key, json!({"scopes": ["a"]})) && ask(&other, json!({})));
    assert!(!ask(&key, json!({"scopes": ["b"]})) && !ask(&key, json!({"audience": "else"})));
    assert!(!ask(&key, json!({"realms": ["test"]})));
    server.admin.request("DELETE", &format!("/v1/api-keys/{}", id_of(&key)), &[], "");
    assert!(!ask(&key, json!({})) && ask(&other, json!({})));
    // Half of one key and half of another are no key.
    let spliced = with_checksum(&format!("{}{}", &other[..other.len() - 50], &key[key.len() - 50..key.len() - 6]));
    assert!(!ask(&spliced, json!({})));
}

#[test]
fn a_secret_half_is_rerolled_without_a_gap_or_at_once() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    let first = deployment.issue_text("live", &["--secret"]);
    let path = format!("/v1/api-keys/{}/reroll-secret", id_of(&first));
    let reroll = |key: &str, grace: &str| {
        let answer = server.admin.post(&path, &json!({"grace": grace}));
        assert_eq!((answer.status, answer.header("cache-control")), (201, Some("no-store")));
        let ending = answer.json()["ending"].as_str().expect("an ending").to_owned();
        assert_eq!(ending.len(), 51);
        format!("{}{ending}", &key[..key.len() - 51])
    };
    let good = |keys: [&str; 4]| keys.map(|key| verify(&server, key).1);
    assert!(verify(&server, &first).1);
    let second = reroll(&first, "1h");
    assert_eq!(id_of(&second), id_of(&first), "the sealed text stays as it is");
    assert_eq!(good([&first, &second, &second, &first]), [true; 4]);
    let third = reroll(&first, "1h");
    assert_eq!(good([&first, &second, &third, &third]), [false, true, true, true], "two at a time");
    let fourth = reroll(&first, "0s");
    assert_eq!(good([&first, &second, &third, &fourth]), [false, false, false, true], "remembered or not");
    let brief = reroll(&first, "1s");
    server.within("the end of the grace", |server| !verify(server, &fourth).1);
    assert!(verify(&server, &brief).1);
    let by_hand = deployment.run_with(&["keys", "reroll-secret", "-", "--grace", "0s", "--json"], &brief).ok().json();
    server.until("what another process did", |server| !verify(server, &brief).1);
    assert!(verify(&server, by_hand["api_key"].as_str().expect("the whole key")).1);

    let plain = deployment.issue_text("live", &[]);
    let none = server.admin.post(&format!("/v1/api-keys/{}/reroll-secret", id_of(&plain)), &json!({}));
    assert_eq!((none.status, none.problem().as_str()), (409, "api-key-state"));
    let rerolled = server.admin.post(&format!("/v1/api-keys/{}/reroll", id_of(&first)), &json!({})).json();
    assert!(text(&rerolled).len() > plain.len() + 44, "a key like it has a secret half, too");
    assert!(verify(&server, &text(&rerolled)).1);
}

#[test]
fn a_realm_that_requires_secret_halves_takes_nothing_that_a_stolen_master_key_makes() {
    let deployment = Deployment::new();
    let old = deployment.issue_text("live", &[]);
    let stolen = forged(&deployment, "live", "");
    assert_eq!(deployment.run(&["verify", &stolen]).code, 0, "before that it is as good as any");
    deployment.configure("[realms.live]", "[realms.live]\nsecret = \"required\"\n");
    let server = Server::start(&deployment);
    let key = text(&server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP})).json());
    assert_eq!(verify(&server, &key), (200, true), "issued with one, asked for or not");
    for without in [&old, &stolen] {
        assert_eq!(verify(&server, without), (200, false));
    }
    assert_eq!(server.metric("bulla_verify_rejected_total{reason=\"secret_required\"}"), 2);
    let with_a_half_of_his_own = forged(&deployment, "live", "a13a00010001f5");
    assert_eq!(verify(&server, &with_a_half_of_his_own), (200, false));
    let administrator = forged(&deployment, "bulla", "a1096561646d696e");
    let refused = server.admin.bearer(&administrator).get("/v1/keyring");
    assert_eq!((refused.status, refused.problem().as_str()), (401, "unauthorized"), "nor an administrator");
    assert_eq!(server.admin.get("/v1/keyring").status, 200);
    deployment.configure("secret = \"required\"", "secret = \"off\"");
    let off = deployment.run(&["issue", "--realm", "live", "--app", APP, "--secret"]);
    assert!(off.code == 2 && off.err.contains("no secret halves"), "{}", off.err);
}

#[test]
fn a_flood_of_keys_that_do_not_hold_runs_no_argon2() {
    let deployment = Deployment::new();
    deployment.configure("[realms.live]", "[realms.live]\nsecret = \"required\"\nsecret_scheme = \"argon2id-owasp\"\n");
    let server = Server::start(&deployment);
    let issue = |ttl: &str| {
        text(&server.admin.post("/v1/api-keys", &json!({"realm": "live", "app_id": APP, "expires_in": ttl})).json())
    };
    let (good, brief, revoked) = (issue("1d"), issue("1s"), issue("1d"));
    assert_eq!(verify(&server, &good), (200, true));
    assert_eq!(hashes(&server, "argon2id"), 1);
    server.admin.request("DELETE", &format!("/v1/api-keys/{}", id_of(&revoked)), &[], "");
    server.until("the expiry", |server| !verify(server, &brief).1);
    let before = hashes(&server, "argon2id");
    let seal = altered(&good, 60, if &good[60..=60] == "0" { '1' } else { '0' });
    let half = sealed_half(&good);
    let flood: Vec<&str> = [&seal, &brief, &revoked, &half].map(String::as_str).repeat(250);
    let rejected = || {
        ["seal", "expired", "revoked", "secret_missing"]
            .map(|reason| server.metric(&format!("bulla_verify_rejected_total{{reason=\"{reason}\"}}")))
    };
    let rejected_before = rejected();
    // Written once: in a test's build that takes longer than to send it.
    let flood = json!({"api_keys": flood}).to_string();
    let all_rejected = json!({"results": vec![json!({"active": false}); 1_000]}).to_string();
    let json = [("content-type", "application/json")];
    std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                for _ in 0..FLOOD / 1_000 / CALLERS {
                    assert_eq!(server.data.request("POST", "/v1/verify/batch", &json, &flood).body, all_rejected);
                }
            });
        }
    });
    assert_eq!(hashes(&server, "argon2id"), before, "of a million keys");
    assert_eq!(rejected(), rejected_before.map(|count| count + FLOOD / 4), "all of them were judged");
    let body = json!({"api_key": good, "audience": "x", "scopes": ["x"]});
    assert_eq!(server.data.post("/v1/verify", &body).json()["error"], "insufficient_scope", "judged last");
}

#[test]
fn many_checks_at_once_stay_in_the_budget_and_each_is_answered() {
    let deployment = Deployment::new();
    deployment.configure("[realms.live]", "[realms.live]\nsecret = \"required\"\nsecret_scheme = \"argon2id-owasp\"\n");
    let bounds = [("BULLA_SECRET__MEMORY_MIB", "64"), ("BULLA_SECRET__QUEUE", "1"), ("BULLA_SECRET__CACHE_TTL", "10m")];
    let server = Server::start_with(&deployment, &bounds);
    let keys: Vec<String> = (0..24).map(|_| deployment.issue_text("live", &[])).collect();
    let memory = |what: &str| -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).expect("its state");
        let line = status.lines().find(|line| line.starts_with(what)).expect("the line").to_owned();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    };
    let before = memory("VmRSS");
    let all = || -> Vec<(u16, bool)> {
        std::thread::scope(|scope| {
            let checks: Vec<_> = keys.iter().map(|key| scope.spawn(|| verify(&server, key))).collect();
            checks.into_iter().map(|check| check.join().expect("an answer")).collect()
        })
    };
    let first = all();
    assert!(first.iter().all(|answer| [(200, true), (503, false)].contains(answer)), "{first:?}");
    assert!(first.contains(&(503, false)) && first.contains(&(200, true)), "{first:?}");
    assert!(memory("VmHWM") < before + (64 + 32) * 1024, "{} KiB and {before} before", memory("VmHWM"));
    while all().iter().any(|answer| *answer != (200, true)) {}
    let hashed = hashes(&server, "argon2id");
    assert!(all().iter().all(|answer| *answer == (200, true)));
    assert_eq!(hashes(&server, "argon2id"), hashed, "all of them are remembered");
    let busy = server.metric("bulla_secret_unchecked_total{reason=\"busy\"}");
    assert_eq!(server.metric("bulla_verify_could_not_tell_total"), busy);
}

#[test]
fn hashes_move_to_another_setting_and_pepper_when_they_are_used() {
    let deployment = Deployment::new();
    let (used, idle) = (deployment.issue_text("live", &["--secret"]), deployment.issue_text("live", &["--secret"]));
    let uri = deployment.new_master(7);
    let stored = |key: &str| {
        deployment.store().text(&format!("SELECT phc FROM secret_hashes WHERE api_key_id = '{}'", id_of(key)))
    };
    let first = stored(&used);
    deployment.configure("active = 1\n[pepper.sources]\n", &format!("active = 2\n[pepper.sources]\n2 = \"{uri}\"\n"));
    deployment.configure("scheme = \"hmac-sha256\"", "scheme = \"argon2id-owasp\"");
    let server = Server::start(&deployment);
    assert_eq!(verify(&server, &used), (200, true));
    server.until("the hash to be made anew", |_| stored(&used) != first);
    let second = stored(&used);
    assert!(second.starts_with("$argon2id$v=19$m=19456,t=2,p=1,keyid=AAAAAg$") && first != second, "{second}");
    assert_eq!(server.metric("bulla_secret_rehashed_total"), 1);
    assert_eq!(verify(&server, &used), (200, true), "by the new hash");
    deployment.configure("1 = \"file:pepper-1.key\"\n", "");
    server.signal("HUP");
    server.until("the reload", |server| server.log().contains("keyring and configuration loaded"));
    let unchecked = server.data.post("/v1/verify", &json!({"api_key": idle}));
    assert_eq!((unchecked.problem().as_str(), unchecked.header("retry-after")), ("could-not-tell", Some("1")));
    assert_eq!(verify(&server, &used), (200, true));
    assert_eq!(server.admin.get("/v1/keyring").status, 503, "the administrator's hash was under the old pepper");
}

#[test]
fn an_ended_secret_half_whose_hash_is_made_anew_ends_all_the_same() {
    let deployment = Deployment::new();
    let first = deployment.issue_text("live", &["--secret"]);
    deployment.configure("scheme = \"hmac-sha256\"", "scheme = \"argon2id-owasp\"");
    let server = Server::start(&deployment);
    let reroll = |grace: &str| {
        let path = format!("/v1/api-keys/{}/reroll-secret", id_of(&first));
        let ending = server.admin.post(&path, &json!({"grace": grace})).json()["ending"].clone();
        format!("{}{}", &first[..first.len() - 51], ending.as_str().expect("an ending"))
    };
    let rows = || -> Vec<(bool, bool)> {
        let query =
            format!("SELECT phc, retires_at FROM secret_hashes WHERE api_key_id = '{}' ORDER BY seq", id_of(&first));
        let rows = deployment.store().rows(&query).into_iter();
        rows.map(|row| (row[0].starts_with("$argon2id"), row[1].is_empty())).collect()
    };
    let second = reroll("1h");
    assert_eq!(rows(), [(false, false), (true, true)]);
    // The old one is presented in its grace, and its hash is made anew: a newer row, with the same end.
    assert_eq!(verify(&server, &first), (200, true));
    server.until("the hash to be made anew", |_| rows() == [(true, true), (true, false)]);
    // So the next one ends the oldest, and not the one that its owner has.
    let third = reroll("1h");
    assert_eq!([&first, &second, &third].map(|key| verify(&server, key)), [(200, false), (200, true), (200, true)]);
}

#[test]
fn a_stored_hash_that_somebody_else_wrote_is_not_used_and_is_reported() {
    let deployment = Deployment::new();
    let server = Server::start_with(&deployment, &[("BULLA_SECRET__SCRUB_INTERVAL", "100ms")]);
    let (one, two) = (deployment.issue_text("live", &["--secret"]), deployment.issue_text("live", &["--secret"]));
    let changed = deployment.store().change(&format!(
        "UPDATE secret_hashes SET (phc, binding, mac) =
         (SELECT phc, binding, mac FROM secret_hashes WHERE api_key_id = '{}') WHERE api_key_id = '{}'",
        id_of(&one),
        id_of(&two)
    ));
    assert_eq!(changed, 1);
    assert_eq!(verify(&server, &two), (503, false));
    assert_eq!(verify(&server, &one), (200, true));
    let reroll = server.admin.post(&format!("/v1/api-keys/{}/reroll-secret", id_of(&two)), &json!({}));
    assert_eq!((reroll.status, reroll.problem().as_str()), (409, "api-key-state"), "no new half for somebody's text");
    server.until("the report", |server| server.metric("bulla_secret_hashes_broken_total") > 0);
    let log = server.stop();
    assert!(log.contains("fails its integrity check") && log.contains(&id_of(&two)), "{log}");
}

#[test]
fn another_pepper_shows_as_soon_as_the_service_has_it() {
    let deployment = Deployment::new();
    let right = std::fs::read(deployment.file("pepper-1.key")).expect("the pepper");
    let detail = |server: &Server| {
        let all = server.data.get("/readyz").json()["degraded"].clone();
        let found = all.as_array().expect("a list").iter().find(|one| one["what"] == "secret hashes").cloned();
        found.map_or_else(String::new, |one| one["detail"].as_str().expect("a text").to_owned())
    };
    deployment.new_master(9);
    std::fs::copy(deployment.file("master-9.key"), deployment.file("pepper-1.key")).expect("another one");
    let server = Server::start(&deployment);
    server.until("the look at the start", |server| detail(server).contains("another key"));
    let refused = server.admin.get("/v1/keyring");
    assert_eq!((refused.status, refused.problem().as_str()), (503, "could-not-tell"));
    assert!(refused.body.contains("do not fit the pepper") && refused.body.contains("/readyz"), "{}", refused.body);
    std::fs::write(deployment.file("pepper-1.key"), right).expect("the right one");
    server.signal("HUP");
    server.until("the look at the reload", |server| detail(server).is_empty());
    assert_eq!(server.admin.get("/v1/keyring").status, 200);
}

#[test]
fn secret_halves_may_be_tried_a_few_times_a_minute() {
    let deployment = Deployment::new();
    let server = Server::start_with(&deployment, &[("BULLA_SECRET__WRONG_PER_MINUTE", "3")]);
    let (key, other) = (deployment.issue_text("live", &["--secret"]), deployment.issue_text("live", &["--secret"]));
    assert_eq!(verify(&server, &key), (200, true));
    for at in 0..3 {
        assert_eq!(verify(&server, &wrong(&key, at)), (200, false));
    }
    let before = hashes(&server, "hmac-sha256");
    assert_eq!(verify(&server, &wrong(&key, 3)), (503, false), "neither right nor wrong");
    assert_eq!(hashes(&server, "hmac-sha256"), before);
    assert_eq!(verify(&server, &key), (200, true), "who was right a moment ago goes on");
    assert_eq!(verify(&server, &other), (200, true));
    assert_eq!(server.metric("bulla_secret_unchecked_total{reason=\"too_many_wrong\"}"), 1);
}

#[test]
fn administrators_keys_of_old_are_refused_with_a_notice() {
    let deployment = Deployment::new();
    let server = Server::start(&deployment);
    assert!(!server.log().contains("those without are not accepted"), "{}", server.log());
    server.stop();
    deployment.store().run("DELETE FROM secret_hashes"); // as an older bulla left it
    let server = Server::start(&deployment);
    assert!(server.log().contains("those without are not accepted"), "{}", server.log());
    assert_eq!(server.admin.get("/v1/keyring").status, 401);
    let new = deployment.issue_text("bulla", &["--scope", "admin"]);
    assert_eq!(server.admin.bearer(&new).get("/v1/keyring").status, 200);
}

#[test]
fn keys_that_were_ended_while_they_waited_for_memory_are_not_hashed() {
    const KEYS: usize = 60;
    let deployment = Deployment::new();
    deployment.configure("[realms.live]", "[realms.live]\nsecret_scheme = \"argon2id\"");
    let server = Server::start_with(&deployment, &[("BULLA_SECRET__MEMORY_MIB", "64")]);
    let new = json!({"realm": "live", "app_id": APP, "secret": true});
    let issued = server.admin.post("/v1/api-keys/batch", &json!({"api_keys": vec![new; KEYS]}));
    let keys: Vec<String> = issued.json()["api_keys"].as_array().expect("keys").iter().map(text).collect();
    std::thread::scope(|scope| {
        // One hash takes all the memory: they come one after the other.
        let asked: Vec<_> = keys.iter().map(|key| scope.spawn(|| verify(&server, key))).collect();
        server.until("a queue", |server| server.metric("bulla_secret_waiting") > KEYS as u64 / 2);
        let all = server.admin.post("/v1/revocations", &json!({"app_id": APP, "realm": "live"}));
        assert_eq!(all.status, 200, "{}", all.body);
        server.until("the end of the queue", |server| server.metric("bulla_secret_waiting") == 0);
        let accepted = asked.into_iter().map(|one| one.join().expect("an answer"));
        let accepted = accepted.filter(|(status, active)| *status == 200 && *active).count();
        assert!(accepted < KEYS * 3 / 4, "{accepted}");
    });
    assert!(hashes(&server, "argon2id") < KEYS as u64 * 9 / 10, "{} of {KEYS}", hashes(&server, "argon2id"));
}
