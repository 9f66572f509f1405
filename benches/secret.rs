//! `cargo bench -p bulla-server --bench secret`: what a secret half adds to a verify, beside the raw cipher,
//! in one run, every contender once in each round; and what a flood of forged keys does to genuine ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/flood.rs"]
mod flood;
#[path = "../keys/benches/support/keyring.rs"]
mod keyring;
#[path = "../keys/benches/support/raw.rs"]
mod raw;
#[path = "../keys/benches/support/rounds.rs"]
mod rounds;

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bulla::{
    Expectations, IssueRequest, Issuer, Opened, Verifier,
    claims::Claims,
    keyring::Suite,
    secret::{Argon2id, HashMemory, SecretHash, SecretScheme},
};
use bulla_server::testing::benchmark::SecretCache;
use keyring::{NOW, realm};
use rounds::Contender;

const ROUNDS: usize = 101;
/// Steps in a round of those that take less than microseconds, and of those that take milliseconds.
const MANY: u32 = 2_000;
const ONE: u32 = 1;

fn main() {
    let keyring = keyring::load(Suite::Aes256Gcm);
    let request = IssueRequest {
        realm: realm(),
        app_id: keyring::APP,
        expires_at: Some(NOW + 86_400),
        claims: Claims::new().with_secret(),
    };
    let key = Issuer::new(&keyring).issue(&request, NOW).expect("an API key");
    let (verifier, realms, pepper) = (Verifier::new(&keyring), [realm()], keyring::pepper());
    let expected = Expectations::realms(&realms);
    let digest = key.secret_digest(&pepper).expect("a secret half");
    let hash = |scheme| SecretHash::new(scheme, &digest).expect("a hash");
    let hmac = hash(SecretScheme::HmacSha256);
    let open = || match verifier.open(key.expose(), &expected, NOW) {
        Ok(Opened::Secret(check)) => check,
        _ => panic!("it has a secret half"),
    };

    let owasp = hash(SecretScheme::Argon2id(Argon2id::OWASP));
    let default = hash(SecretScheme::Argon2id(Argon2id::DEFAULT));
    let kept = |stored: &SecretHash| HashMemory::with_kib(stored.memory_kib()).expect("memory");
    let (mut kept_owasp, mut kept_default) = (kept(&owasp), kept(&default));
    let scoped = IssueRequest { claims: Claims::new().with_scopes(["orders.read"]), ..request.clone() };
    let scoped = Issuer::new(&keyring).issue(&scoped, NOW).expect("an API key");
    let remembered = SecretCache::new(100_000, Duration::from_secs(3_600));
    ready(remembered.remember(key.expose()));
    let contenders = vec![
        (MANY, raw::open()),
        (
            MANY,
            Contender::new("verify, a key without a secret half", || {
                verifier.verify(scoped.expose(), &expected, NOW).is_ok()
            }),
        ),
        (
            MANY,
            Contender::new("open, remembered, accept", || {
                let check = open();
                ready(remembered.holds(key.expose())) && check.accept(&verifier, &expected, NOW).is_ok()
            }),
        ),
        (MANY, Contender::new("open, up to the secret half", || open().id() == key.id())),
        (
            MANY,
            Contender::new("open, hmac-sha256, accept", || {
                let check = open();
                let matches = hmac.matches(&check.digest(&pepper)).expect("checked");
                matches && check.accept(&verifier, &expected, NOW).is_ok()
            }),
        ),
        (ONE, Contender::new("argon2id owasp", || owasp.matches_in(&digest, &mut kept_owasp).expect("checked"))),
        (ONE, Contender::new("argon2id owasp, fresh memory", || owasp.matches(&digest).expect("checked"))),
        (ONE, Contender::new("argon2id default", || default.matches_in(&digest, &mut kept_default).expect("checked"))),
        (ONE, Contender::new("argon2id default, fresh memory", || default.matches(&digest).expect("checked"))),
    ];
    run(contenders);
    flood::run(&keyring, &pepper);
}

/// What a future comes to that has nothing to wait for.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

fn run(mut contenders: Vec<(u32, Contender<'_>)>) {
    let mut times = vec![Vec::with_capacity(ROUNDS); contenders.len()];
    for _ in 0..ROUNDS {
        for ((steps, contender), times) in contenders.iter_mut().zip(&mut times) {
            times.push(contender.time(*steps) / 1_000.0);
        }
    }
    println!("{:<40} {:>12} {:>12} {:>12}", "", "µs median", "99th of 100", "longest");
    for ((_, contender), times) in contenders.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        println!("{:<40} {:>12.1} {:>12.1} {:>12.1}", contender.name(), at(50), at(99), at(100));
    }
}
