//! The life of a key version: every legal move, and every illegal one, which changes nothing.

use bulla::keyring::{KeyVersion, KeyringDocument, KeyringError, KeyringId, Suite, VersionState};

use crate::fixture::{self, Folder, ISSUED, KEYRING_ID, MASTER_7, MASTER_8, Version};

type Move = fn(&mut KeyringDocument, KeyVersion, u64) -> Result<(), KeyringError>;
const MOVES: [(Move, VersionState, &str); 2] = [
    (KeyringDocument::activate, VersionState::Staged, "activated"),
    (KeyringDocument::roll_back, VersionState::Deactivated, "rolled back to"),
];

fn number(number: u32) -> KeyVersion {
    KeyVersion::new(number).expect("should be a number")
}

fn states(document: &KeyringDocument) -> Vec<VersionState> {
    document.versions().iter().map(|record| record.state).collect()
}

#[test]
fn each_move_is_legal_from_one_state_and_changes_nothing_from_the_others() {
    let folder = Folder::new();
    for (make, legal, name) in MOVES {
        for state in VersionState::ALL {
            let mut document = folder.document(&[Version::new(7, Suite::Aes256Gcm, state, MASTER_7)]);
            let before = document.clone();
            let result = make(&mut document, number(7), ISSUED);
            if state == legal {
                assert_eq!(result, Ok(()), "{state} is {name}");
                assert_eq!((states(&document), document.serial()), (vec![VersionState::Active], before.serial() + 1));
                let record = document.active().expect("should have an active version");
                assert_eq!(record.activated_at, Some(ISSUED));
            } else {
                assert_eq!(document, before);
                match result.expect_err("should be an illegal move") {
                    KeyringError::IllegalMove { version, state: from, asked, legal } => {
                        assert_eq!((version, from, asked), (number(7), state, name));
                        assert!(!legal.is_empty());
                    }
                    other => panic!("{state} is {name}: {other}"),
                }
            }
        }
    }
}

#[test]
fn an_activated_version_deactivates_the_one_before() {
    let folder = Folder::new();
    for (make, from, _) in MOVES {
        let mut document = folder.document(&[
            Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7),
            Version::new(8, Suite::Xaes256Gcm, from, MASTER_8),
            Version::new(9, Suite::Aes256Gcm, VersionState::Compromised, [9; 32]),
        ]);
        make(&mut document, number(8), ISSUED).expect("should be legal");
        assert_eq!(states(&document), [VersionState::Deactivated, VersionState::Active, VersionState::Compromised]);
    }
}

#[test]
fn a_version_that_is_not_there_cannot_be_moved() {
    let folder = Folder::new();
    for (make, ..) in MOVES {
        let mut document = folder.document(&[Version::new(7, Suite::Aes256Gcm, VersionState::Staged, MASTER_7)]);
        let before = document.clone();
        assert_eq!(make(&mut document, number(8), ISSUED), Err(KeyringError::Unknown(number(8))));
        assert_eq!(document, before);
    }
}

#[test]
fn staging_takes_the_number_after_the_highest() {
    let folder = Folder::new();
    let at = ISSUED;
    let mut empty = KeyringDocument::new(KeyringId::from_bytes(KEYRING_ID));
    let source = folder.key("first.key", &MASTER_8);
    assert_eq!(empty.stage(Suite::Xaes256Gcm, vec![source.clone()], &folder.sources(), at), Ok(KeyVersion::FIRST));
    assert_eq!(empty.serial(), 1);
    let record = empty.version(KeyVersion::FIRST).expect("should have the version");
    assert_eq!((record.state, record.suite, record.created_at), (VersionState::Staged, Suite::Xaes256Gcm, at));
    assert_eq!((&record.sources, record.activated_at, record.verify_until), (&vec![source.clone()], None, None));

    let versions = [(9, VersionState::Destroyed, [9; 32]), (7, VersionState::Active, MASTER_7)];
    let versions = versions.map(|(number, state, master)| Version::new(number, Suite::Aes256Gcm, state, master));
    let mut document = folder.document(&versions);
    assert_eq!(document.stage(Suite::Aes256Gcm, vec![source], &folder.sources(), at), Ok(number(10)));
}

/// Stages what should be refused, and shows that the document stayed as it was.
fn refused(
    document: &mut KeyringDocument,
    folder: &Folder,
    sources: Vec<bulla::keyring::SourceRecord>,
) -> KeyringError {
    let before = document.clone();
    let result = document.stage(Suite::Aes256Gcm, sources, &folder.sources(), ISSUED);
    assert_eq!(*document, before);
    result.expect_err("should be refused")
}

#[test]
fn a_master_key_is_staged_once_whatever_became_of_its_version() {
    let folder = Folder::new();
    for state in VersionState::ALL {
        let mut document = folder.document(&[Version::new(7, Suite::Aes256Gcm, state, MASTER_7)]);
        let (other, same) = (folder.key("other.key", &MASTER_8), folder.key("same.key", &MASTER_7));
        let expected = KeyringError::SameMaster { version: number(7), uri: "file:same.key".to_owned() };
        assert_eq!(refused(&mut document, &folder, vec![same.clone()]), expected, "{state}");
        assert_eq!(refused(&mut document, &folder, vec![same.clone(), other.clone()]), expected, "{state}");
        // The second source is looked at, too, and neither order hides it.
        assert_eq!(refused(&mut document, &folder, vec![other, same]), expected, "{state}");
    }
}

#[test]
fn the_sources_of_one_version_hold_one_key() {
    let folder = Folder::new();
    let mut document = folder.document(&[]);
    let (one, two) = (folder.key("one.key", &MASTER_7), folder.key("two.key", &MASTER_8));
    let copy = folder.key("copy.key", &MASTER_7);
    assert_eq!(
        refused(&mut document, &folder, vec![one.clone(), copy.clone(), two]),
        KeyringError::SourcesDiffer("file:one.key".to_owned(), "file:two.key".to_owned())
    );
    let staged = document.stage(Suite::Aes256Gcm, vec![one, copy], &folder.sources(), ISSUED);
    assert_eq!(staged, Ok(KeyVersion::FIRST));
}

#[test]
fn a_version_needs_a_source_and_every_source_has_to_answer() {
    let folder = Folder::new();
    let mut document = folder.document(&[]);
    assert_eq!(refused(&mut document, &folder, Vec::new()), KeyringError::NoSource(KeyVersion::FIRST));
    let one = folder.key("one.key", &MASTER_7);
    let missing = bulla::keyring::SourceRecord { uri: fixture::uri("missing.key"), wrapped: None };
    match refused(&mut document, &folder, vec![one, missing.clone()]) {
        KeyringError::Source { version, error } => {
            assert_eq!((version, error.uri()), (KeyVersion::FIRST, &missing.uri));
            assert_eq!(error.kind(), bulla::source::SourceErrorKind::Missing);
        }
        other => panic!("{other}"),
    }
}

#[test]
fn the_numbers_run_out_rather_than_over() {
    let folder = Folder::new();
    let mut document = folder.document(&[Version::new(u32::MAX, Suite::Aes256Gcm, VersionState::Active, MASTER_7)]);
    let source = folder.key("next.key", &MASTER_8);
    assert_eq!(refused(&mut document, &folder, vec![source]), KeyringError::NumbersUsedUp);
}
