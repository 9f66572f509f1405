//! A keyring that changes under a process in service: what is at hand stays, and states count before any source is
//! asked.

use bulla::{
    ApiKey, Expectations, IssueRequest, Issuer, Realm, Verifier, VerifyError,
    claims::Claims,
    keyring::{KeyVersion, Keyring, KeyringDocument, KeyringError, Reload, Suite, VersionState},
    source::{SourceErrorKind, read_regular_file},
};

use crate::fixture::{self, Folder, ISSUED, MASTER_7, MASTER_8, Version};

fn versions(seven: VersionState, eight: VersionState) -> [Version; 2] {
    [Version::new(7, Suite::Aes256Gcm, seven, MASTER_7), Version::new(8, Suite::Aes256Gcm, eight, MASTER_8)]
}

/// The same versions in a document, whether their key files are there or not.
fn document(folder: &Folder, versions: &[Version]) -> KeyringDocument {
    folder.parse(&fixture::document(fixture::KEYRING_ID, versions)).expect("should be a right document")
}

fn issue(keyring: &Keyring, realm: Realm) -> ApiKey {
    let request = IssueRequest { realm, app_id: uuid::Uuid::max(), expires_at: None, claims: Claims::new() };
    Issuer::new(keyring).issue(&request, ISSUED).expect("should issue")
}

fn reason(keyring: &Keyring, key: &ApiKey) -> Option<&'static str> {
    let realms: Vec<Realm> = keyring.realms().collect();
    Verifier::new(keyring).verify(key.expose(), &Expectations::realms(&realms), ISSUED).err().map(VerifyError::code)
}

fn numbers(versions: &[KeyVersion]) -> Vec<u32> {
    versions.iter().map(|version| version.number()).collect()
}

/// A named pipe without a writer, in the place of a key file.
fn make_pipe(folder: &Folder, name: &str) {
    let _ = std::fs::remove_file(folder.path(name));
    let made = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(folder.path(name)).status();
    assert!(made.expect("mkfifo should run").success());
}

#[test]
fn a_compromise_counts_and_a_successor_seals_without_any_source() {
    let (folder, live) = (Folder::new(), fixture::realm("acme_live"));
    let before = folder.document(&versions(VersionState::Active, VersionState::Staged));
    let loaded = Keyring::load(&before, &folder.sources(), &[live]).expect("should load");
    let key = issue(&loaded, live);
    let after = document(&folder, &versions(VersionState::Compromised, VersionState::Active));
    for name in ["master-7.key", "master-8.key"] {
        std::fs::remove_file(folder.path(name)).expect("should remove");
    }
    let followed = Keyring::follow(&[&loaded], &after, &[live]);
    assert_eq!(reason(&followed, &key), Some("version_refused"));
    assert_eq!(issue(&followed, live).id().version(), 8);
    assert!(followed.unloaded().is_empty(), "its key was at hand");
}

#[test]
fn what_is_new_accepts_nothing_until_its_source_answers() {
    let (folder, live) = (Folder::new(), fixture::realm("acme_live"));
    let one = [Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7)];
    let loaded = Keyring::load(&folder.document(&one), &folder.sources(), &[live]).expect("should load");
    let after = folder.document(&versions(VersionState::Active, VersionState::Staged));
    let followed = Keyring::follow(&[&loaded], &after, &[live]);
    assert_eq!(numbers(followed.unloaded()), [8]);
    let (reloaded, failed) = followed.reload(&after, &folder.sources(), &[live], Reload::Missing);
    assert!(failed.is_empty() && reloaded.unloaded().is_empty());
    // Two that are behind each other fill each other in.
    let both = Keyring::follow(&[&followed, &reloaded], &after, &[live]);
    assert!(both.unloaded().is_empty());
    assert_eq!(both.source_reports().len(), 2);
}

#[test]
fn a_new_realm_takes_no_key_from_the_others_while_the_source_is_away() {
    let (folder, realms) = (Folder::new(), ["acme_live", "acme_test"].map(fixture::realm));
    let one = [Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7)];
    let same = folder.document(&one);
    let loaded = Keyring::load(&same, &folder.sources(), &realms[..1]).expect("should load");
    let key = issue(&loaded, realms[0]);
    std::fs::rename(folder.path("master-7.key"), folder.path("away")).expect("should move");
    let (reloaded, failed) = loaded.reload(&same, &folder.sources(), &realms, Reload::Missing);
    assert_eq!((failed.len(), numbers(reloaded.unloaded())), (1, vec![7]));
    assert_eq!(reason(&reloaded, &key), None, "the key of the realm that was there before stays");
    std::fs::rename(folder.path("away"), folder.path("master-7.key")).expect("should move");
    let (reloaded, failed) = reloaded.reload(&same, &folder.sources(), &realms, Reload::Missing);
    assert!(failed.is_empty() && reloaded.unloaded().is_empty());
    assert_eq!(reason(&reloaded, &issue(&reloaded, realms[1])), None);
}

#[test]
fn a_source_that_is_off_the_record_serves_no_longer() {
    let (folder, live) = (Folder::new(), fixture::realm("acme_live"));
    let version = Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7);
    let loaded = Keyring::load(&folder.document(std::slice::from_ref(&version)), &folder.sources(), &[live])
        .expect("should load");
    let moved = Version { sources: vec!["file:moved.key".to_owned()], ..version };
    let after = document(&folder, &[moved]);
    let (kept, failed) = loaded.reload(&after, &folder.sources(), &[live], Reload::Missing);
    assert_eq!((failed.len(), numbers(kept.unloaded())), (1, vec![7]), "the new source has to be asked");
    assert_eq!(reason(&kept, &issue(&loaded, live)), None, "and takes nothing away");
    folder.key("moved.key", &MASTER_7);
    let (reloaded, failed) = kept.reload(&after, &folder.sources(), &[live], Reload::Missing);
    assert!(failed.is_empty());
    assert_eq!(reloaded.source_reports()[0].source, fixture::uri("moved.key"));
}

#[test]
fn asking_all_finds_another_key_behind_the_right_name_and_keeps_the_right_one() {
    let (folder, live) = (Folder::new(), fixture::realm("acme_live"));
    let same = folder.document(&versions(VersionState::Active, VersionState::Staged));
    let loaded = Keyring::load(&same, &folder.sources(), &[live]).expect("should load");
    folder.key("master-7.key", &MASTER_8);
    let asked = |ask| loaded.reload(&same, &folder.sources(), &[live], ask);
    for ask in [Reload::Missing, Reload::Version(KeyVersion::new(7).expect("a number"))] {
        assert!(asked(ask).1.is_empty(), "{ask:?}: its key is at hand");
    }
    let (reloaded, failed) = asked(Reload::All);
    assert!(matches!(failed.as_slice(), [KeyringError::WrongKey { .. }]), "{failed:?}");
    assert_eq!(reason(&reloaded, &issue(&loaded, live)), None);
}

#[test]
fn a_named_pipe_is_no_key_file_and_nobody_waits_for_its_writer() {
    let (folder, live) = (Folder::new(), fixture::realm("acme_live"));
    let same = folder.document(&versions(VersionState::Active, VersionState::Staged));
    make_pipe(&folder, "master-8.key");
    let error = Keyring::load(&same, &folder.sources(), &[live]).expect_err("should be refused");
    let KeyringError::Source { version, error } = error else { panic!("{error}") };
    assert_eq!((version.number(), error.kind()), (8, SourceErrorKind::Malformed));
    assert!(error.to_string().contains("is not a file"), "{error}");
    make_pipe(&folder, "mac.key");
    let text = fixture::document(fixture::KEYRING_ID, &versions(VersionState::Active, VersionState::Staged));
    assert!(matches!(folder.parse(&text), Err(KeyringError::MacSource(_))));
    make_pipe(&folder, "keyring.toml");
    assert!(read_regular_file(&folder.path("keyring.toml"), 1_000).is_err());
}

#[test]
fn a_document_is_read_up_to_its_bound_and_no_device_without_an_end() {
    let folder = Folder::new();
    folder.put("document", "1234567890", 0o644);
    assert_eq!(read_regular_file(&folder.path("document"), 10).expect("should read"), b"1234567890");
    let error = read_regular_file(&folder.path("document"), 9).expect_err("should be refused");
    assert!(error.to_string().contains("more than 9 bytes"), "{error}");
    std::os::unix::fs::symlink("/dev/zero", folder.path("endless")).expect("should link");
    assert!(read_regular_file(&folder.path("endless"), 10).is_err());
}

#[test]
fn a_key_that_is_at_hand_reads_documents_without_its_source() {
    let folder = Folder::new();
    let text = fixture::document(fixture::KEYRING_ID, &versions(VersionState::Active, VersionState::Staged));
    let key = folder.mac_key(&folder.parse(&text).expect("should be a right document"));
    std::fs::remove_file(folder.path("mac.key")).expect("should remove");
    assert_eq!(KeyringDocument::parse_with(&text, &key).expect("should be a right document").versions().len(), 2);
    let other = fixture::document([9; 16], &versions(VersionState::Active, VersionState::Staged));
    assert_eq!(KeyringDocument::parse_with(&other, &key), Err(KeyringError::MacWrong), "of another keyring");
    assert_eq!(KeyringDocument::parse_with(&text.replace("staged", "active"), &key), Err(KeyringError::MacWrong));
}
