//! Secret halves: drawn, hashed, stored, read again and replaced.

use bulla::{
    ApiKey, IssueError, IssueRequest, Issuer,
    claims::Claims,
    keyring::{KeyVersion, Keyring, KeyringError, KeyringId, Suite, VersionState},
    secret::{Argon2id, Ceilings, Pepper, SealBinding, SecretDigest, SecretHash, SecretHashError, SecretScheme},
};
use uuid::{Uuid, uuid};

use crate::{
    fixture::{self, Folder, ISSUED, KEYRING_ID, MASTER_7, Version},
    issuing::Fixed,
};

const APP: Uuid = uuid!("3f2b8c1e-9a7d-4d52-8a55-0123456789ab");
const PEPPER: [u8; 32] = fixture::counting(0xc0);
const SECRET: [u8; 32] = fixture::counting(0x80);
/// The third worked example, and what is stored of its secret half.
const WORKED: &str = "acme_live_00000YsKCmZ9zuH4PcLyd16ixLiyW8RsPDOzajtay2cN5wmccPAZiikEoIHvfjBpQQBEjDlUTBPki3Nz9S0Bb66\
                      _B226E8ACFV9BimeKbrQQkZCPXCR5YebzzD6HkXZFsnFP3z6hnV";
const STORED: &str = "$hmac-sha256$keyid=AAAAAQ$-$rSWlNzNfGV/bi6GCdInBBP9qz/WiEBDY9p00UEPkKr8";
/// The same digest as argon2-cffi 25.1 (the C reference) hashes it under the salt `404142…4f`, with the `keyid`, which
/// it does not know, put in.
const ARGON2_CFFI: [(&str, Argon2id); 3] = [
    (
        "$argon2id$v=19$m=65536,t=3,p=4,keyid=AAAAAQ$QEFCQ0RFRkdISUpLTE1OTw$86BHcqiwM+UTLA0D+Mfo7FtqoN6Ms0drYi3UBeea2nk",
        Argon2id::DEFAULT,
    ),
    (
        "$argon2id$v=19$m=19456,t=2,p=1,keyid=AAAAAQ$QEFCQ0RFRkdISUpLTE1OTw$sgz5LJTKOW5dAl4/x2A4+Yev78zcPNFlDyTIYYwI41E",
        Argon2id::OWASP,
    ),
    (
        "$argon2id$v=19$m=64,t=1,p=2,keyid=AAAAAQ$QEFCQ0RFRkdISUpLTE1OTw$3t/o5ilS/4b+Ohbcaf4XkacLiRJe3O3s2O2AmE/Tdoo",
        SMALL,
    ),
];
const SMALL: Argon2id = Argon2id { m_kib: 64, t: 1, p: 2 };

pub(crate) fn pepper(source: &[u8; 32], keyring_id: [u8; 16], version: u32) -> Pepper {
    let folder = Folder::new();
    folder.key("pepper.key", source);
    let version = KeyVersion::new(version).expect("should be a version");
    Pepper::open(&fixture::uri("pepper.key"), &folder.sources(), KeyringId::from_bytes(keyring_id), version)
        .expect("should open")
}

pub(crate) fn worked_pepper() -> Pepper {
    pepper(&PEPPER, KEYRING_ID, 1)
}

fn keyring(realms: &[&str]) -> Keyring {
    let realms: Vec<_> = realms.iter().map(|name| fixture::realm(name)).collect();
    fixture::keyring(&[Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7)], &realms)
}

/// A key with a secret half, from this nonce and this secret.
fn issue(realm: &str, app_id: Uuid, nonce: u8, secret: [u8; 32]) -> ApiKey {
    let request =
        IssueRequest { realm: fixture::realm(realm), app_id, expires_at: None, claims: Claims::new().with_secret() };
    let random = [&fixture::counting::<24>(nonce)[..], &secret].concat();
    let issuer = Issuer::new(&keyring(&["acme_live", "acme_test"]));
    issuer.issue_with(&request, ISSUED, &mut Fixed(&random)).expect("should issue")
}

fn digest(key: &ApiKey, pepper: &Pepper) -> SecretDigest {
    key.secret_digest(pepper).expect("should have a secret half")
}

fn parse(text: &str) -> Result<SecretHash, SecretHashError> {
    SecretHash::parse(text, &Ceilings::default())
}

#[test]
fn the_worked_example_comes_out_to_the_letter() {
    let key = issue("acme_live", APP, 0x70, SECRET);
    assert_eq!(key.expose(), WORKED);
    let stored = SecretHash::new(SecretScheme::HmacSha256, &digest(&key, &worked_pepper())).expect("should hash");
    assert_eq!(stored.to_phc(), STORED);
    let h = "ad25a537335f195fdb8ba1827489c104ff6acff5a21010d8f69d345043e42abf";
    assert_eq!(STORED.rsplit('$').next(), Some(base64(&hex::decode(h).expect("should be hex")).as_str()));
}

fn base64(bytes: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
    STANDARD_NO_PAD.encode(bytes)
}

#[test]
fn a_secret_half_and_its_claim_go_together() {
    let issuer = Issuer::new(&keyring(&["acme_live"]));
    let request = |claims| IssueRequest { realm: fixture::realm("acme_live"), app_id: APP, expires_at: None, claims };
    let with = issuer.issue(&request(Claims::new().with_secret()), ISSUED).expect("should issue");
    let without = issuer.issue(&request(Claims::new()), ISSUED).expect("should issue");
    assert!(with.has_secret() && with.seal_binding().is_some() && with.secret_digest(&worked_pepper()).is_some());
    assert!(!without.has_secret() && without.seal_binding().is_none());
    assert!(without.secret_digest(&worked_pepper()).is_none());
    let (nonce_alone, request) = ([7; 24], request(Claims::new().with_secret()));
    let error = issuer.issue_with(&request, ISSUED, &mut Fixed(&nonce_alone)).expect_err("should have no secret");
    assert_eq!(error, IssueError::Random("used up".to_owned()));
    let another = issuer.issue(&request, ISSUED).expect("should issue");
    assert_ne!(another.expose()[another.expose().len() - 51..], with.expose()[with.expose().len() - 51..]);
}

#[test]
fn a_secret_half_is_bound_to_its_seal() {
    let (original, pepper) = (issue("acme_live", APP, 0x70, SECRET), worked_pepper());
    let stored = SecretHash::new(SecretScheme::HmacSha256, &digest(&original, &pepper)).expect("should hash");
    let matches = |key: &ApiKey| stored.matches(&digest(key, &pepper)).expect("should be checked");
    assert!(matches(&original));
    // The same secret behind another app under the very same id, under another id, in another realm; another secret.
    let same_id = issue("acme_live", Uuid::max(), 0x70, SECRET);
    assert_eq!(same_id.id(), original.id());
    assert!(!matches(&same_id));
    assert!(!matches(&issue("acme_live", APP, 0x71, SECRET)));
    assert!(!matches(&issue("acme_test", APP, 0x70, SECRET)));
    assert!(!matches(&issue("acme_live", APP, 0x70, fixture::counting(0x81))));
}

#[test]
fn a_hash_is_of_one_version_of_one_pepper() {
    let key: ApiKey = WORKED.parse().expect("should parse");
    let (first, second) = (worked_pepper(), pepper(&PEPPER, KEYRING_ID, 2));
    let stored = parse(STORED).expect("should parse");
    assert_eq!(stored.matches(&digest(&key, &first)), Ok(true));
    let (one, two) = (first.version(), second.version());
    let other = SecretHashError::OtherPepper { stored: one, digest: two };
    assert_eq!(stored.matches(&digest(&key, &second)), Err(other));
    // The version, the source and the keyring are all in the pepper.
    let under_second = SecretHash::new(SecretScheme::HmacSha256, &digest(&key, &second)).expect("should hash");
    assert_ne!(under_second.to_phc().rsplit('$').next(), STORED.rsplit('$').next());
    for stranger in [pepper(&[9; 32], KEYRING_ID, 1), pepper(&PEPPER, [9; 16], 1)] {
        assert_eq!(stored.matches(&digest(&key, &stranger)), Ok(false));
    }
    let argon2id = SecretScheme::Argon2id(Argon2id::DEFAULT);
    assert!(!stored.needs_rehash(SecretScheme::HmacSha256, one));
    assert!(stored.needs_rehash(SecretScheme::HmacSha256, two) && stored.needs_rehash(argon2id, one));
}

#[test]
fn a_master_key_is_no_pepper() {
    let folder = Folder::new();
    let document = folder.document(&[
        Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7),
        Version::new(8, Suite::Aes256Gcm, VersionState::Compromised, PEPPER),
    ]);
    let refuse =
        |name: &str| Pepper::refuse_master_key(&fixture::uri(name), &folder.sources(), KeyVersion::FIRST, &document);
    let master = |number| KeyVersion::new(number).expect("should be a version");
    folder.key("pepper.key", &PEPPER);
    let refused = KeyringError::MasterAsPepper { version: master(8), uri: fixture::uri("pepper.key") };
    assert_eq!(refuse("pepper.key"), Err(refused));
    let refused = KeyringError::MasterAsPepper { version: master(7), uri: fixture::uri("master-7.key") };
    assert_eq!(refuse("master-7.key"), Err(refused));
    let mut destroyed = document.clone();
    destroyed.destroy(master(8)).expect("should be destroyed");
    let held = [&document, &destroyed]
        .map(|document| document.versions_held_by(&fixture::uri("pepper.key"), &folder.sources()));
    assert_eq!(held, [Ok(vec![master(8)]), Ok(vec![])], "a key that opens nothing any more");
    folder.key("copy.key", &PEPPER);
    let value = |name: &str| {
        let compared = document.compare_key(&fixture::uri(name), &folder.sources());
        compared.expect("should answer").0
    };
    assert!(value("copy.key") == value("pepper.key"), "one key under two names");
    assert!(value("copy.key") != value("master-7.key"));
    folder.key("pepper.key", &[9; 32]);
    assert_eq!(refuse("pepper.key"), Ok(()));
    assert!(matches!(refuse("missing.key"), Err(KeyringError::PepperSource { version, .. }) if version.number() == 1));
    let missing = Pepper::open(&fixture::uri("missing.key"), &folder.sources(), document.id(), master(2));
    let error = missing.expect_err("should not open");
    assert!(error.to_string().starts_with("version 2 of the pepper cannot be loaded: key source file:missing.key"));
}

#[test]
fn a_new_secret_half_takes_the_place_of_the_old_without_the_key() {
    let (old, pepper) = (WORKED.parse::<ApiKey>().expect("should parse"), worked_pepper());
    let column = old.seal_binding().expect("should have a secret half").to_string();
    assert_eq!(column.len(), 48);
    let binding: SealBinding = column.parse().expect("should parse");

    let new_secret = binding.new_secret().expect("should draw");
    let kept = &WORKED[..WORKED.len() - 51];
    assert_eq!(new_secret.expose().len(), 51);
    let new: ApiKey = format!("{kept}{}", new_secret.expose()).parse().expect("should be an API key");
    assert_eq!(new.id(), old.id());
    assert_eq!(new.seal_binding(), old.seal_binding(), "the sealed text stays as it is");
    let hash = |digest| SecretHash::new(SecretScheme::HmacSha256, &digest).expect("should hash");
    let (stored_old, stored_new) = (hash(digest(&old, &pepper)), hash(new_secret.digest(&pepper)));
    assert_eq!(stored_new.matches(&digest(&new, &pepper)), Ok(true));
    assert_eq!(stored_new.matches(&digest(&old, &pepper)), Ok(false));
    assert_eq!(stored_old.matches(&digest(&new, &pepper)), Ok(false));

    // The old secret drawn again gives the old ending, checksum and all.
    let again = binding.new_secret_with(&mut Fixed(&SECRET)).expect("should draw");
    assert_eq!(format!("{kept}{}", again.expose()), WORKED);
    let error = binding.new_secret_with(&mut Fixed(&SECRET[1..])).expect_err("should not draw");
    assert_eq!(error, SecretHashError::Random("used up".to_owned()));
    let longer = column.clone() + "AAAA";
    for bad in ["", &column[1..], &column[4..], &longer, &column.replacen(&column[..1], "-", 1), "é"] {
        assert!(bad.parse::<SealBinding>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_malformed_stored_hash_is_told_by_what_is_wrong_with_it() {
    let (hmac, argon2id) = (STORED, ARGON2_CFFI[2].0);
    let hash = hmac.rsplit('$').next().expect("should have a hash");
    let long = format!("{hmac}{}", "A".repeat(200));
    for (text, error) in [
        ("", SecretHashError::Shape),
        ("$", SecretHashError::Shape),
        (&hmac[1..], SecretHashError::Shape),
        (&long, SecretHashError::Shape),
        (&hmac.replace("$-$", "$"), SecretHashError::Shape),
        (&format!("{hmac}$"), SecretHashError::Shape),
        (&argon2id.replace("v=19$", ""), SecretHashError::Shape),
        (&argon2id[..argon2id.len() - 44], SecretHashError::Shape),
        (&argon2id.replace("argon2id", "argon2i"), SecretHashError::Scheme),
        (&hmac.replace("sha256", "sha512"), SecretHashError::Scheme),
        (&hmac.replace("hmac", "HMAC"), SecretHashError::Scheme),
        (&argon2id.replace("v=19", "v=16"), SecretHashError::Version),
        (&argon2id.replace("v=19", "v=019"), SecretHashError::Version),
        (&argon2id.replace("t=1,p=2", "p=2,t=1"), SecretHashError::Parameters),
        (&argon2id.replace("t=1,", ""), SecretHashError::Parameters),
        (&argon2id.replace("t=1", "t=1,t=1"), SecretHashError::Parameters),
        (&argon2id.replace("t=1", "t=01"), SecretHashError::Parameters),
        (&argon2id.replace("t=1", "t=+1"), SecretHashError::Parameters),
        (&argon2id.replace("t=1", "t=-1"), SecretHashError::Parameters),
        (&argon2id.replace("t=1", "t= 1"), SecretHashError::Parameters),
        (&argon2id.replace("t=1", "t="), SecretHashError::Parameters),
        (&argon2id.replace("t=1", "t"), SecretHashError::Parameters),
        (&argon2id.replace("t=1", "t=4294967297"), SecretHashError::Parameters),
        (&argon2id.replace("AAAAAQ", "AAAAAQ,data=AAAA"), SecretHashError::Parameters),
        (&argon2id.replace(",keyid=AAAAAQ", ""), SecretHashError::Parameters),
        (&hmac.replace("keyid=AAAAAQ", ""), SecretHashError::Parameters),
        (&hmac.replace("AAAAAQ", "AAAAAA"), SecretHashError::KeyId),
        (&hmac.replace("AAAAAQ", "AAAAAR"), SecretHashError::KeyId),
        (&hmac.replace("AAAAAQ", "AAAAAQ=="), SecretHashError::KeyId),
        (&hmac.replace("AAAAAQ", "AAAB"), SecretHashError::KeyId),
        (&hmac.replace("AAAAAQ", "AAAAAAE"), SecretHashError::KeyId),
        (&hmac.replace("AAAAAQ", ""), SecretHashError::KeyId),
        (&hmac.replace("$-$", "$$"), SecretHashError::Salt),
        (&hmac.replace("$-$", "$QEFCQ0RFRkdISUpLTE1OTw$"), SecretHashError::Salt),
        (&argon2id.replace("TE1OTw", "TE1O"), SecretHashError::Salt),
        (&argon2id.replace("TE1OTw", "TE1OTx"), SecretHashError::Salt),
        (&argon2id.replace("QEFCQ0RFRkdISUpLTE1OTw", "-"), SecretHashError::Salt),
        (&hmac[..hmac.len() - 1], SecretHashError::Hash),
        (&hmac.replace(hash, ""), SecretHashError::Hash),
        (&format!("{hmac}="), SecretHashError::Hash),
        (&format!("{hmac}A"), SecretHashError::Hash),
        (&format!("{hmac}\n"), SecretHashError::Hash),
        (&hmac.replace('/', "_"), SecretHashError::Hash),
        (&argon2id.replace("p=2", "p=0"), SecretHashError::Setting),
        (&argon2id.replace("t=1", "t=0"), SecretHashError::Setting),
        (&argon2id.replace("m=64", "m=15"), SecretHashError::Setting),
    ] {
        assert_eq!(parse(text).err(), Some(error), "{text}");
    }
}

#[test]
fn a_stored_hash_has_one_spelling() {
    let read = |text: &str| match parse(text) {
        Ok(stored) => assert_eq!(stored.to_phc(), text),
        Err(error) => assert!(!error.to_string().contains(text)),
    };
    for text in [STORED, ARGON2_CFFI[0].0] {
        for at in 0..text.len() {
            let (before, after) = (&text[..at], &text[at + 1..]);
            read(&format!("{before}{after}"));
            read(&format!("{before}{}{}{after}", &text[at..=at], &text[at..=at]));
            for other in (0..=127u8).map(char::from).filter(|other| !text[at..].starts_with(*other)) {
                read(&format!("{before}{other}{after}"));
            }
        }
    }
}

#[test]
fn a_stored_hash_costs_no_more_than_the_ceilings() {
    let ceilings = Ceilings { m_kib: 64, t: 1, p: 2 };
    let text = ARGON2_CFFI[2].0;
    for (text, parameter, found, ceiling) in [
        (text.replace("m=64", "m=65"), 'm', 65, 64),
        (text.replace("m=64", "m=4294967295"), 'm', u32::MAX, 64),
        (text.replace("t=1", "t=2"), 't', 2, 1),
        (text.replace("p=2", "p=3"), 'p', 3, 2),
    ] {
        let error = SecretHash::parse(&text, &ceilings).expect_err("should be above a ceiling");
        assert_eq!(error, SecretHashError::AboveCeiling { parameter, found, ceiling });
    }
    let defaults = Ceilings::default();
    assert_eq!([Argon2id::DEFAULT, Argon2id::OWASP].map(|setting| defaults.check(&setting)), [Ok(()), Ok(())]);
    assert_eq!(SecretHash::parse(text, &ceilings).err(), cfg!(not(feature = "argon2")).then_some(LEFT_OUT));
}

const LEFT_OUT: SecretHashError = SecretHashError::Disabled;

#[cfg(not(feature = "argon2"))]
#[test]
fn a_build_without_argon2_says_that_it_cannot_check() {
    let key: ApiKey = WORKED.parse().expect("should parse");
    for (text, setting) in ARGON2_CFFI {
        assert_eq!(parse(text).err(), Some(LEFT_OUT));
        let hashed = SecretHash::new(SecretScheme::Argon2id(setting), &digest(&key, &worked_pepper()));
        assert_eq!(hashed.err(), Some(LEFT_OUT));
    }
}

#[cfg(feature = "argon2")]
mod argon2 {
    use bulla::secret::HashMemory;

    use super::*;

    #[test]
    fn what_another_implementation_hashed_matches() {
        let (key, pepper) = (WORKED.parse::<ApiKey>().expect("should parse"), worked_pepper());
        let other = issue("acme_live", APP, 0x71, SECRET);
        // The same memory for all, the largest first: what lies in it from before is no matter.
        let mut memory = HashMemory::default();
        for (text, setting) in ARGON2_CFFI {
            let stored = parse(text).expect("should parse");
            assert_eq!(stored.to_phc(), text);
            assert_eq!(stored.scheme(), SecretScheme::Argon2id(setting));
            assert_eq!((stored.memory_kib(), stored.pepper_version().number()), (setting.m_kib, 1));
            assert_eq!(stored.matches_in(&digest(&key, &pepper), &mut memory), Ok(true), "{text}");
            assert_eq!(stored.matches_in(&digest(&other, &pepper), &mut memory), Ok(false), "{text}");
        }
        assert_eq!(format!("{memory:?}"), "HashMemory(65536 KiB)");
    }

    #[test]
    fn every_hash_has_a_salt_of_its_own() {
        let (key, pepper) = (WORKED.parse::<ApiKey>().expect("should parse"), worked_pepper());
        let scheme = SecretScheme::Argon2id(SMALL);
        let new = || SecretHash::new(scheme, &digest(&key, &pepper)).expect("should hash");
        let (one, two) = (new(), new());
        assert_ne!(one.to_phc(), two.to_phc());
        for stored in [&one, &two] {
            let read = parse(&stored.to_phc()).expect("should parse");
            assert_eq!(read.matches(&digest(&key, &pepper)), Ok(true));
            assert!(!read.needs_rehash(scheme, pepper.version()));
            assert!(read.needs_rehash(SecretScheme::Argon2id(Argon2id::OWASP), pepper.version()));
        }
        let salt = fixture::counting::<16>(0x40);
        let fixed = SecretHash::new_with(scheme, &digest(&key, &pepper), &mut Fixed(&salt)).expect("should hash");
        assert_eq!(fixed.to_phc(), ARGON2_CFFI[2].0);
        let error = SecretHash::new_with(scheme, &digest(&key, &pepper), &mut Fixed(&[]));
        assert_eq!(error.err(), Some(SecretHashError::Random("used up".to_owned())));
    }

    #[test]
    fn memory_that_is_not_there_is_no_verdict() {
        // The allocator of these tests has no 4 TiB.
        assert_eq!(HashMemory::with_kib(u32::MAX).err(), Some(SecretHashError::OutOfMemory(u32::MAX)));
        let vast = Ceilings { m_kib: u32::MAX, ..Ceilings::default() };
        let text = ARGON2_CFFI[2].0.replace("m=64", "m=4294967295");
        let stored = SecretHash::parse(&text, &vast).expect("should parse");
        let key: ApiKey = WORKED.parse().expect("should parse");
        let matches = stored.matches(&digest(&key, &worked_pepper()));
        assert_eq!(matches, Err(SecretHashError::OutOfMemory(u32::MAX)));
        let settings = [Argon2id { m_kib: 7, t: 1, p: 1 }, Argon2id { m_kib: 64, t: 0, p: 1 }];
        for setting in settings {
            let hashed = SecretHash::new(SecretScheme::Argon2id(setting), &digest(&key, &worked_pepper()));
            assert_eq!(hashed.err(), Some(SecretHashError::Setting));
        }
    }
}
