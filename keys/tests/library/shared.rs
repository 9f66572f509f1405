//! Two replace a shared verifier, and neither undoes what the other did.

use std::sync::Arc;

use bulla::{
    ApiKey, Expectations, IssueRequest, Issuer, Opened, Realm, Rejection, SharedVerifier, Verifier, VerifyError,
    claims::Claims,
    keyring::{KeyVersion, Suite, VersionState},
    revocation::Revocations,
};

use crate::fixture::{self, ISSUED, MASTER_7, MASTER_8, Version};

const NOW: u64 = ISSUED + 60;

fn realms() -> [Realm; 1] {
    [fixture::realm("acme_live")]
}

/// A verifier of versions 7 and 8, and a key of each.
fn verifier_and_keys(claims: &Claims) -> (Verifier, ApiKey, ApiKey) {
    let issue = |seven, eight| {
        let versions =
            [Version::new(7, Suite::Aes256Gcm, seven, MASTER_7), Version::new(8, Suite::Xaes256Gcm, eight, MASTER_8)];
        let keyring = fixture::keyring(&versions, &realms());
        let request =
            IssueRequest { realm: realms()[0], app_id: uuid::Uuid::max(), expires_at: None, claims: claims.clone() };
        let key = Issuer::new(&keyring).issue(&request, ISSUED).expect("should issue");
        (Verifier::new(&keyring), key)
    };
    let (_, of_seven) = issue(VersionState::Active, VersionState::Staged);
    let (verifier, of_eight) = issue(VersionState::Deactivated, VersionState::Active);
    (verifier, of_seven, of_eight)
}

fn verdict(shared: &SharedVerifier, key: &ApiKey, now: u64) -> Result<(), &'static str> {
    let verified = shared.verify(key.expose(), &Expectations::realms(&realms()), now);
    verified.map(|verified| assert_eq!(verified.id(), key.id())).map_err(VerifyError::code)
}

fn revoking(key: &ApiKey) -> Arc<Revocations> {
    Arc::new([key.id()].into_iter().collect())
}

#[test]
fn revocations_outlive_a_keyring_that_is_loaded_anew() {
    let (verifier, seven, eight) = verifier_and_keys(&Claims::new());
    let shared = SharedVerifier::new(verifier.clone());
    let handle = shared.clone();
    assert_eq!((verdict(&shared, &seven, NOW), verdict(&shared, &eight, NOW)), (Ok(()), Ok(())));

    shared.set_revocations(revoking(&eight), &[KeyVersion::new(7).expect("a version")], None);
    let refused = (Err("version_refused"), Err("revoked"));
    assert_eq!((verdict(&handle, &seven, NOW), verdict(&handle, &eight, NOW)), refused, "its clones are the same");
    handle.store(verifier.clone());
    assert_eq!((verdict(&shared, &seven, NOW), verdict(&shared, &eight, NOW)), refused);

    // What is said next stands in the place of what was said before, and versions are given back with it.
    shared.set_revocations(Arc::default(), &[], None);
    assert_eq!((verdict(&shared, &seven, NOW), verdict(&shared, &eight, NOW)), (Ok(()), Ok(())));
}

#[test]
fn revocations_of_the_verifier_itself_hold_until_others_are_told() {
    let (verifier, seven, eight) = verifier_and_keys(&Claims::new());
    let shared = SharedVerifier::new(verifier.with_revocations(revoking(&seven)));
    assert_eq!((verdict(&shared, &seven, NOW), verdict(&shared, &eight, NOW)), (Err("revoked"), Ok(())));
    shared.set_revocations(revoking(&eight), &[], None);
    assert_eq!((verdict(&shared, &seven, NOW), verdict(&shared, &eight, NOW)), (Ok(()), Err("revoked")));
}

#[test]
fn a_stale_verifier_accepts_nothing_and_still_refuses_what_it_can() {
    let (verifier, seven, eight) = verifier_and_keys(&Claims::new());
    let shared = SharedVerifier::new(verifier.clone());
    shared.set_revocations(revoking(&eight), &[], Some(0..=NOW));
    assert_eq!(verdict(&shared, &seven, NOW), Ok(()), "the last second counts");
    assert_eq!(verdict(&shared, &seven, NOW + 1), Err("stale"));
    assert_eq!(verdict(&shared, &eight, NOW + 1), Err("revoked"));
    shared.store(verifier);
    assert_eq!(verdict(&shared, &seven, NOW + 1), Err("stale"), "a keyring says nothing of revocations");
    shared.set_revocations(Arc::default(), &[], None);
    assert_eq!(verdict(&shared, &seven, u64::MAX), Ok(()));
}

#[test]
fn a_secret_half_is_as_unchecked_as_with_a_verifier() {
    let (verifier, _, key) = verifier_and_keys(&Claims::new().with_secret());
    let refused = SharedVerifier::new(verifier).verify(key.expose(), &Expectations::realms(&realms()), NOW);
    assert_eq!(refused.clone().err(), Some(VerifyError::SecretUnchecked));
    assert_eq!(refused.expect_err("refused").to_string(), VerifyError::SecretUnchecked.to_string());
    for rejection in Rejection::ALL {
        assert_eq!(VerifyError::from(rejection).code(), rejection.code());
    }
}

#[test]
fn a_key_is_accepted_by_the_verifier_that_is_there_when_its_hash_is_found() {
    let (verifier, _, key) = verifier_and_keys(&Claims::new().with_secret());
    let (shared, realms) = (SharedVerifier::new(verifier), realms());
    let expected = Expectations::realms(&realms);
    let open = || match shared.open(key.expose(), &expected, NOW).expect("should open") {
        Opened::Secret(check) => check,
        Opened::Verified(_) => panic!("accepted without its secret half"),
    };
    let accept = |check, now| match shared.accept(check, &expected, now) {
        Ok(verified) => Ok(verified.id()),
        Err(error) => Err(error.code()),
    };
    assert_eq!(accept(open(), NOW), Ok(key.id()));

    let check = open();
    shared.set_revocations(revoking(&key), &[], None);
    assert_eq!(accept(check, NOW), Err("revoked"), "revoked while its hash was read");
    assert_eq!(shared.open(key.expose(), &expected, NOW).err().map(VerifyError::code), Some("revoked"));

    shared.set_revocations(Arc::default(), &[], Some(0..=NOW));
    let check = open();
    assert_eq!(accept(check, NOW + 1), Err("stale"));
    assert_eq!(shared.open(key.expose(), &expected, NOW + 1).err().map(VerifyError::code), Some("stale"));
}
