//! `pkcs11:` with a TPM: tpm2-pkcs11 on swtpm, by the real command and service. The TPM as a whole locks itself after
//! three wrong PINs, and its module has to be started anew after each outage.

use crate::{
    modules::Beside,
    parts::{
        tpm_token::{PIN, TpmToken},
        world,
    },
};

fn token(name: &str) -> (TpmToken, Beside) {
    world::folder();
    let token = TpmToken::make(name);
    let beside = Beside::new(&token.module, &token.environment, PIN);
    (token, beside)
}

#[test]
fn a_tpm_is_found_by_its_padded_model_and_serves_as_software_does() {
    let (_token, beside) = token("tpm-serves");
    let known = beside.known_key();
    let ran = beside.stage_with("model=SW%20%20%20TPM;token=tpm;object=master-1", &known);
    // The tool imports keys so.
    assert!(ran.ok().out.contains("CKA_EXTRACTABLE is true"), "{}", ran.out);
    // Each use takes a login of its own.
    beside.stage("token=tpm;object=always").ok();
    beside.run(&["keyring", "check"]).ok();
}

#[test]
fn a_service_finds_a_tpm_again_that_was_away() {
    let (mut token, beside) = token("tpm-returns");
    beside.stage("token=tpm;object=master-1").ok();
    let server = beside.serve();
    token.tpm.go_away();
    server.signal("HUP");
    server.until("the failed reload", |server| server.metric("bulla_keyring_refresh_failing") == 1);
    token.tpm.come_back();
    server.until("the recovery", |server| server.metric("bulla_keyring_refresh_failing") == 0);
}

#[test]
fn a_wrong_pin_costs_the_tpm_one_try_and_a_third_one_is_not_tried() {
    let (token, beside) = token("tpm-pin");
    beside.stage("token=tpm;object=master-1").ok();
    let server = beside.serve();
    let before = token.wrong_pins();
    let says = |text: &str, times: usize| {
        server.signal("HUP");
        server.until(text, |server| server.log().matches(text).count() >= times);
    };
    world::file(beside.deployment.path(), "pin", "999999");
    says("the PIN is wrong, and is not tried again", 2);
    assert_eq!(token.wrong_pins() - before, 1);
    world::file(beside.deployment.path(), "pin", "888888");
    says("the PIN is wrong: put the right one", 2);
    assert_eq!(token.wrong_pins() - before, 2);
    // The third would lock the TPM.
    world::file(beside.deployment.path(), "pin", "777777");
    says("several PINs were wrong", 1);
    assert_eq!(token.wrong_pins() - before, 2);
    // The one that worked before is no guess.
    world::file(beside.deployment.path(), "pin", PIN);
    server.signal("HUP");
    server.until("the recovery", |server| server.metric("bulla_keyring_refresh_failing") == 0);
}
