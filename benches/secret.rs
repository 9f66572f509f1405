//! `cargo bench -p bulla --features argon2 --bench secret`: what a secret half adds to a verify, beside the raw cipher,
//! in one run. Every contender goes once in each round.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/keyring.rs"]
mod keyring;
#[path = "support/raw.rs"]
mod raw;
#[path = "support/rounds.rs"]
mod rounds;

use bulla::{
    ApiKey, Argon2id, Claims, Expectations, HashMemory, Issuer, KeyVersion, Opened, Pepper, Request, SecretDigest,
    SecretHash, SecretScheme, Suite, Verifier,
};
use keyring::{NOW, realm};
use rounds::Contender;

const ROUNDS: usize = 61;
/// Steps in a round of those that take less than microseconds, and of those that take milliseconds.
const MANY: u32 = 2_000;
const ONE: u32 = 1;

fn main() {
    let keyring = keyring::load(Suite::Aes256Gcm);
    let request = Request {
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

    let mut contenders = vec![
        (MANY, raw::open()),
        (MANY, Contender::new("open, up to the secret half", || open().id() == key.id())),
        (
            MANY,
            Contender::new("open, hmac-sha256, accept", || {
                let check = open();
                let matches = hmac.matches(&check.digest(&pepper)).expect("checked");
                matches && check.accept(&verifier, &expected, NOW).is_ok()
            }),
        ),
    ];
    for (name, setting) in [("owasp", Argon2id::OWASP), ("default", Argon2id::DEFAULT)] {
        let stored = hash(SecretScheme::Argon2id(setting));
        let mut memory = HashMemory::with_kib(setting.m_kib).expect("memory");
        contenders.push((ONE, argon2id(&format!("argon2id {name}, memory kept"), &stored, &digest, Some(memory))));
        contenders.push((ONE, argon2id(&format!("argon2id {name}, memory fresh"), &stored, &digest, None)));
    }
    run(contenders);
}
