//! `cargo run --release --manifest-path benches/peers/Cargo.toml`: bulla's verify beside the bare ciphers of three
//! libraries, beside tokens of others, and beside keys that are looked up in servers, in one run on one core
//! (`benches/peers/run`, which installs the servers).
//!
//! Each round times every contender once, in turn; printed are the median over the rounds and the median of the ratios
//! to `aes-gcm` and to `ring` of the same round, so that a drifting clock speed touches all alike. Built with
//! `--no-default-features` it leaves the tokens of others and the servers out. An argument sets the rounds; `threads` in its place
//! measures two threads beside one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ciphers;
#[path = "../../keys/benches/support/keyring.rs"]
mod keyring;
#[cfg(feature = "look-ups")]
mod look_ups;
#[path = "../../keys/benches/support/rounds.rs"]
mod rounds;
mod threads;
#[cfg(feature = "tokens")]
mod tokens;

use std::{hint::black_box, sync::Arc};

use bulla::{
    ApiKey, ApiKeyId, Expectations, IssueRequest, Issuer, Verifier,
    claims::Claims,
    forged::{flip, forge},
    keyring::{Keyring, Suite},
    revocation::Revocations,
};
use keyring::{NOW, realm};
use rounds::{Contender, run};

/// Distinct keys that each contender walks through, so that no branch predictor learns a single text by heart.
const KEYS: usize = 512;
/// Keys of a batch.
const BATCH: usize = 1_000;

fn main() {
    let suite1 = keyring::load(Suite::Aes256Gcm);
    let suite2 = keyring::load(Suite::Xaes256Gcm);
    let accepted = issue(&suite1, Claims::new());
    let scoped = issue(&suite1, Claims::new().with_scopes(["orders.read"]));
    let forged: Vec<String> = accepted.iter().map(|text| forge(text, 40)).collect();
    let garbage: Vec<String> = accepted.iter().map(|text| flip(text, 60)).collect();
    let million: Revocations = issue_ids(&suite1, 1_000_000);

    let empty = Verifier::new(&suite1);
    let full = empty.with_revocations(Arc::new(million));
    let xaes = Verifier::new(&suite2);
    let realms = [realm()];
    let expected = Expectations::realms(&realms);
    let scoped_expected = expected.scopes(&["orders.read"]);

    let bound_expected = expected.scopes(&["orders.read"]).audience("shop.example.com");
    let batched: Vec<String> =
        (0..BATCH.div_ceil(KEYS)).flat_map(|_| issue(&suite1, Claims::new())).take(BATCH).collect();

    let mut contenders = vec![
        ciphers::aes_gcm(),
        ciphers::ring(),
        ciphers::aws_lc(),
        Contender::over("bulla verify, accepted", accepted.clone(), |text| empty.verify(text, &expected, NOW).is_ok()),
    ];
    contenders.push(Contender::over("bulla verify, accepted, 1 M revoked", accepted, |text| {
        full.verify(text, &expected, NOW).is_ok()
    }));
    contenders.push(Contender::over("bulla verify, forged", forged.clone(), |text| {
        empty.verify(text, &expected, NOW).is_err()
    }));
    contenders.push(Contender::over("bulla verify, forged, 1 M revoked", forged, |text| {
        full.verify(text, &expected, NOW).is_err()
    }));
    contenders.push(Contender::over("bulla verify, garbage", garbage.clone(), |text| {
        empty.verify(text, &expected, NOW).is_err()
    }));
    contenders.push(Contender::over("bulla verify, garbage, 1 M revoked", garbage, |text| {
        full.verify(text, &expected, NOW).is_err()
    }));
    contenders.push(Contender::over("bulla verify, accepted, one scope", scoped, |text| {
        empty.verify(text, &scoped_expected, NOW).is_ok()
    }));
    let bound = Claims::new().with_scopes(["orders.read", "orders.write"]).with_audience(["shop.example.com"]);
    contenders.push(Contender::over("bulla verify, scopes, audience, expiry", issue(&suite1, bound), |text| {
        empty.verify(text, &bound_expected, NOW).is_ok()
    }));
    contenders.push(Contender::over("bulla verify, accepted, suite 2", issue(&suite2, Claims::new()), |text| {
        xaes.verify(text, &expected, NOW).is_ok()
    }));
    contenders.push(batch("bulla verify_batch of 1,000, each", &empty, &batched));
    contenders.push(batch("bulla verify_batch of 1,000, each, 1 M revoked", &full, &batched));
    for (name, verifier) in
        [("bulla verify, the same 1,000 one by one", &empty), ("bulla verify, the same 1,000, 1 M revoked", &full)]
    {
        contenders.push(Contender::over(name, batched.clone(), move |text| {
            black_box(&verifier.verify(text, &expected, NOW)).is_ok()
        }));
    }
    if std::env::args().nth(1).is_some_and(|mode| mode == "threads") {
        return threads::run(&empty, &batched);
    }
    #[cfg(feature = "tokens")]
    contenders.extend(tokens::all());
    #[cfg(feature = "look-ups")]
    let abilities = look_ups::add(&mut contenders);
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok());
    let measured = run(contenders, rounds.unwrap_or(rounds::ROUNDS));
    #[cfg(feature = "look-ups")]
    abilities.print(&measured);
    #[cfg(not(feature = "look-ups"))]
    drop(measured);
}

/// Verifies all texts at once, and then says so for each.
fn batch<'a>(name: &str, verifier: &'a Verifier, texts: &'a [String]) -> Contender<'a> {
    let (mut at, mut accepted) = (0, 0);
    Contender::new(name, move || {
        if at == 0 {
            accepted = 0;
            let realms = [realm()];
            let texts = black_box(texts).iter().map(String::as_str);
            verifier.verify_batch(texts, &Expectations::realms(&realms), NOW, |verdict| {
                // The verdict is made whole before it is handed over: the library does not inline that.
                accepted += usize::from(black_box(verdict.is_ok()));
            });
        }
        at = (at + 1) % texts.len();
        accepted == texts.len()
    })
}

fn issue(keyring: &Keyring, claims: Claims) -> Vec<String> {
    let issuer = Issuer::new(keyring);
    let request = IssueRequest { realm: realm(), app_id: keyring::APP, expires_at: Some(NOW + 86_400), claims };
    let issue = || -> ApiKey { issuer.issue(&request, NOW).expect("an API key") };
    (0..KEYS).map(|_| issue().expose().to_owned()).collect()
}

fn issue_ids(keyring: &Keyring, count: usize) -> Revocations {
    let issuer = Issuer::new(keyring);
    let request = IssueRequest { realm: realm(), app_id: keyring::APP, expires_at: None, claims: Claims::new() };
    (0..count).map(|_| -> ApiKeyId { issuer.issue(&request, NOW).expect("an API key").id() }).collect()
}
