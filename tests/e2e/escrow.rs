//! Escrow: keys can be shown again with the identity and its passphrase, and with nothing else.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{
    command::Ran,
    deployment::{APP, Deployment},
    escrow::{Elsewhere, PASSPHRASE},
    server::Server,
};

fn text(issued: &Value) -> String {
    issued["api_key"].as_str().expect("a key").to_owned()
}

fn id_of(key: &str) -> String {
    key.parse::<bulla::ApiKey>().expect("an API key").id().to_string()
}

fn new_key(server: &Server, more: Value) -> String {
    let mut body = json!({"realm": "live", "app_id": APP});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let answer = server.admin.post("/v1/api-keys", &body);
    assert_eq!(answer.status, 201, "{}", answer.body);
    text(&answer.json())
}

fn in_escrow(deployment: &Deployment) -> Vec<(String, String)> {
    let rows = deployment.store().rows("SELECT api_key_id, ciphertext FROM escrow ORDER BY api_key_id");
    rows.into_iter().map(|row| <[String; 2]>::try_from(row).expect("two texts").into()).collect()
}

fn reveals(deployment: &Deployment) -> Vec<Value> {
    let exported = deployment.run(&["audit", "--jsonl"]).ok().out.clone();
    let records = exported.lines().map(|line| serde_json::from_str::<Value>(line).expect("a record"));
    records.filter(|record| record["action"] == "api_key.reveal").collect()
}

/// Nothing was shown, and this was said.
fn refused(ran: &Ran, why: &str) {
    assert!(ran.code == 2 && ran.out.is_empty() && ran.err.contains(why), "{} {} {}", ran.code, ran.out, ran.err);
}

#[test]
fn every_key_that_is_issued_into_escrow_is_shown_again_elsewhere() {
    let (deployment, elsewhere) = (Deployment::new(), Elsewhere::new());
    elsewhere.receive(&deployment, "live");
    let server = Server::start(&deployment);
    let one = new_key(&server, json!({"scopes": ["a"], "meta": {"team": "x"}}));
    let with_secret = new_key(&server, json!({"secret": true}));
    let batch = json!({"api_keys": [{"realm": "live", "app_id": APP}, {"realm": "test", "app_id": APP}]});
    let batch = server.admin.post("/v1/api-keys/batch", &batch).json();
    let (of_batch, of_test) = (text(&batch["api_keys"][0]), text(&batch["api_keys"][1]));
    let once = |body: &str| {
        let headers = [("content-type", "application/json"), ("idempotency-key", "once")];
        server.admin.request("POST", "/v1/api-keys", &headers, body).json()
    };
    let body = json!({"realm": "live", "app_id": APP}).to_string();
    let only_once = text(&once(&body));
    assert!(once(&body).get("api_key").is_none(), "the second answer shows none");
    let by_hand = deployment.issue_text("live", &["--secret"]);
    let keys = [&one, &with_secret, &of_batch, &only_once, &by_hand];
    let stored = in_escrow(&deployment);
    assert_eq!(stored.len(), keys.len(), "one row for each key of the realm, however often it was asked for");
    for key in keys {
        let (_, ciphertext) = stored.iter().find(|(id, _)| *id == id_of(key)).expect("its row");
        assert_eq!(elsewhere.decrypted_by_age(ciphertext), *key, "as another implementation of age reads it");
    }
    let revealed = elsewhere.reveal(&server, &id_of(&with_secret), &["--reason", "the customer lost it"]).ok().json();
    assert_eq!((text(&revealed), revealed["api_key_id"] == id_of(&with_secret)), (with_secret.clone(), true));
    assert_eq!(text(&elsewhere.reveal(&server, &id_of(&of_batch), &[]).ok().json()), of_batch);
    refused(&elsewhere.reveal(&server, &id_of(&of_test), &[]), "409: the API key is not in escrow");
    let records = reveals(&deployment);
    let told: Vec<_> = records.iter().map(|record| (&record["target"], &record["detail"]["reason"])).collect();
    assert_eq!(
        told,
        [(&json!(id_of(&with_secret)), &json!("the customer lost it")), (&json!(id_of(&of_batch)), &Value::Null)]
    );
    assert_eq!(records[0]["actor"], id_of(&deployment.admin_key));
    assert_eq!(records[0]["detail"]["recipient"], elsewhere.recipient);
    let log = server.stop();
    let stored = deployment.store().bytes();
    for key in keys {
        let sealed = &key.as_bytes()[id_of(key).len()..];
        assert!(!stored.windows(sealed.len()).any(|part| part == sealed), "{key} lies in the store in the clear");
        assert!(!log.contains(&key[id_of(key).len()..]), "{key} stands in the log");
    }
    // The store at hand will do as well.
    for name in ["escrow.age", "passphrase"] {
        std::fs::copy(elsewhere.file(name), deployment.file(name)).expect("copied");
    }
    let arguments = ["reveal", &id_of(&one), "--identity", "escrow.age", "--passphrase-file", "-"];
    assert_eq!(deployment.run_with(&arguments, &format!("{PASSPHRASE}\n")).ok().out, format!("{one}\n"));
    assert!(reveals(&deployment)[2]["actor"].as_str().expect("who").starts_with("cli:"));
}

#[test]
fn a_new_key_for_an_old_one_is_shown_and_so_is_a_new_ending() {
    let (deployment, elsewhere) = (Deployment::new(), Elsewhere::new());
    elsewhere.receive(&deployment, "live");
    let server = Server::start(&deployment);
    let key = new_key(&server, json!({"secret": true}));
    let shown = |id: &str| text(&elsewhere.reveal(&server, id, &[]).ok().json());
    let path = format!("/v1/api-keys/{}/reroll-secret", id_of(&key));
    let ending = server.admin.post(&path, &json!({"grace": "1h"})).json()["ending"].as_str().expect("one").to_owned();
    let renewed = format!("{}{ending}", &key[..key.len() - 51]);
    assert_eq!(shown(&id_of(&key)), renewed);
    assert_eq!(server.data.post("/v1/verify", &json!({"api_key": renewed})).json()["active"], true);

    let rerolled = server.admin.post(&format!("/v1/api-keys/{}/reroll", id_of(&key)), &json!({"grace": "1h"})).json();
    assert_eq!(shown(&text(&rerolled)[..27]), text(&rerolled));
    assert_eq!(shown(&id_of(&key)), renewed, "within its grace");
    let path = format!("/v1/api-keys/{}/reroll", id_of(&text(&rerolled)));
    server.admin.post(&path, &json!({"grace": "0s"}));
    refused(&elsewhere.reveal(&server, &id_of(&text(&rerolled)), &[]), "409: the API key is revoked");

    // Another recipient: what is there opens to an ending that nobody knows, and goes with the old one.
    let (last, other) = (new_key(&server, json!({"secret": true})), Elsewhere::new());
    deployment.configure(&elsewhere.recipient, &other.recipient);
    server.signal("HUP");
    server.until("the reload", |server| server.log().contains("keyring and configuration loaded"));
    assert_eq!(shown(&id_of(&last)), last, "the old identity opens what was encrypted to it");
    refused(&other.reveal(&server, &id_of(&last), &[]), "of another recipient");
    server.admin.post(&format!("/v1/api-keys/{}/reroll-secret", id_of(&last)), &json!({"grace": "0s"}));
    refused(&elsewhere.reveal(&server, &id_of(&last), &[]), "409: the API key is not in escrow");
    let new = new_key(&server, json!({}));
    assert_eq!(text(&other.reveal(&server, &id_of(&new), &[]).ok().json()), new);
}

#[test]
fn a_sealed_key_for_an_imported_one_is_in_escrow_like_any_other() {
    let (deployment, elsewhere) = (Deployment::new(), Elsewhere::new());
    elsewhere.receive(&deployment, "live");
    deployment.configure("[realms.live]", "[realms.live]\nreplace_imported = true");
    // SHA-256 of "one".
    let row = json!({"app_id": APP, "hash": "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"});
    let import = ["keys", "import", "-", "--realm", "live", "--scheme", "sha256"];
    deployment.run_with(&import, &row.to_string()).ok();
    let server = Server::start(&deployment);
    let replacement = text(&server.data.post("/v1/verify", &json!({"api_key": "one"})).json()["replacement"]);
    assert_eq!(text(&elsewhere.reveal(&server, &id_of(&replacement), &[]).ok().json()), replacement);
}

#[test]
fn what_has_ended_leaves_the_escrow() {
    let (deployment, elsewhere) = (Deployment::new(), Elsewhere::new());
    elsewhere.receive(&deployment, "live");
    let server = Server::start(&deployment);
    let other_app = "3f2b8c1e-9a7d-4d52-8a55-0123456789ac";
    let ask = |key: &str| {
        let answer = server.admin.post(&format!("/v1/api-keys/{}/reveal", id_of(key)), &json!({}));
        (answer.status, if answer.status == 200 { String::new() } else { answer.problem() })
    };
    let state = (409, "api-key-state".to_owned());
    let left = || in_escrow(&deployment).len();
    let (suspended, revoked) = (new_key(&server, json!({})), new_key(&server, json!({})));
    server.admin.post(&format!("/v1/api-keys/{}/suspend", id_of(&suspended)), &json!({}));
    assert_eq!(ask(&suspended), state);
    server.admin.post(&format!("/v1/api-keys/{}/resume", id_of(&suspended)), &json!({}));
    assert_eq!(ask(&suspended).0, 200);
    server.admin.request("DELETE", &format!("/v1/api-keys/{}", id_of(&revoked)), &[], "");
    assert_eq!((ask(&revoked), left()), (state.clone(), 1));
    let brief = new_key(&server, json!({"expires_in": "1s"}));
    server.until("the expiry", |_| ask(&brief) == state);
    new_key(&server, json!({"app_id": other_app}));
    assert_eq!(left(), 3);
    server.admin.post("/v1/revocations", &json!({"app_id": APP, "realm": "live"}));
    assert_eq!((left(), ask(&suspended)), (1, state.clone()), "all except the other app's");
    server.admin.post("/v1/revocations", &json!({"app_id": other_app}));
    assert_eq!(left(), 0);
    let unknown = server.admin.post("/v1/api-keys/live_0000000000000000000000/reveal", &json!({}));
    assert_eq!((unknown.status, unknown.problem().as_str()), (404, "unknown-api-key"));
}

#[test]
fn nobody_is_handed_anything_without_the_scope_or_without_a_record() {
    let (deployment, elsewhere) = (Deployment::new(), Elsewhere::new());
    elsewhere.receive(&deployment, "live");
    let server = Server::start(&deployment);
    let path = format!("/v1/api-keys/{}/reveal", id_of(&new_key(&server, json!({}))));
    let ask = |scope: &str| {
        let admin = deployment.issue_text("bulla", &["--scope", scope]);
        server.admin.bearer(&admin).post(&path, &json!({}))
    };
    for scope in ["issue", "revoke", "read", "read:live", "keyring", "reveal:test"] {
        let answer = ask(scope);
        assert_eq!((answer.status, answer.problem().as_str()), (403, "forbidden"), "{scope}");
    }
    assert_eq!(server.admin.anonymous().post(&path, &json!({})).status, 401);
    for scope in ["reveal", "reveal:live", "admin:live"] {
        let answer = ask(scope);
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{scope} {}", answer.body);
    }
    assert_eq!(reveals(&deployment).len(), 3);
    deployment.store().refuse_audit(Some("api_key.reveal"));
    let answer = server.admin.post(&path, &json!({}));
    assert_eq!((answer.status, answer.problem().as_str()), (503, "unavailable"), "{}", answer.body);
    assert!(!answer.body.contains("AGE"), "{}", answer.body);
}

#[test]
fn what_does_not_open_shows_nothing() {
    let (deployment, elsewhere) = (Deployment::new(), Elsewhere::new());
    elsewhere.receive(&deployment, "live");
    let server = Server::start(&deployment);
    let (one, two) = (new_key(&server, json!({})), new_key(&server, json!({})));
    let reveal = |key: &str, more: &[&str]| elsewhere.reveal(&server, &id_of(key), more);
    std::fs::write(elsewhere.file("wrong"), "a horse and a stable\n").expect("written");
    refused(&reveal(&one, &["--passphrase-file", "wrong"]), "the passphrase is wrong");
    refused(&reveal(&one, &["--identity", "identity.txt"]), "age -p");
    refused(&reveal(&one, &["--identity", "nothing"]), "nothing");
    refused(&reveal(&one, &["--passphrase-file", "nothing"]), "the passphrase cannot be read");
    let to_a_key = ["-r", &elsewhere.recipient, "-o", "to-a-key.age", "identity.txt"];
    let locked_away = Command::new("age").args(to_a_key).current_dir(elsewhere.file("")).status();
    assert!(locked_away.expect("age runs").success());
    refused(&reveal(&one, &["--identity", "to-a-key.age"]), "not an age identity under a passphrase");
    assert!(reveals(&deployment).is_empty(), "nothing was handed out before the identity was open");
    refused(&Elsewhere::new().reveal(&server, &id_of(&one), &[]), &elsewhere.recipient);
    assert_eq!(reveals(&deployment).len(), 1, "from there on it is on record");
    let change = |sql: &str| assert_eq!(deployment.store().change(sql), 1);
    change(&format!(
        "UPDATE escrow SET ciphertext = (SELECT ciphertext FROM escrow WHERE api_key_id = '{}') WHERE api_key_id = '{}'",
        id_of(&one),
        id_of(&two)
    ));
    refused(&reveal(&two, &[]), &id_of(&one));
    let damaged = |letter: &str| {
        let row = format!("WHERE api_key_id = '{}'", id_of(&one));
        change(&format!("UPDATE escrow SET ciphertext = replace(ciphertext, '{letter}', 'A') {row}"));
        refused(&reveal(&one, &[]), "changed or damaged");
    };
    ["a", "-"].into_iter().for_each(damaged);
}

#[test]
fn the_passphrase_is_asked_for_on_a_terminal_and_does_not_show() {
    let (deployment, elsewhere) = (Deployment::new(), Elsewhere::new());
    elsewhere.receive(&deployment, "live");
    let key = deployment.issue_text("live", &[]);
    let config = deployment.file("bulla.toml");
    let arguments = ["reveal", &id_of(&key), "--identity", "escrow.age", "--config", config.to_str().expect("UTF-8")];
    let ran = elsewhere.on_terminal(env!("CARGO_BIN_EXE_bulla"), &arguments);
    assert!(ran.code == 0 && ran.out.contains("Passphrase of escrow.age: "), "{}", ran.out);
    assert!(ran.out.contains(&key) && !ran.out.contains(PASSPHRASE), "{}", ran.out);
}

#[test]
fn a_realm_names_a_recipient_and_nothing_that_opens() {
    let (deployment, elsewhere) = (Deployment::new(), Elsewhere::new());
    let identity = std::fs::read_to_string(elsewhere.file("identity.txt")).expect("the identity");
    let identity = identity.lines().last().expect("a line");
    let broken = elsewhere.recipient.replace("age1", "age1q");
    for (named, why) in
        [(identity, "take it off this machine"), (PASSPHRASE, "A passphrase is not allowed"), (&broken, "age1")]
    {
        deployment.configure("[realms.test]", &format!("[realms.test]\nescrow = \"{named}\""));
        let ran = deployment.run(&["keys", "list"]);
        refused(&ran, why);
        assert!(ran.err.contains("[realms.test]: escrow: ") && !ran.err.contains(named), "{}", ran.err);
        let by_environment = format!("'{named}'");
        deployment.configure(&format!("[realms.test]\nescrow = \"{named}\""), "[realms.test]");
        let mut command = crate::support::command::bulla(deployment.path());
        command.args(["keys", "list"]).env("BULLA_REALMS__TEST__ESCROW", &by_environment);
        let ran = crate::support::command::finish(&mut command, "");
        refused(&ran, why);
        assert!(!ran.err.contains(named), "{}", ran.err);
    }
    deployment
        .configure("[realms.test]", &format!("[realms.bulla]\nescrow = \"{}\"\n[realms.test]", elsewhere.recipient));
    refused(&deployment.run(&["keys", "list"]), "belongs to the administrators");
}
