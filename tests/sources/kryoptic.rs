//! `pkcs11:` with kryoptic, by the real command and service.

use crate::{
    modules::Beside,
    parts::{
        kryoptic::{Kryoptic, PIN},
        world,
    },
    support::deployment::APP,
};

fn token(name: &str) -> (Kryoptic, Beside) {
    world::folder();
    let token = Kryoptic::make(name);
    let beside = Beside::new(&token.module, &token.environment, PIN);
    (token, beside)
}

#[test]
fn a_keyring_begins_in_a_token_of_kryoptic_rotates_there_and_leaves_with_the_same_keys() {
    let (_token, beside) = token("kryoptic-serves");
    let (known, generated) = (beside.uri("token=bulla;object=known"), beside.uri("token=bulla;object=generated"));
    let software = beside.known_key();
    for made_by_init in ["keyring.toml", "master-1.key"] {
        std::fs::remove_file(beside.deployment.file(made_by_init)).expect("it is there");
    }
    // The store knows the keyring that was there.
    beside.run(&["keyring", "init", "--force", "--source", &known]).ok();
    let issue = || {
        let issued = beside.run(&["issue", "--json", "--realm", "live", "--app", APP]).ok().json();
        issued["api_key"].as_str().expect("an API key").to_owned()
    };
    let first = issue();
    beside.run(&["keyring", "stage", "--source", &generated]).ok();
    beside.run(&["keyring", "activate", "2", "--force"]).ok();
    let second = issue();
    beside.run(&["keyring", "check"]).ok();
    let accepts = |key: &str| beside.run(&["verify", key]).code == 0;
    assert!(accepts(&first) && accepts(&second));
    // The same key in software opens what the token sealed.
    beside.run(&["keyring", "rewrap", "1", "--add", &software]).ok();
    beside.run(&["keyring", "rewrap", "1", "--remove", &known]).ok();
    assert!(accepts(&first));
    let other = beside.run(&["keyring", "rewrap", "2", "--add", &software]);
    assert_ne!(other.code, 0, "version 2 has another key: {}", other.out);
}

#[test]
fn a_key_that_kryoptic_does_not_let_sign_is_refused_with_what_it_lacks() {
    let (_token, beside) = token("kryoptic-refuses");
    beside.refused("token=bulla;object=no-sign", "make it with CKA_SIGN");
    beside.refused("token=bulla;object=nothing", "no such secret key");
    beside.refused("token=nobody;object=known", "no such token");
}

#[test]
fn kryoptic_counts_a_wrong_pin_once_and_is_never_asked_the_last_time() {
    let (token, beside) = token("kryoptic-pin");
    beside.stage("token=bulla;object=generated").ok();
    let server = beside.serve();
    world::file(beside.deployment.path(), "pin", "99999999");
    server.signal("HUP");
    server.until("three failed reloads", |server| server.log().matches("the PIN is wrong").count() >= 3);
    // That was one of ten: six more and the token says that few are left.
    let wrong = |times| (0..times).for_each(|_| assert!(!token.try_pin("88888888")));
    wrong(5);
    assert!(!token.flags().contains("count low"), "{}", token.flags());
    wrong(1);
    assert!(token.flags().contains("count low"), "{}", token.flags());
    wrong(2);
    assert!(token.flags().contains("final user PIN try"), "{}", token.flags());
    beside.refused("token=bulla;object=known", "one more wrong PIN locks the token");
    assert!(!token.flags().contains("locked"), "{}", token.flags());

    assert!(token.try_pin(PIN), "the right one is taken");
    world::file(beside.deployment.path(), "pin", PIN);
    server.signal("HUP");
    server.until("the recovery", |server| server.metric("bulla_keyring_refresh_failing") == 0);
}
