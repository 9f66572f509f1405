//! Any text, as an API key, against `ApiKey::from_str` and `Verifier::verify`.
//!
//! The first byte of the input says what becomes of the rest, and what is expected of the key: see [`text`] and
//! [`expectations`].

#![no_main]

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr},
    sync::LazyLock,
};

use bulla::{ApiKey, Expectations, Realm, Verifier, VerifyError, keyring::Keyring};
use bulla_fuzz::{Folder, KEYRING_ID, base62, counting, expand, with_checksum, with_mac_line};
use libfuzzer_sys::{Corpus, fuzz_target};

/// The time of the test vectors.
const NOW: u64 = 1_800_000_000;
const CHECKSUM_CHARS: usize = 6;
const SECRET_CHARS: usize = 44;
const SECRET_BYTES: usize = 32;

/// The realms that texts made of bytes get. The keyring is loaded for the first two.
const REALMS: [&str; 4] = ["acme", "acme_live", "acme_live_eu", "acme__live"];

static SETTING: LazyLock<Setting> = LazyLock::new(Setting::new);

struct Setting {
    realms: [Realm; 2],
    verifier: Verifier,
    /// Every API key that was ever sealed under this keyring, without secret half.
    sealed: HashSet<&'static str>,
}

fuzz_target!(init: LazyLock::force(&SETTING), |input: &[u8]| -> Corpus {
    let Some((how, rest)) = input.split_first() else { return Corpus::Reject };
    let Some(text) = text(*how, rest) else { return Corpus::Reject };
    check(&text, &expectations(*how));
    Corpus::Keep
});

/// Bits 0 and 1: the rest is a text as it stands (0), or the bytes of one (2), or a text whose last six characters are
/// to be the right checksum (1, 3).
fn text(how: u8, rest: &[u8]) -> Option<String> {
    match how & 3 {
        0 => String::from_utf8(rest.to_vec()).ok(),
        2 => {
            let (realm, body) = rest.split_first()?;
            let with_secret = realm & 4 != 0 && body.len() >= SECRET_BYTES;
            let (body, secret) = body.split_at(body.len() - if with_secret { SECRET_BYTES } else { 0 });
            let text = format!("{}_{}", REALMS[usize::from(realm & 3)], base62(body));
            Some(with_checksum(&if with_secret { format!("{text}_{}", base62(secret)) } else { text }))
        }
        _ => {
            let text = str::from_utf8(rest).ok()?;
            text.get(..text.len().checked_sub(CHECKSUM_CHARS)?).map(with_checksum)
        }
    }
}

/// Bit 2: audience and address are given. Bit 3: only one of the realms is accepted. Bit 6: a scope is wanted.
fn expectations(how: u8) -> Expectations<'static> {
    let mut expected = Expectations::realms(&SETTING.realms[usize::from(how >> 3 & 1)..]);
    if how & 4 != 0 {
        expected = expected.audience("shop").address(IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3)));
    }
    if how & 64 != 0 { expected.scopes(&["read"]) } else { expected }
}

fn check(text: &str, expected: &Expectations<'_>) {
    let parsed = text.parse::<ApiKey>();
    let verdict = SETTING.verifier.verify(text, expected, NOW);
    match &parsed {
        Ok(key) => {
            assert!(text.len() <= 512, "longer than any API key");
            assert_eq!(key.expose(), text);
            let id = key.id().to_string();
            assert!(text.starts_with(&id), "the id {id} is no prefix");
            assert_eq!(id.parse(), Ok(key.id()), "the id reads as another one");
            assert_eq!(format!("{key:?}"), format!("ApiKey({id}…)"), "more than the id is shown");
        }
        Err(rejection) => assert_eq!(verdict, Err(VerifyError::Rejected(*rejection)), "the verifier says otherwise"),
    }
    let Ok(key) = parsed else { return };
    match verdict {
        Ok(verified) => {
            assert!(SETTING.sealed.contains(sealed(text, false)), "accepted, and nobody ever issued it");
            assert!(!key.has_secret(), "accepted with a secret half that nobody checked");
            assert_eq!(verified.id(), key.id());
        }
        Err(VerifyError::SecretUnchecked) => {
            assert!(key.has_secret(), "a secret half is to be checked where there is none");
            assert!(SETTING.sealed.contains(sealed(text, true)), "not told to be forged, and nobody ever issued it");
        }
        Err(VerifyError::Stale) => panic!("a verifier alone knows nothing of time-outs"),
        Err(VerifyError::Rejected(_)) => {}
    }
}

/// Realm and body.
fn sealed(text: &str, has_secret: bool) -> &str {
    let behind = CHECKSUM_CHARS + if has_secret { 1 + SECRET_CHARS } else { 0 };
    &text[..text.len() - behind]
}

impl Setting {
    fn new() -> Self {
        let folder = Folder::new();
        let (first, second) = (counting(0x00), counting(0x60));
        folder.key("7.key", &first);
        folder.key("8.key", &second);
        let versions = [
            version(7, "active", "aes-256-gcm", &first),
            version(8, "staged", "xaes-256-gcm", &second),
            version(9, "compromised", "aes-256-gcm", &counting(0xc0)),
        ];
        let id = hex::encode(KEYRING_ID);
        let text = format!("format = 1\nkeyring_id = \"{id}\"\nserial = 3\n{}\n[mac]\n", versions.concat());
        let document = folder.parse(&with_mac_line(&text)).expect("should be a right document");
        let realms = [REALMS[0], REALMS[1]].map(|realm| realm.parse().expect("should be a realm"));
        let keyring = Keyring::load(&document, &folder.sources(), &realms).expect("should load");
        let sealed = include_str!("../sealed.txt").lines().collect();
        let setting = Setting { realms, verifier: Verifier::new(&keyring), sealed };
        setting.expect_accepted();
        setting
    }

    /// Without this, a keyring that is not the test vectors' would have nothing to accept, and nothing would be found.
    fn expect_accepted(&self) {
        let expected = Expectations::realms(&self.realms);
        let verified = self.sealed.iter().filter_map(|text| {
            self.verifier.verify(&with_checksum(text), &expected, NOW).ok().map(|verified| verified.id())
        });
        let kinds: HashSet<(Realm, u32)> = verified.map(|id| (id.realm(), id.version())).collect();
        assert!(kinds.len() >= 3, "the keys of sealed.txt are not accepted: {kinds:?}");
    }
}

fn version(number: u32, state: &str, suite: &str, master: &[u8; 32]) -> String {
    let info = [b"bulla/v1 kcv\0".as_slice(), &KEYRING_ID, &number.to_be_bytes()].concat();
    let check_value = hex::encode(&expand(master, &info)[..8]);
    format!(
        "\n[[version]]\nnumber = {number}\nstate = \"{state}\"\nsuite = \"{suite}\"\n\
         created_at = \"2026-11-18T08:53:20Z\"\nkey_check_value = \"{check_value}\"\n\n\
         [[version.source]]\nuri = \"file:{number}.key\"\n"
    )
}
