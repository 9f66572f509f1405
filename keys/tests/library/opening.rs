//! Opening keys with the hashes of secret halves at hand: what comes before the secret half, what after, and what may
//! change in between.

use std::sync::Arc;

use bulla::{
    ApiKey, Expectations, IssueRequest, Issuer, Opened, Realm, Rejection, SecretCheck, Verifier, VerifyError,
    claims::Claims,
    forged::with_checksum,
    keyring::{KeyVersion, Keyring, Suite, VersionState},
    revocation::Revocations,
    secret::{SecretHash, SecretHashError, SecretScheme},
};

use crate::{
    fixture::{self, ISSUED, KEYRING_ID, MASTER_7, Version},
    secret::{pepper, worked_pepper},
};

fn live() -> Realm {
    fixture::realm("acme_live")
}

/// A keyring of one version, which has the master key of the worked examples and this number.
fn keyring(number: u32, change: impl FnOnce(&mut Version)) -> Keyring {
    let mut version = Version::new(number, Suite::Aes256Gcm, VersionState::Active, MASTER_7);
    change(&mut version);
    fixture::keyring(&[version], &[live(), fixture::realm("acme_test")])
}

fn issue(realm: Realm, expires_at: Option<u64>, claims: Claims) -> ApiKey {
    let request = IssueRequest { realm, app_id: uuid::Uuid::max(), expires_at, claims };
    Issuer::new(&keyring(7, |_| {})).issue(&request, ISSUED).expect("should issue")
}

fn with_secret() -> ApiKey {
    issue(live(), None, Claims::new().with_secret())
}

fn verifier() -> Verifier {
    Verifier::new(&keyring(7, |_| {}))
}

fn revoking(key: &ApiKey) -> Verifier {
    verifier().with_revocations(Arc::new(Revocations::from_iter([key.id()])))
}

fn stored(key: &ApiKey) -> SecretHash {
    let digest = key.secret_digest(&worked_pepper()).expect("should have a secret half");
    SecretHash::new(SecretScheme::HmacSha256, &digest).expect("should hash")
}

fn check(key: &ApiKey) -> SecretCheck {
    let realms = [live()];
    match verifier().open(key.expose(), &Expectations::realms(&realms), ISSUED).expect("should open") {
        Opened::Secret(check) => check,
        Opened::Verified(_) => panic!("accepted without its secret half"),
    }
}

/// The part of `key` that is sealed, with the secret half and the checksum of `other`; the checksum made right.
fn ending_of(key: &ApiKey, secret: &str) -> String {
    let text = key.expose();
    let sealed = if key.has_secret() { &text[..text.len() - 51] } else { &text[..text.len() - 6] };
    with_checksum(&format!("{sealed}{secret}"))
}

#[test]
fn a_right_secret_half_is_accepted_and_plain_verifying_could_not_tell() {
    let (key, realms) = (with_secret(), [live()]);
    let expected = Expectations::realms(&realms);
    assert_eq!(verifier().verify(key.expose(), &expected, ISSUED), Err(VerifyError::SecretUnchecked));
    let check = check(&key);
    assert_eq!((check.id(), check.app_id()), (key.id(), uuid::Uuid::max()));
    assert_eq!(stored(&key).matches(&check.digest(&worked_pepper())), Ok(true));
    let verified = check.accept(&verifier(), &expected, ISSUED).expect("should be accepted");
    assert_eq!(verified.id(), key.id());
    assert!(verified.claims().is_some_and(Claims::has_secret));
}

#[test]
fn of_several_hashes_one_has_to_match_and_an_unusable_one_is_no_verdict() {
    let (key, other, peppers) = (with_secret(), with_secret(), [worked_pepper()]);
    let second = pepper(&[9; 32], KEYRING_ID, 2);
    let digest = key.secret_digest(&second).expect("should have a secret half");
    let under_second = SecretHash::new(SecretScheme::HmacSha256, &digest).expect("should hash");
    let missing = SecretHashError::PepperMissing(KeyVersion::new(2).expect("should be a version"));
    for (hashes, matches) in [
        (vec![], Ok(false)),
        (vec![stored(&key)], Ok(true)),
        (vec![stored(&other)], Ok(false)),
        (vec![stored(&other), stored(&key)], Ok(true)),
        (vec![under_second.clone()], Err(missing.clone())),
        (vec![under_second.clone(), stored(&other)], Err(missing)),
        (vec![under_second.clone(), stored(&key)], Ok(true)),
    ] {
        assert_eq!(check(&key).matches(&hashes, &peppers), matches, "{hashes:?}");
    }
    assert_eq!(check(&key).matches(&[under_second], &[worked_pepper(), second]), Ok(true));
}

#[test]
fn another_keys_secret_half_does_not_match() {
    let (key, other) = (with_secret(), with_secret());
    let secret = &other.expose()[other.expose().len() - 51..other.expose().len() - 6];
    let mixed: ApiKey = ending_of(&key, secret).parse().expect("should be an API key");
    assert_eq!(mixed.id(), key.id());
    let hashes = [stored(&key), stored(&other)];
    assert_eq!(check(&mixed).matches(&hashes, &[worked_pepper()]), Ok(false));
    assert_eq!(check(&key).matches(&hashes, &[worked_pepper()]), Ok(true));
}

#[test]
fn a_realm_that_requires_secrets_accepts_no_key_without() {
    let (realms, test) = ([live(), fixture::realm("acme_test")], fixture::realm("acme_test"));
    let expected = Expectations::realms(&realms);
    let (plain, plain_test) = (issue(live(), None, Claims::new()), issue(test, None, Claims::new()));
    let requiring = verifier().requiring_secrets(&[live()]);
    // Whatever else is swapped in.
    for verifier in [requiring.clone(), requiring.with_revocations(Arc::default())] {
        let verify = |key: &ApiKey| verifier.verify(key.expose(), &expected, ISSUED).map(|verified| verified.id());
        let open = |key: &ApiKey| verifier.open(key.expose(), &expected, ISSUED);
        assert_eq!(verify(&plain), Err(VerifyError::SecretUnchecked));
        assert_eq!(open(&plain).err(), Some(Rejection::SecretRequired.into()));
        let scoped = issue(live(), None, Claims::new().with_scopes(["a"]));
        assert_eq!(open(&scoped).err(), Some(Rejection::SecretRequired.into()));
        assert_eq!(verify(&plain_test), Ok(plain_test.id()));
        assert!(matches!(open(&plain_test), Ok(Opened::Verified(verified)) if verified.id() == plain_test.id()));
        assert!(matches!(open(&with_secret()), Ok(Opened::Secret(_))));
    }
    assert!(verifier().verify(plain.expose(), &expected, ISSUED).is_ok(), "the one it was made of is as it was");
}

#[test]
fn the_secret_half_comes_after_everything_but_the_scope() {
    let (realms, address) = ([live()], "10.0.0.1".parse().expect("should be an address"));
    let claims = Claims::new()
        .with_secret()
        .with_scopes(["read"])
        .with_audience(["shop"])
        .with_cidr(["10.0.0.0/8".parse().expect("should be a block")]);
    let key = issue(live(), Some(ISSUED + 100), claims.clone());
    let not_yet = issue(live(), None, claims.clone().with_not_before(ISSUED + 1));
    let secret = &key.expose()[key.expose().len() - 51..key.expose().len() - 6];
    let plain = issue(live(), None, Claims::new().with_audience(["shop"]));
    let text = key.expose();
    let (missing, surplus) = (ending_of(&key, ""), ending_of(&plain, secret));
    let forged = with_checksum(&format!("{}{}", text[..text.len() - 51].replacen("acme_live", "acme_test", 1), secret));
    let bad_base62 = ending_of(&key, &format!("_{}", "z".repeat(44)));

    let none = Expectations::realms(&realms);
    let here = none.address(address);
    let all = here.audience("shop");
    let required = |verifier: Verifier| verifier.requiring_secrets(&realms);
    for (why, verifier, text, expected, now, rejection) in [
        ("shape", verifier(), &*bad_base62, &all, ISSUED, Rejection::Malformed),
        ("checksum", verifier(), &text[1..], &all, ISSUED, Rejection::Checksum),
        ("realm", verifier(), &forged, &all, ISSUED, Rejection::Realm),
        ("version", Verifier::new(&keyring(6, |_| {})), text, &all, ISSUED, Rejection::VersionUnknown),
        ("expired", revoking(&key), text, &none, ISSUED + 100, Rejection::Expired),
        ("not before", revoking(&not_yet), not_yet.expose(), &none, ISSUED, Rejection::NotYetValid),
        ("revoked", revoking(&key), text, &none, ISSUED, Rejection::Revoked),
        ("revoked, not required", required(revoking(&plain)), plain.expose(), &none, ISSUED, Rejection::Revoked),
        ("address", verifier(), text, &none.audience("shop"), ISSUED, Rejection::Address),
        ("audience", verifier(), text, &here, ISSUED, Rejection::Audience),
        ("audience before required", required(verifier()), plain.expose(), &none, ISSUED, Rejection::Audience),
        ("missing before scope", verifier(), &missing, &all.scopes(&["write"]), ISSUED, Rejection::SecretMissing),
        ("missing before required", required(verifier()), &missing, &all, ISSUED, Rejection::SecretMissing),
        ("surplus", required(verifier()), &surplus, &all.scopes(&["write"]), ISSUED, Rejection::SecretSurplus),
        ("required", required(verifier()), plain.expose(), &all.scopes(&["x"]), ISSUED, Rejection::SecretRequired),
        ("scope", verifier(), plain.expose(), &all.scopes(&["x"]), ISSUED, Rejection::Scope),
    ] {
        let opened = verifier.open(text, expected, now);
        assert_eq!(opened.err(), Some(rejection.into()), "{why}");
        let verified = verifier.verify(text, expected, now).expect_err("should be refused");
        let could_not_tell = rejection == Rejection::SecretRequired;
        assert_eq!(verified == VerifyError::SecretUnchecked, could_not_tell, "{why}, verified");
    }

    // A missing scope is told only after the secret half.
    let wanting = all.scopes(&["read", "write"]);
    assert_eq!(verifier().verify(text, &wanting, ISSUED), Err(VerifyError::SecretUnchecked));
    let Ok(Opened::Secret(check)) = verifier().open(text, &wanting, ISSUED) else { panic!("should open") };
    assert_eq!(check.accept(&verifier(), &wanting, ISSUED), Err(Rejection::Scope.into()));
}

#[test]
fn a_key_that_is_revoked_during_the_check_stays_rejected() {
    let (realms, expires) = ([live()], ISSUED + 100);
    let key = issue(live(), Some(expires), Claims::new().with_secret());
    let expected = Expectations::realms(&realms);
    let scope = expected.scopes(&["read"]);
    let version = |number, change: fn(&mut Version)| Verifier::new(&keyring(number, change));
    let no_realm = Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7);
    let no_realm = Verifier::new(&fixture::keyring(&[no_realm], &[fixture::realm("acme_test")]));
    for (verifier, now, rejection) in [
        (verifier(), expires - 1, None),
        (verifier(), expires, Some(Rejection::Expired)),
        (verifier(), ISSUED - 301, Some(Rejection::NotYetValid)),
        (revoking(&key), ISSUED, Some(Rejection::Revoked)),
        (version(7, |version| version.state = VersionState::Compromised), ISSUED, Some(Rejection::VersionRefused)),
        (version(7, |version| version.verify_until = Some(ISSUED)), ISSUED, Some(Rejection::VersionRefused)),
        (version(8, |_| {}), ISSUED, Some(Rejection::VersionUnknown)),
        (no_realm, ISSUED, Some(Rejection::Realm)),
    ] {
        let accepted = check(&key).accept(&verifier, &expected, now);
        assert_eq!(accepted.err(), rejection.map(Into::into));
        // Scope stays the last.
        let accepted = check(&key).accept(&verifier, &scope, now);
        assert_eq!(accepted.err(), Some(rejection.unwrap_or(Rejection::Scope).into()));
    }
}

#[test]
fn a_check_can_wait_on_another_thread() {
    let (key, peppers) = (with_secret(), [worked_pepper()]);
    let (waiting, hashes) = (check(&key), [stored(&key)]);
    let check = std::thread::spawn(move || {
        assert_eq!(waiting.matches(&hashes, &peppers), Ok(true));
        waiting
    });
    assert_eq!(check.join().expect("should end").id(), key.id());
}
