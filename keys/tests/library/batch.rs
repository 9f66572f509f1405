//! Many keys at once: each verdict is the one of a key alone, in the order of the texts.

use std::sync::Arc;

use bulla::{
    Expectations, IssueRequest, Issuer, Verifier,
    claims::Claims,
    keyring::{Suite, VersionState},
    revocation::Revocations,
};

use crate::fixture::{self, ISSUED, MASTER_7, MASTER_8, Version};

#[test]
fn a_batch_says_of_each_key_what_verify_says() {
    let realms = [fixture::realm("acme_live"), fixture::realm("acme_test")];
    let versions = |master| {
        [
            Version::new(7, Suite::Aes256Gcm, VersionState::Deactivated, master),
            Version::new(8, Suite::Xaes256Gcm, VersionState::Active, MASTER_8),
        ]
    };
    let first = |master| [Version::new(7, Suite::Aes256Gcm, VersionState::Active, master)];
    let (keyring, suite1) =
        (fixture::keyring(&versions(MASTER_7), &realms), fixture::keyring(&first(MASTER_7), &realms));
    let (issuers, forger) =
        ([Issuer::new(&suite1), Issuer::new(&keyring)], Issuer::new(&fixture::keyring(&first([3; 32]), &realms)));
    let mut texts = Vec::new();
    let mut revoked = Vec::new();
    for number in 0..200usize {
        let claims = match number % 5 {
            0 | 1 => Claims::new(),
            2 => Claims::new().with_scopes(["orders.read"]),
            3 => Claims::new().with_audience(["books"]).with_meta([("n", "v".repeat(number))]),
            _ => Claims::new().with_scopes(["orders.write"]),
        };
        let issuer = if number % 7 == 6 { &forger } else { &issuers[usize::from(number % 3 == 2)] };
        let expires_at = (number % 11 == 10).then_some(ISSUED + 1);
        let app_id = uuid::Uuid::from_u128(number as u128);
        let request = IssueRequest { realm: realms[usize::from(number % 13 == 12)], app_id, expires_at, claims };
        let key = issuer.issue(&request, ISSUED).expect("should issue");
        if number % 17 == 16 {
            revoked.push(key.id());
        }
        texts.push(match number % 19 {
            17 => key.expose().replacen('a', "b", 1),
            18 => String::new(),
            _ => key.expose().to_owned(),
        });
    }
    let verifier = Verifier::new(&keyring).with_revocations(Arc::new(revoked.into_iter().collect::<Revocations>()));
    let verifier = verifier.requiring_secrets(&realms[1..]);
    let wanted = ["orders.read"];
    for expected in [
        Expectations::realms(&realms[..1]),
        Expectations::realms(&realms).audience("books"),
        Expectations::realms(&realms).scopes(&wanted),
    ] {
        let alone: Vec<_> = texts.iter().map(|text| verifier.verify(text, &expected, ISSUED + 60)).collect();
        assert!(alone.iter().any(Result::is_ok) && alone.iter().any(Result::is_err));
        // Of every length, so that every rest of a group is there.
        for count in (0..=17).chain([texts.len()]) {
            for from in (0..8).filter(|from| from + count <= texts.len()) {
                let some = texts[from..from + count].iter().map(String::as_str);
                let mut together = Vec::new();
                verifier.verify_batch(some, &expected, ISSUED + 60, |verdict| together.push(verdict));
                assert_eq!(together, alone[from..from + count]);
            }
        }
    }
}

#[test]
fn keys_without_claims_side_by_side_are_told_apart() {
    let realms = [fixture::realm("acme_live")];
    let keyring = fixture::keyring(&[Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7)], &realms);
    let other = fixture::keyring(&[Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_8)], &realms);
    let (verifier, expected) = (Verifier::new(&keyring), Expectations::realms(&realms));
    // All ways in which eight keys can be genuine or forged.
    for pattern in 0..256u128 {
        let texts: Vec<_> = (0..8)
            .map(|at| {
                let issuer = Issuer::new(if pattern >> at & 1 == 1 { &other } else { &keyring });
                let app_id = uuid::Uuid::from_u128(pattern << 8 | at);
                let request = IssueRequest { realm: realms[0], app_id, expires_at: None, claims: Claims::new() };
                issuer.issue(&request, ISSUED).expect("should issue").expose().to_owned()
            })
            .collect();
        let (mut apps, mut forged) = (Vec::new(), 0);
        verifier.verify_batch(texts.iter().map(String::as_str), &expected, ISSUED, |verdict| match verdict {
            Ok(verified) => apps.push(verified.app_id().as_u128()),
            Err(_) => forged += 1,
        });
        let genuine: Vec<_> = (0..8).filter(|at| pattern >> at & 1 == 0).map(|at| pattern << 8 | at).collect();
        assert_eq!((apps, forged), (genuine, pattern.count_ones()));
    }
}
