//! One verify of each kind for `.ci/instructions`, which counts the instructions of [`counted`] by callgrind; and a
//! batch, for who asks: callgrind knows no AVX-512, so it sees the keys of one opened one by one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/ids.rs"]
mod ids;
#[path = "support/keyring.rs"]
mod keyring;

use std::{hint::black_box, sync::Arc};

use bulla::{
    Expectations, IssueRequest, Issuer, Verifier,
    claims::Claims,
    forged::{flip, forge},
    keyring::{Keyring, Suite},
    revocation::Revocations,
};
use keyring::{NOW, realm};

/// Verifies that are counted; as many before them are not, so that what is done once is not in the count.
const COUNT: usize = 64;

fn main() {
    let kind = std::env::args().nth(1).unwrap_or_default();
    let (suite1, suite2) = (keyring::load(Suite::Aes256Gcm), keyring::load(Suite::Xaes256Gcm));
    let bound = Claims::new().with_scopes(["orders.read", "orders.write"]).with_audience(["shop.example.com"]);
    let realms = [realm()];
    let plain = Expectations::realms(&realms);
    let empty = Verifier::new(&suite1);
    let (verifier, texts, expected) = match kind.as_str() {
        "accepted" | "batch" => (empty, issue(&suite1, Claims::new()), plain),
        "revocations" => {
            let list = Revocations::from_changes(ids::revocations(0).take(1_000));
            (empty.with_revocations(Arc::new(list)), issue(&suite1, Claims::new()), plain)
        }
        "claims" => (empty, issue(&suite1, bound), plain.scopes(&["orders.read"]).audience("shop.example.com")),
        "suite2" => (Verifier::new(&suite2), issue(&suite2, Claims::new()), plain),
        "forged" => {
            let texts = issue(&suite1, Claims::new());
            (empty, texts.iter().map(|text| forge(text, 40)).collect(), plain)
        }
        "garbage" => (empty, issue(&suite1, Claims::new()).iter().map(|text| flip(text, 60)).collect(), plain),
        other => panic!("no kind `{other}`"),
    };
    let accepted = !matches!(kind.as_str(), "forged" | "garbage");
    for text in &texts[..COUNT] {
        assert_eq!(verifier.verify(text, &expected, NOW).is_ok(), accepted);
    }
    let at_once = if kind == "batch" { COUNT } else { 1 };
    for texts in texts[COUNT..].chunks(at_once) {
        assert_eq!(counted(&verifier, texts, &expected), if accepted { at_once } else { 0 });
    }
}

/// What callgrind counts: how many hold, of one or of many at once.
#[inline(never)]
fn counted(verifier: &Verifier, texts: &[String], expected: &Expectations<'_>) -> usize {
    if let [text] = texts {
        return usize::from(black_box(verifier.verify(black_box(text), expected, NOW)).is_ok());
    }
    let mut hold = 0;
    let texts = black_box(texts).iter().map(String::as_str);
    verifier.verify_batch(texts, expected, NOW, |verdict| hold += usize::from(black_box(&verdict).is_ok()));
    hold
}

fn issue(keyring: &Keyring, claims: Claims) -> Vec<String> {
    let issuer = Issuer::new(keyring);
    let request = IssueRequest { realm: realm(), app_id: keyring::APP, expires_at: Some(NOW + 86_400), claims };
    (0..2 * COUNT).map(|_| issuer.issue(&request, NOW).expect("an API key").expose().to_owned()).collect()
}
