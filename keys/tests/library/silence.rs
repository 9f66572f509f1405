//! Nothing that is printed by accident says a key.

use std::{fmt::Display, marker::PhantomData};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bulla::{
    ApiKey, Expectations, IssueError, IssueRequest, Issuer, Opened, Rejection, SecretCheck, Verifier,
    claims::Claims,
    keyring::{Keyring, KeyringError, MacKey, Suite, VersionState},
    secret::{Ceilings, NewSecret, Pepper, SecretDigest, SecretHash, SecretScheme},
    source::DerivedKey,
};

use crate::{
    fixture::{self, Folder, ISSUED, KEYRING_ID, MAC_KEY, MASTER_7, MASTER_8, Version},
    secret::worked_pepper,
};

/// A key in the ways in which it could come out. Spaces are taken out of what is searched, and of these.
fn spellings(key: &[u8]) -> Vec<String> {
    let list = format!("{key:?}").replace(' ', "");
    let hex_list = format!("{key:#04x?}").replace(char::is_whitespace, "");
    // A part of it is as bad: half a key is half the work.
    let half = |text: &str| text[1..text.len() / 2].to_owned();
    vec![
        half(&hex::encode(key)),
        half(&hex::encode_upper(key)),
        half(&BASE64.encode(key)),
        half(&list),
        half(&hex_list),
    ]
}

fn seal_key(master: &[u8; 32], suite: Suite, version: u32) -> [u8; 32] {
    let info = [b"bulla/v1 seal\0".as_slice(), &KEYRING_ID, &[suite.number()], &version.to_be_bytes(), b"acme_live"];
    fixture::expand(master, &info.concat())
}

fn say_nothing(shown: &[String], secrets: &[String]) {
    for text in shown {
        let text = text.replace(char::is_whitespace, "");
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
}

#[test]
fn nothing_that_holds_keys_shows_them() {
    let folder = Folder::new();
    let document = folder.document(&[
        Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7),
        Version::new(8, Suite::Xaes256Gcm, VersionState::Staged, MASTER_8),
    ]);
    let realms = [fixture::realm("acme_live")];
    let keyring = Keyring::load(&document, &folder.sources(), &realms).expect("should load");
    let (issuer, verifier) = (Issuer::new(&keyring), Verifier::new(&keyring));
    let request = IssueRequest { realm: realms[0], app_id: uuid::Uuid::max(), expires_at: None, claims: Claims::new() };
    let key = issuer.issue(&request, ISSUED).expect("should issue");
    let verified = verifier.verify(key.expose(), &Expectations::realms(&realms), ISSUED).expect("should verify");
    let expanded = DerivedKey::new(zeroize::Zeroizing::new(MASTER_7));

    let seal_keys = [seal_key(&MASTER_7, Suite::Aes256Gcm, 7), seal_key(&MASTER_8, Suite::Xaes256Gcm, 8)];
    let mut secrets: Vec<String> =
        [MASTER_7, MASTER_8, MAC_KEY].iter().chain(&seal_keys).flat_map(|key| spellings(key)).collect();
    // The id is public. What follows it is the credential.
    let id = key.id().to_string();
    secrets.push(key.expose()[id.len()..id.len() + 8].to_owned());

    let shown = [
        format!("{key:?} {key:#?}"),
        format!("{verified:?} {verified:#?}"),
        format!("{keyring:?} {keyring:#?}"),
        format!("{issuer:?} {issuer:#?}"),
        format!("{verifier:?} {verifier:#?}"),
        format!("{document:?} {document:#?}"),
        format!("{expanded:?} {expanded:#?}"),
        format!("{:?} {request:?}", folder.sources()),
        document.render(&folder.mac_key(&document)).expect("should render"),
    ];
    say_nothing(&shown, &secrets);
    assert!(shown[0].contains(&id) && shown[1].contains(&id), "the id is what people speak of");
    // What is searched for would be found.
    assert!(spellings(&MASTER_7).iter().any(|secret| format!("{MASTER_7:?}").replace(' ', "").contains(secret)));
}

#[test]
fn nothing_that_holds_a_secret_half_or_a_pepper_shows_it() {
    let realms = [fixture::realm("acme_live")];
    let keyring = fixture::keyring(&[Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7)], &realms);
    let claims = Claims::new().with_secret();
    let request = IssueRequest { realm: realms[0], app_id: uuid::Uuid::max(), expires_at: None, claims };
    let key = Issuer::new(&keyring).issue(&request, ISSUED).expect("should issue");
    let (binding, pepper) = (key.seal_binding().expect("should have a secret half"), worked_pepper());
    let new_secret = binding.new_secret().expect("should draw");
    let changed = format!("{}{}", &key.expose()[..key.expose().len() - 51], new_secret.expose());
    let opened = Verifier::new(&keyring).open(&changed, &Expectations::realms(&realms), ISSUED).expect("should open");
    let Opened::Secret(check) = &opened else { panic!("accepted without its secret half") };
    let digest = check.digest(&pepper);
    let hash = SecretHash::new(SecretScheme::HmacSha256, &digest).expect("should hash");
    let phc = hash.to_phc();

    let source: [u8; 32] = fixture::counting(0xc0);
    let p = fixture::expand(&source, &[b"bulla/v1 pepper\0".as_slice(), &KEYRING_ID, &[0, 0, 0, 1]].concat());
    let h = BASE64.decode(format!("{}=", &phc[phc.len() - 43..])).expect("should be base64");
    let mut secrets: Vec<String> = [&source[..], &p, &h].iter().flat_map(|key| spellings(key)).collect();
    let sealed = binding.to_string();
    let text = new_secret.expose();
    secrets.extend([&text[1..23], &text[23..45], &sealed[..24], &sealed[24..]].map(str::to_owned));
    secrets.push(key.expose()[key.id().to_string().len()..][..8].to_owned());

    let damaged = SecretHash::parse(&phc[..phc.len() - 1], &Ceilings::default()).expect_err("should be damaged");
    let shown = [
        format!("{pepper:?} {pepper:#?}"),
        format!("{digest:?} {digest:#?}"),
        format!("{hash:?} {hash:#?}"),
        format!("{binding:?} {binding:#?}"),
        format!("{new_secret:?} {new_secret:#?}"),
        format!("{check:?} {check:#?} {opened:?} {opened:#?}"),
        format!("{damaged} {damaged:?}"),
    ];
    say_nothing(&shown, &secrets);
    assert!(shown[5].contains(&key.id().to_string()), "the id is what people speak of");
}

#[test]
fn no_error_shows_the_key_that_it_is_about() {
    let folder = Folder::new();
    let versions = [Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7)];
    let mut document = folder.document(&versions);
    let load = || Keyring::load(&document, &folder.sources(), &[fixture::realm("acme_live")]).err();
    let mut errors: Vec<KeyringError> = Vec::new();

    let encoded = BASE64.encode(MASTER_7);
    for content in [encoded.clone() + "\nmore", hex::encode(MASTER_7), encoded[1..].to_owned(), format!("{MASTER_7:?}")]
    {
        folder.put("master-7.key", content, 0o600);
        errors.extend(load());
    }
    folder.put("master-7.key", &encoded, 0o644);
    errors.extend(load());
    folder.key("master-7.key", &MASTER_8);
    errors.extend(load());
    let (same, other) = (folder.key("same.key", &MASTER_7), folder.key("other.key", &MASTER_8));
    let third = folder.key("third.key", &[3; 32]);
    for sources in [vec![same], vec![other, third]] {
        errors.extend(document.stage(Suite::Aes256Gcm, sources, &folder.sources(), ISSUED).err());
    }
    let text = fixture::document(KEYRING_ID, &versions);
    folder.put("mac.key", BASE64.encode(MAC_KEY) + "\nmore", 0o600);
    errors.extend(folder.parse(&text).err());
    assert_eq!(errors.len(), 9);

    let secrets: Vec<String> = [MASTER_7, MASTER_8, [3; 32], MAC_KEY].iter().flat_map(|key| spellings(key)).collect();
    let shown: Vec<String> = errors.iter().map(|error| format!("{error} {error:?} {error:#?}")).collect();
    say_nothing(&shown, &secrets);
}

#[test]
fn no_rejection_shows_the_text_that_was_refused() {
    let realms = [fixture::realm("acme_live")];
    let keyring = fixture::keyring(&[Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7)], &realms);
    let claims = Claims::new();
    let request = IssueRequest { realm: realms[0], app_id: uuid::Uuid::max(), expires_at: None, claims };
    let key = Issuer::new(&keyring).issue(&request, ISSUED).expect("should issue");
    let shown: Vec<String> = [(key.expose(), 0), (&key.expose()[1..], ISSUED), (&key.expose()[40..], ISSUED)]
        .map(|(text, now)| {
            let error = Verifier::new(&keyring).verify(text, &Expectations::realms(&realms), now);
            format!("{:?} {:?}", error.expect_err("should be refused"), text.parse::<ApiKey>().err())
        })
        .into();
    let secret = key.expose()[key.id().to_string().len()..][..8].to_owned();
    say_nothing(&shown, &[secret]);
    for rejection in Rejection::ALL {
        assert!(!rejection.to_string().is_empty() && !format!("{rejection:?}").is_empty());
    }
}

/// Whether `T` has a `Display`: the inherent constant, where its bound holds, goes before the trait's.
struct Shown<T>(PhantomData<T>);

trait NotShown {
    const IS: bool = false;
}

impl<T> NotShown for Shown<T> {}

impl<T: Display> Shown<T> {
    const IS: bool = true;
}

#[test]
fn nothing_that_holds_a_key_can_be_put_into_a_text_at_all() {
    const { assert!(Shown::<IssueError>::IS && Shown::<bulla::ApiKeyId>::IS) }
    const { assert!(!Shown::<ApiKey>::IS && !Shown::<DerivedKey>::IS && !Shown::<MacKey>::IS) }
    const { assert!(!Shown::<Pepper>::IS && !Shown::<SecretDigest>::IS && !Shown::<SecretHash>::IS) }
    const { assert!(!Shown::<NewSecret>::IS && !Shown::<SecretCheck>::IS && !Shown::<Opened>::IS) }
    const { assert!(!Shown::<Keyring>::IS && !Shown::<Issuer>::IS && !Shown::<Verifier>::IS) }
}
