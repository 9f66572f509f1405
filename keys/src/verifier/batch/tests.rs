//! At every level of the processor: each verdict of a batch is the one of the key alone.

use std::sync::Arc;

use uuid::Uuid;
use zeroize::Zeroizing;

use super::*;
use crate::{
    api_key::{
        ApiKeyId,
        text::{CHECKSUM_CHARS, assemble},
    },
    claims::Claims,
    derive::DerivedKey,
    forged::with_checksum,
    key_version::KeyVersion,
    keyring::{LoadedVersion, RealmKeys, VersionRecord},
    payload::Payload,
    realm::Realm,
    revocation::Revocations,
    seal::SealKey,
    suite::Suite,
    vector::at_every_level,
};

const NOW: u64 = 1_795_000_000;
/// The shortest name, the longest, and two between.
const REALMS: [&str; 4] = ["ab", "live", "live_eu", "a23456789_123456789_abcd"];

#[derive(Clone, Copy)]
struct Case {
    realm: &'static str,
    version: u32,
    suite: Suite,
    /// What the seal key is made of.
    key: u8,
    app: u32,
    expires_at: u32,
}

const PLAIN: Case = Case { realm: "live", version: 7, suite: Suite::Aes256Gcm, key: 7, app: 1, expires_at: 0 };

impl Case {
    fn seal_key(&self) -> SealKey {
        let (realm, version) =
            (self.realm.parse().expect("a realm"), KeyVersion::new(self.version).expect("a version"));
        SealKey::new(&DerivedKey::new(Zeroizing::new([self.key; 32])), self.suite, version, realm)
    }

    fn body(&self, claims: &Claims) -> Vec<u8> {
        let (app_id, issued_at) = (Uuid::from_u128(self.app.into()), NOW as u32 - 60);
        let payload = Payload { app_id, issued_at, expires_at: self.expires_at };
        let plaintext = payload.encode(&claims.to_cbor().expect("claims"));
        let nonce = std::array::from_fn(|at| (self.app as usize * 31 + at * 7) as u8);
        let sealed = self.seal_key().seal(&nonce, &[9; 12], &plaintext).expect("a seal");
        [&self.version.to_be_bytes()[..], &nonce, &sealed].concat()
    }

    fn text(&self, claims: &Claims) -> String {
        assemble(self.realm, &self.body(claims), None).to_string()
    }

    fn loaded(&self) -> LoadedVersion {
        let record: VersionRecord = toml::from_str(&format!(
            "number = {}\nstate = \"active\"\nsuite = \"{}\"\ncreated_at = \"2026-11-18T08:53:20Z\"\n\
             key_check_value = \"0000000000000000\"\nsource = []\n",
            self.version,
            self.suite.name()
        ))
        .expect("a record");
        let key = Some(Arc::new(self.seal_key()));
        LoadedVersion { record: Arc::new(record), number: self.version, verify_until: None, key }
    }
}

/// Versions 7 and 8 of every realm, and 9 of the other suite.
fn verifier(revoked: Vec<ApiKeyId>) -> Verifier {
    let realms = REALMS.map(|realm| {
        let version = |version, suite, key| Case { realm, version, suite, key, ..PLAIN }.loaded();
        let versions =
            vec![version(7, Suite::Aes256Gcm, 7), version(8, Suite::Aes256Gcm, 8), version(9, Suite::Xaes256Gcm, 9)];
        RealmKeys { realm: realm.parse().expect("a realm"), versions }
    });
    let revocations = Arc::new(revoked.into_iter().collect::<Revocations>());
    Verifier { realms: realms.into(), revocations, requiring: Arc::default() }
}

/// Other characters before the checksum, with the checksum that they have.
fn rewritten(text: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut checked = text.as_bytes()[..text.len() - CHECKSUM_CHARS].to_vec();
    change(&mut checked);
    with_checksum(&String::from_utf8(checked).expect("text"))
}

/// Texts of all kinds, the id of one that is to be revoked among them.
fn texts() -> (Vec<String>, ApiKeyId) {
    let (none, secret) = (Claims::new(), Claims::new().with_secret());
    let mut texts = Vec::new();
    for (app, realm) in (0..).zip(REALMS) {
        for (version, suite, key) in [(7, Suite::Aes256Gcm, 7), (8, Suite::Aes256Gcm, 8), (9, Suite::Xaes256Gcm, 9)] {
            let case = Case { realm, version, suite, key, app: 10 * app + version, ..PLAIN };
            texts.push(case.text(&none));
            texts.push(case.text(&Claims::new().with_scopes(["orders.read"])));
        }
    }
    // Keys like most come more often, so that groups have several of them.
    texts.extend((100..130).map(|app| Case { app, ..PLAIN }.text(&none)));
    let plain = PLAIN.text(&none);
    let (realm, body) = plain.split_at(PLAIN.realm.len());
    for (app, length) in (200..).zip([1, 8, 9, 60, 120, 220]) {
        texts.push(Case { app, ..PLAIN }.text(&Claims::new().with_meta([("n", "v".repeat(length))])));
    }
    texts.extend([
        // Forged; of a version that there is not; expired; for an audience; of a realm that is not accepted.
        Case { key: 1, ..PLAIN }.text(&none),
        Case { version: 6, ..PLAIN }.text(&none),
        Case { expires_at: NOW as u32, ..PLAIN }.text(&none),
        PLAIN.text(&Claims::new().with_audience(["books"])),
        Case { realm: "test", ..PLAIN }.text(&none),
        // With a secret half: a key that has one, and one that has none; and one that lacks it.
        assemble(PLAIN.realm, &PLAIN.body(&secret), Some(&[5; 32])).to_string(),
        assemble(PLAIN.realm, &PLAIN.body(&none), Some(&[5; 32])).to_string(),
        PLAIN.text(&secret),
        // No keys at all.
        String::new(),
        "é".repeat(plain.len() / 2),
        "_".repeat(plain.len()),
        format!("a{plain}"),
        plain[1..].to_owned(),
        plain.to_uppercase(),
        format!("{realm}__{}", &body[2..]),
        // A realm that is no name, of which the length is right.
        rewritten(&plain, |text| text[1] = b'-'),
        // Groups that exceed their bytes.
        rewritten(&plain, |text| text[realm.len() + 1..][..77].fill(b'z')),
        format!("{}zzzzzz", &plain[..plain.len() - CHECKSUM_CHARS]),
    ]);
    for at in 0..plain.len() {
        let mut changed = plain.clone().into_bytes();
        changed[at] = if changed[at] == b'a' { b'b' } else { b'a' };
        texts.push(String::from_utf8(changed).expect("text"));
        if at < plain.len() - CHECKSUM_CHARS {
            texts.push(rewritten(&plain, |text| text[at] = if text[at] == b'a' { b'b' } else { b'a' }));
            texts.push(rewritten(&plain, |text| text[at] = b'_'));
        }
    }
    let revoked = Case { app: 300, ..PLAIN }.text(&none);
    let id = revoked.parse::<crate::api_key::ApiKey>().expect("a key").id();
    texts.push(revoked);
    (texts, id)
}

/// What can be compared of an opened key.
fn shown(opened: &Result<Opened, VerifyError>) -> Result<(ApiKeyId, Option<&Verified>), VerifyError> {
    match opened {
        Ok(Opened::Verified(verified)) => Ok((verified.id(), Some(verified))),
        Ok(Opened::Secret(check)) => Ok((check.id(), None)),
        Err(error) => Err(*error),
    }
}

/// A generator with a seed, so that every run tests the same.
fn next(state: &mut u64, below: usize) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize % below
}

#[test]
fn texts_of_all_kinds_in_any_mix_get_the_verdicts_they_get_alone() {
    let (texts, revoked) = texts();
    let realms: Vec<Realm> = REALMS.iter().map(|realm| realm.parse().expect("a realm")).collect();
    at_every_level(|level| {
        for verifier in [verifier(Vec::new()), verifier(vec![revoked])] {
            let wanted = ["orders.read"];
            for expected in [
                Expectations::realms(&realms),
                Expectations::realms(&realms[1..2]).audience("books"),
                Expectations::realms(&realms).scopes(&wanted),
            ] {
                let alone: Vec<_> = texts.iter().map(|text| verifier.verify(text, &expected, NOW)).collect();
                let mut state = 1;
                for size in (0..=17).cycle().take(18 * 8) {
                    // All kinds alike, and then mostly good ones.
                    let most = if next(&mut state, 2) == 0 { texts.len() } else { 60 };
                    let picked: Vec<usize> = (0..size).map(|_| next(&mut state, most)).collect();
                    let mut together = Vec::new();
                    let some = picked.iter().map(|at| texts[*at].as_str());
                    verifier.verify_batch(some, &expected, NOW, |verdict| together.push(verdict));
                    let wanted: Vec<_> = picked.iter().map(|at| alone[*at].clone()).collect();
                    assert_eq!(together, wanted, "{level:?}, {picked:?}");
                    let mut at = picked.iter();
                    let some = picked.iter().map(|at| texts[*at].as_str());
                    verifier.open_batch(some, &expected, NOW, |opened| {
                        let text = &texts[*at.next().expect("as many as texts")];
                        let alone = verifier.open(text, &expected, NOW);
                        assert_eq!(shown(&opened), shown(&alone), "{level:?}, {text}");
                    });
                    assert_eq!(at.next(), None);
                }
                let mut together = Vec::new();
                verifier
                    .verify_batch(texts.iter().map(String::as_str), &expected, NOW, |verdict| together.push(verdict));
                assert_eq!(together, alone, "{level:?}");
            }
        }
    });
}
