//! `cargo bench -p bulla --bench verify`: bulla's verify beside the raw cipher and its peers, in one run on one core.
//!
//! Each round times every contender once, in turn; printed are the median over the rounds and the median of the ratios
//! to the raw cipher of the same round, so that a drifting clock speed touches all alike.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/forged.rs"]
mod forged;
#[path = "support/keyring.rs"]
mod keyring;
#[path = "support/raw.rs"]
mod raw;
#[path = "support/rounds.rs"]
mod rounds;

use std::sync::Arc;

use bulla::{
    ApiKey, ApiKeyId, Expectations, IssueRequest, Issuer, Verifier,
    claims::Claims,
    keyring::{Keyring, Suite},
    revocation::Revocations,
};
use forged::{flip, with_checksum};
use keyring::{NOW, realm};
use rounds::{Contender, run};

/// Distinct keys that each contender walks through, so that no branch predictor learns a single text by heart.
const KEYS: usize = 512;

fn main() {
    let suite1 = keyring::load(Suite::Aes256Gcm);
    let suite2 = keyring::load(Suite::Xaes256Gcm);
    let accepted = issue(&suite1, Claims::new());
    let scoped = issue(&suite1, Claims::new().with_scopes(["orders.read"]));
    let forged: Vec<String> = accepted.iter().map(|text| with_checksum(&flip(text, 40))).collect();
    let garbage: Vec<String> = accepted.iter().map(|text| flip(text, 60)).collect();
    let million: Revocations = issue_ids(&suite1, 1_000_000);

    let empty = Verifier::new(&suite1);
    let full = empty.with_revocations(Arc::new(million));
    let xaes = Verifier::new(&suite2);
    let realms = [realm()];
    let expected = Expectations::realms(&realms);
    let scoped_expected = expected.scopes(&["orders.read"]);

    let mut contenders = vec![
        raw::open(),
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
    contenders.push(Contender::over("bulla verify, accepted, suite 2", issue(&suite2, Claims::new()), |text| {
        xaes.verify(text, &expected, NOW).is_ok()
    }));
    contenders.extend([fernet(), branca(), paseto(), jwt()]);
    run(contenders);
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

fn fernet() -> Contender<'static> {
    let cipher = fernet::Fernet::new(&fernet::Fernet::generate_key()).expect("a key");
    let tokens: Vec<String> = (0..KEYS).map(|_| cipher.encrypt(keyring::APP.as_bytes())).collect();
    Contender::over("Fernet (fernet 0.2)", tokens, move |token| cipher.decrypt(token).is_ok())
}

fn branca() -> Contender<'static> {
    let key = [7; 32];
    let tokens =
        (0..KEYS).map(|_| branca::encode(keyring::APP.as_bytes(), &key, NOW as u32).expect("a token")).collect();
    Contender::over("Branca (branca 0.10)", tokens, move |token| branca::decode(token, &key, 0).is_ok())
}

fn paseto() -> Contender<'static> {
    use pasetors::{
        Local,
        keys::SymmetricKey,
        token::UntrustedToken,
        version4::{LocalToken, V4},
    };
    let key = SymmetricKey::<V4>::from(&[7; 32]).expect("a key");
    // A PASETO's message is UTF-8.
    let seal = || LocalToken::encrypt(&key, keyring::APP.to_string().as_bytes(), None, None).expect("a token");
    let tokens = (0..KEYS).map(|_| seal()).collect();
    Contender::over("PASETO v4.local (pasetors 0.8)", tokens, move |token| {
        let token = UntrustedToken::<Local, V4>::try_from(token).expect("a token");
        LocalToken::decrypt(&key, &token, None, None).is_ok()
    })
}

fn jwt() -> Contender<'static> {
    use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Body {
        sub: String,
        exp: u64,
    }
    let body = Body { sub: keyring::APP.to_string(), exp: u64::from(u32::MAX) };
    let seal = || encode(&Header::default(), &body, &EncodingKey::from_secret(&[7; 32])).expect("a token");
    let tokens: Vec<String> = (0..KEYS).map(|_| seal()).collect();
    let (key, rules) = (DecodingKey::from_secret(&[7; 32]), Validation::new(Algorithm::HS256));
    Contender::over("JWT HS256 (jsonwebtoken 11)", tokens, move |token| decode::<Body>(token, &key, &rules).is_ok())
}
