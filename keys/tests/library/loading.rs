//! Loading a keyring: which source serves, and what is said of those that do not.

use bulla::{
    keyring::{Keyring, KeyringDocument, KeyringError, Suite, VersionState},
    source::{SourceErrorKind, SourceUri},
};

use crate::fixture::{self, Folder, MASTER_7, MASTER_8, Version};

fn seven(sources: &[&str]) -> Version {
    let sources = sources.iter().map(|name| format!("file:{name}")).collect();
    Version { sources, ..Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7) }
}

fn load(folder: &Folder, document: &KeyringDocument) -> Result<Keyring, KeyringError> {
    Keyring::load(document, &folder.sources(), &[fixture::realm("acme_live")])
}

/// The source and the trouble that a load of version 7 ended in.
fn source_trouble(error: KeyringError) -> (SourceUri, SourceErrorKind) {
    match error {
        KeyringError::Source { version, error } if version.number() == 7 => (error.uri().clone(), error.kind()),
        other => panic!("{other}"),
    }
}

#[test]
fn a_file_that_others_may_read_is_refused() {
    let folder = Folder::new();
    let document = folder.document(&[seven(&["master-7.key"])]);
    let content = std::fs::read(folder.path("master-7.key")).expect("should read");
    for mode in [0o644, 0o640, 0o604, 0o660, 0o620, 0o602, 0o610, 0o601, 0o777] {
        folder.put("master-7.key", &content, mode);
        let error = load(&folder, &document).expect_err("should be refused");
        assert!(error.to_string().contains("chmod 600"), "{error}");
        assert_eq!(source_trouble(error), (fixture::uri("master-7.key"), SourceErrorKind::Denied), "{mode:o}");
    }
    for mode in [0o600, 0o400, 0o700] {
        folder.put("master-7.key", &content, mode);
        assert!(load(&folder, &document).is_ok(), "{mode:o}");
        std::fs::remove_file(folder.path("master-7.key")).expect("should remove");
    }
}

#[test]
fn a_file_of_anything_but_32_bytes_in_base64_is_refused() {
    let folder = Folder::new();
    let document = folder.document(&[seven(&["master-7.key"])]);
    let right = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    for content in ["", "\n", "AAEC", &right[1..], &right[..43], &right.replace('A', "-"), &right.replace('=', "A")] {
        folder.put("master-7.key", content, 0o600);
        let error = load(&folder, &document).expect_err("should be refused");
        assert_eq!(source_trouble(error), (fixture::uri("master-7.key"), SourceErrorKind::Malformed), "{content:?}");
    }
    let (twice, hex) = (format!("{right}\n{right}\n"), hex::encode(MASTER_7));
    let long = format!("{right}{}x", " ".repeat(2000));
    let contents: [&[u8]; 5] = [twice.as_bytes(), hex.as_bytes(), &MASTER_7, &[0xff; 32], long.as_bytes()];
    for content in contents {
        folder.put("master-7.key", content, 0o600);
        let error = load(&folder, &document).expect_err("should be refused");
        assert_eq!(source_trouble(error), (fixture::uri("master-7.key"), SourceErrorKind::Malformed), "{content:02x?}");
    }
    folder.put("master-7.key", right, 0o600);
    assert!(load(&folder, &document).is_ok(), "without the line's end");
}

#[test]
fn a_folder_is_no_key_and_a_missing_file_is_said_to_be_missing() {
    let folder = Folder::new();
    let document = folder.document(&[seven(&["nowhere.key"])]);
    let trouble = |folder: &Folder| source_trouble(load(folder, &document).expect_err("should be refused")).1;
    assert_eq!(trouble(&folder), SourceErrorKind::Missing);
    std::fs::create_dir(folder.path("nowhere.key")).expect("should make a folder");
    assert_eq!(trouble(&folder), SourceErrorKind::Malformed);
}

#[test]
fn another_key_behind_the_right_name_is_told_by_its_check_value() {
    let folder = Folder::new();
    let document = folder.document(&[seven(&["master-7.key"])]);
    folder.key("master-7.key", &MASTER_8);
    match load(&folder, &document).expect_err("should be refused") {
        KeyringError::WrongKey { version, uri, found, recorded } => {
            assert_eq!((version.number(), uri.as_str()), (7, "file:master-7.key"));
            assert_eq!(recorded, "70b2c58fcd188361");
            assert_eq!((found.len(), found == recorded), (16, false));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn the_first_source_that_holds_the_key_serves_and_those_before_it_are_on_record() {
    let folder = Folder::new();
    let document = folder.document(&[seven(&["missing.key", "wrong.key", "right.key", "never-asked.key"])]);
    folder.key("wrong.key", &MASTER_8);
    folder.key("right.key", &MASTER_7);
    let keyring = load(&folder, &document).expect("should load");
    let [served] = keyring.source_reports() else { panic!("should be one version: {:?}", keyring.source_reports()) };
    assert_eq!((served.version.number(), &served.source), (7, &fixture::uri("right.key")));
    let [missing, wrong] = served.failed.as_slice() else { panic!("should be two: {:?}", served.failed) };
    assert_eq!(source_trouble(missing.clone()), (fixture::uri("missing.key"), SourceErrorKind::Missing));
    assert!(matches!(wrong, KeyringError::WrongKey { uri, .. } if uri == "file:wrong.key"), "{wrong}");

    folder.key("missing.key", &MASTER_7);
    let keyring = load(&folder, &document).expect("should load");
    let [served] = keyring.source_reports() else { panic!("should be one version: {:?}", keyring.source_reports()) };
    assert_eq!((&served.source, served.failed.as_slice()), (&fixture::uri("missing.key"), [].as_slice()));
}

#[test]
fn a_version_that_no_source_serves_fails_the_load_unless_nothing_opens_with_it() {
    let folder = Folder::new();
    for state in VersionState::ALL {
        let other = Version { state, ..Version::new(8, Suite::Aes256Gcm, state, MASTER_8) };
        let document =
            folder.document(&[seven(&["master-7.key"]), Version { state: VersionState::Staged, ..other.clone() }]);
        assert!(load(&folder, &document).is_ok());
        let _ = std::fs::remove_file(folder.path("master-8.key"));
        let seven = Version { state: VersionState::Deactivated, ..seven(&["master-7.key"]) };
        let text = fixture::document(fixture::KEYRING_ID, &[seven, other]);
        let keyring = load(&folder, &folder.parse(&text).expect("should be a right document"));
        assert_eq!(keyring.is_err(), state.opens(), "{state}");
        if let Ok(keyring) = keyring {
            assert_eq!(keyring.source_reports().len(), 1, "nobody asks for the key of a {state} version");
        }
    }
}

#[test]
fn a_wrapped_key_that_is_no_base64_is_refused_where_it_is_opened() {
    let folder = Folder::new();
    let body = fixture::body(fixture::KEYRING_ID, &[seven(&["master-7.key"])]) + "wrapped = \"*\"\n";
    folder.key("master-7.key", &MASTER_7);
    let document = folder.parse(&fixture::signed(fixture::KEYRING_ID, &body)).expect("should be a right document");
    match load(&folder, &document) {
        Err(KeyringError::Wrapped(version)) => assert_eq!(version.number(), 7),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_keyring_says_what_it_was_loaded_from() {
    let realms = [fixture::realm("acme_live"), fixture::realm("acme_test")];
    let keyring = fixture::keyring(&[seven(&["master-7.key"])], &realms);
    assert_eq!((keyring.id().to_string(), keyring.serial()), (hex::encode(fixture::KEYRING_ID), 3));
    assert_eq!(keyring.active().map(|version| version.number()), Some(7));
    assert_eq!(keyring.realms().collect::<Vec<_>>(), realms);
}
