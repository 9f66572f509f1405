//! `pkcs11:` with keys of the type CKK_SHA256_HMAC, beside the generic secrets of all other tests: every module that
//! takes such a key serves with it as software does.

use crate::{
    modules::Beside,
    parts::{
        adapter, hmac_key,
        kryoptic::{self, Kryoptic},
        nss::{self, Nss},
        softhsm::{self, SoftHsm},
        world,
    },
};

const LABEL: &str = "hmac-key";

/// The key in the token is the known one. What was said of it at staging.
fn serves(beside: &Beside, token: &str) -> String {
    let known = beside.known_key();
    let staged = beside.stage_with(&format!("token={token};object={LABEL}"), &known).ok().json();
    beside.run(&["keyring", "check"]).ok();
    staged["warning"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn softhsm_serves_with_a_key_for_hmac_alone() {
    world::folder();
    let module = &SoftHsm::get().module;
    hmac_key::import(module, &[], softhsm::TOKEN, softhsm::PIN, LABEL);
    assert_eq!(serves(&Beside::new(module, &[], softhsm::PIN), softhsm::TOKEN), "");
}

#[test]
fn kryoptic_serves_with_a_key_for_hmac_alone() {
    world::folder();
    let token = Kryoptic::make("kryoptic-hmac-key");
    hmac_key::import(&token.module, &token.environment, kryoptic::TOKEN, kryoptic::PIN, LABEL);
    serves(&Beside::new(&token.module, &token.environment, kryoptic::PIN), kryoptic::TOKEN);
}

#[test]
fn nss_serves_with_a_key_for_hmac_alone_and_does_not_tell_its_length() {
    world::folder();
    let nss = Nss::make("nss-hmac-key", None);
    hmac_key::import(adapter::adapter(), &nss.environment, nss::LABEL, "", LABEL);
    let said = serves(&Beside::new(adapter::adapter(), &nss.environment, "9999"), nss::TOKEN);
    assert!(said.contains("does not tell the length of the key"), "{said}");
}
