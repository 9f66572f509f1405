//! Tokens of others, each verified as its library says, with the app as their only content.

use std::time::Duration;

use crate::{keyring, rounds::Contender};

const KEYS: usize = 512;
const KEY: [u8; 32] = [7; 32];

pub(crate) fn all() -> [Contender<'static>; 7] {
    [fernet(), branca(), paseto(), jwt_hs256(), jwt_eddsa(), macaroon(), biscuit()]
}

fn fernet() -> Contender<'static> {
    let cipher = fernet::Fernet::new(&fernet::Fernet::generate_key()).expect("a key");
    let tokens: Vec<String> = (0..KEYS).map(|_| cipher.encrypt(keyring::APP.as_bytes())).collect();
    Contender::over("Fernet (fernet 0.2)", tokens, move |token| cipher.decrypt(token).is_ok())
}

fn branca() -> Contender<'static> {
    let seal = || branca::encode(keyring::APP.as_bytes(), &KEY, keyring::NOW as u32).expect("a token");
    let tokens = (0..KEYS).map(|_| seal()).collect();
    Contender::over("Branca (branca 0.10)", tokens, move |token| branca::decode(token, &KEY, 0).is_ok())
}

fn paseto() -> Contender<'static> {
    use pasetors::{
        Local,
        keys::SymmetricKey,
        token::UntrustedToken,
        version4::{LocalToken, V4},
    };
    let key = SymmetricKey::<V4>::from(&KEY).expect("a key");
    // A PASETO's message is UTF-8.
    let seal = || LocalToken::encrypt(&key, keyring::APP.to_string().as_bytes(), None, None).expect("a token");
    let tokens = (0..KEYS).map(|_| seal()).collect();
    Contender::over("PASETO v4.local (pasetors 0.8)", tokens, move |token| {
        let token = UntrustedToken::<Local, V4>::try_from(token).expect("a token");
        LocalToken::decrypt(&key, &token, None, None).is_ok()
    })
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Body {
    sub: String,
    exp: u64,
}

fn jwts(
    name: &str,
    algorithm: jsonwebtoken::Algorithm,
    encoding: &jsonwebtoken::EncodingKey,
    decoding: jsonwebtoken::DecodingKey,
) -> Contender<'static> {
    use jsonwebtoken::{Header, Validation, decode, encode};
    let body = Body { sub: keyring::APP.to_string(), exp: u64::from(u32::MAX) };
    let seal = || encode(&Header::new(algorithm), &body, encoding).expect("a token");
    let tokens: Vec<String> = (0..KEYS).map(|_| seal()).collect();
    let rules = Validation::new(algorithm);
    Contender::over(name, tokens, move |token| decode::<Body>(token, &decoding, &rules).is_ok())
}

fn jwt_hs256() -> Contender<'static> {
    use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
    let (encoding, decoding) = (EncodingKey::from_secret(&KEY), DecodingKey::from_secret(&KEY));
    jwts("JWT HS256 (jsonwebtoken 11)", Algorithm::HS256, &encoding, decoding)
}

fn jwt_eddsa() -> Contender<'static> {
    use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
    use ring::signature::{Ed25519KeyPair, KeyPair};
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).expect("a key pair");
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("a key pair");
    let decoding = DecodingKey::from_ed_der(pair.public_key().as_ref());
    jwts("JWT EdDSA (jsonwebtoken 11)", Algorithm::EdDSA, &EncodingKey::from_ed_der(pkcs8.as_ref()), decoding)
}

fn macaroon() -> Contender<'static> {
    use macaroon::{ByteString, Format, Macaroon, MacaroonKey, Verifier};
    macaroon::initialize().expect("libsodium");
    let (key, caveat) = (MacaroonKey::generate(&KEY), ByteString::from("op = orders.read"));
    let mut verifier = Verifier::default();
    verifier.satisfy_exact(caveat.clone());
    let make = |at: usize| {
        let identifier = format!("{} {at}", keyring::APP);
        let mut macaroon = Macaroon::create(None, &key, identifier.into()).expect("a macaroon");
        macaroon.add_first_party_caveat(caveat.clone());
        macaroon.serialize(Format::V2).expect("a text")
    };
    let tokens: Vec<String> = (0..KEYS).map(make).collect();
    Contender::over("Macaroon, one caveat (macaroon 0.3)", tokens, move |token| {
        let macaroon = Macaroon::deserialize(token).expect("a macaroon");
        verifier.verify(&macaroon, &key, Vec::new()).is_ok()
    })
}

fn biscuit() -> Contender<'static> {
    use biscuit_auth::{
        Biscuit, KeyPair,
        AuthorizerLimits,
        builder::{AuthorizerBuilder, BiscuitBuilder},
    };
    let root = KeyPair::new();
    let make = || {
        let fact = format!("app(\"{}\")", keyring::APP);
        let builder = BiscuitBuilder::new().fact(fact.as_str()).expect("a fact");
        builder.build(&root).expect("signed").to_base64().expect("a text")
    };
    // Making one signs with a new key pair; a few are enough to walk through.
    let tokens: Vec<String> = (0..KEYS).map(|_| make()).collect();
    let public = root.public();
    // The default is 1 ms of wall-clock time, so that a thread that has to wait for a processor refuses a token.
    let limits = AuthorizerLimits { max_time: Duration::from_secs(10), ..AuthorizerLimits::default() };
    Contender::over("Biscuit, one fact (biscuit-auth 6)", tokens, move |token| {
        let biscuit = Biscuit::from_base64(token, public).expect("a token");
        let policies = AuthorizerBuilder::new().policy("allow if app($app)").expect("a policy");
        policies.build(&biscuit).expect("an authorizer").authorize_with_limits(limits.clone()).is_ok()
    })
}
