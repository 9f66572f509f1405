//! Keyring documents: what is read, and what is refused.

use bulla::{
    keyring::{KeyVersion, KeyringError, Suite, VersionState},
    source::SourceErrorKind,
};

use crate::fixture::{self, Folder, KEYRING_ID, MAC_KEY, MASTER_7, MASTER_8, Version};

fn versions() -> [Version; 2] {
    [
        Version::new(7, Suite::Aes256Gcm, VersionState::Active, MASTER_7),
        Version::new(8, Suite::Xaes256Gcm, VersionState::Staged, MASTER_8),
    ]
}

fn number(number: u32) -> KeyVersion {
    KeyVersion::new(number).expect("should be a number")
}

#[test]
fn a_document_by_hand_is_read_and_rendered_and_read_again() {
    let folder = Folder::new();
    let mut limited = versions();
    limited[1].seal_until = Some(fixture::ISSUED);
    limited[1].verify_until = Some(fixture::ISSUED + 1);
    for versions in [&[][..], &versions(), &limited] {
        let document = folder.document(versions);
        assert_eq!((document.id().to_string(), document.serial()), (hex::encode(KEYRING_ID), 3));
        assert_eq!(document.versions().len(), versions.len());
        for (record, version) in document.versions().iter().zip(versions) {
            assert_eq!(
                (record.number.number(), record.suite, record.state),
                (version.number, version.suite, version.state)
            );
            assert_eq!(record.seal_until, version.seal_until);
            assert_eq!(record.verify_until, version.verify_until);
        }
        let text = document.render(&folder.mac_key(&document)).expect("should render");
        assert_eq!(folder.parse(&text), Ok(document));
    }
}

#[test]
fn the_key_check_value_and_the_mac_are_those_of_the_format_page() {
    let folder = Folder::new();
    let document = folder.document(&versions());
    let values: Vec<String> = document.versions().iter().map(|record| record.key_check_value.to_string()).collect();
    assert_eq!(values, ["70b2c58fcd188361", "85a510a9d43eac63"]);

    let text = document.render(&folder.mac_key(&document)).expect("should render");
    let at = text.trim_end().rfind('\n').expect("should have lines") + 1;
    assert_eq!(text[at..], format!("hmac_sha256 = \"{}\"\n", fixture::mac(KEYRING_ID, &text[..at])));
}

/// A small document, and one with every kind of field, as the library itself writes it.
fn samples(folder: &Folder) -> [String; 2] {
    let document = folder.document(&versions());
    let rendered = document.render(&folder.mac_key(&document)).expect("should render");
    [fixture::document(KEYRING_ID, &versions()[..1]), rendered]
}

#[test]
fn no_byte_of_a_document_can_be_changed() {
    let folder = Folder::new();
    for text in samples(&folder) {
        assert!(folder.parse(&text).is_ok());
        let last_line = text.len() - "hmac_sha256 = \"\"\n".len() - 64;
        for at in 0..text.len() {
            // The last line is not under the MAC, so there it is every other byte and not only every bit.
            let all: Vec<u8> = if at < last_line { (0..8).map(|bit| 1 << bit).collect() } else { (1..=255).collect() };
            for difference in all {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= difference;
                // What is no UTF-8 any more never becomes the text of a document.
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                assert!(folder.parse(&changed).is_err(), "byte {at} changed by {difference:02x}:\n{changed}");
            }
        }
    }
}

#[test]
fn no_byte_of_a_document_can_be_left_out_or_doubled() {
    let folder = Folder::new();
    for text in samples(&folder) {
        // Editors and secret stores take the last line's end away; nothing is lost with it.
        for at in 0..text.len() - 1 {
            let without = format!("{}{}", &text[..at], &text[at + 1..]);
            let doubled = format!("{}{}", &text[..=at], &text[at..]);
            assert!(folder.parse(&without).is_err(), "without byte {at}:\n{without}");
            assert!(folder.parse(&doubled).is_err(), "with byte {at} twice:\n{doubled}");
        }
    }
}

#[test]
fn a_truncated_document_is_refused_wherever_it_is_cut_off() {
    let folder = Folder::new();
    for text in samples(&folder) {
        let whole = text.trim_end();
        for length in 0..whole.len() {
            assert!(folder.parse(&text[..length]).is_err(), "cut to {length} bytes:\n{}", &text[..length]);
        }
        assert_eq!(folder.parse(whole), folder.parse(&text), "the last line's end is no part of what is said");
    }
}

#[test]
fn the_mac_stands_in_the_last_line_and_nowhere_else() {
    let folder = Folder::new();
    let text = fixture::document(KEYRING_ID, &versions());
    let at = text.rfind("hmac_sha256").expect("should have a MAC");
    let (before, mac) = text.split_at(at);
    for missing in [
        before.to_owned(),
        before.replace("\n[mac]\n", ""),
        format!("{text}\n"),
        format!("{text}# a remark\n"),
        format!("{}  # a remark\n", text.trim_end()),
        format!("{before}  {mac}"),
        format!("{before}{}", mac.replace(" = ", "=")),
        format!("{before}{}", mac.replace('"', "'")),
        format!("{before}{}", mac.replace('\n', "\r\n")),
        format!("{before}hmac_sha256 = \"\"\n"),
        format!("{before}hmac_sha256 = \"00\"\n"),
        format!("{before}hmac_sha256 = \"{}\"\n", "0".repeat(66)),
        format!("{before}hmac_sha256 = \"{}\"\n", "g".repeat(64)),
        format!("{before}{}", mac.to_uppercase().replace("HMAC_SHA256", "hmac_sha256")),
    ] {
        assert_eq!(folder.parse(&missing), Err(KeyringError::MacMissing), "{missing}");
    }
}

#[test]
fn a_document_signed_by_anyone_else_is_refused() {
    let folder = Folder::new();
    let text = fixture::document(KEYRING_ID, &versions());
    let zeroes = format!("{}\n[mac]\nhmac_sha256 = \"{}\"\n", fixture::body(KEYRING_ID, &versions()), "0".repeat(64));
    assert_eq!(folder.parse(&zeroes), Err(KeyringError::MacWrong));
    // Of another keyring under the same MAC key.
    let other = fixture::signed([7; 16], &fixture::body(KEYRING_ID, &versions()));
    assert_eq!(folder.parse(&other), Err(KeyringError::MacWrong));
    folder.key("mac.key", &[0x5b; 32]);
    assert_eq!(folder.parse(&text), Err(KeyringError::MacWrong));
    folder.key("mac.key", &MAC_KEY);
    assert!(folder.parse(&text).is_ok());
}

#[test]
fn without_the_mac_key_no_document_is_read() {
    let folder = Folder::new();
    let text = fixture::document(KEYRING_ID, &versions());
    folder.put("mac.key", "", 0o644);
    let problem = |result| match result {
        Err(KeyringError::MacSource(error)) => error.kind(),
        other => panic!("{other:?}"),
    };
    assert_eq!(problem(folder.parse(&text)), SourceErrorKind::Denied);
    folder.put("mac.key", "", 0o600);
    assert_eq!(problem(folder.parse(&text)), SourceErrorKind::Malformed);
    std::fs::remove_file(folder.path("mac.key")).expect("should remove");
    assert_eq!(problem(folder.parse(&text)), SourceErrorKind::Missing);
}

#[test]
fn versions_that_contradict_each_other_are_refused_under_a_right_mac() {
    let folder = Folder::new();
    let [seven, eight] = versions();
    let parse = |versions: &[Version]| folder.parse(&fixture::document(KEYRING_ID, versions)).err();

    let two_active = [seven.clone(), Version { state: VersionState::Active, ..eight.clone() }];
    assert_eq!(parse(&two_active), Some(KeyringError::TwoActive(number(7), number(8))));
    let duplicate = [seven.clone(), eight, Version { state: VersionState::Destroyed, ..seven.clone() }];
    assert_eq!(parse(&duplicate), Some(KeyringError::DuplicateVersion(number(7))));
    for state in VersionState::ALL {
        let error = parse(&[Version { state, sources: Vec::new(), ..seven.clone() }]);
        assert_eq!(error, state.opens().then_some(KeyringError::NoSource(number(7))), "{state}");
    }
}

#[test]
fn what_this_program_does_not_know_is_refused_under_a_right_mac() {
    let folder = Folder::new();
    let body = fixture::body(KEYRING_ID, &versions());
    let parse = |body: &str| folder.parse(&fixture::signed(KEYRING_ID, body)).expect_err("should be refused");
    assert_eq!(parse(&body.replace("format = 1", "format = 2")), KeyringError::Format(2));
    assert_eq!(parse(&body.replace("format = 1", "format = 2\nnew_in_2 = true")), KeyringError::Format(2));
    assert_eq!(parse(&body.replace("format = 1", "format = 0")), KeyringError::Format(0));

    for (line, other) in [
        ("format = 1", ""),
        ("format = 1", "format = -1"),
        ("serial = 3", "serial = -3"),
        ("serial = 3", "serial = 3\nserial = 3"),
        ("serial = 3", "serial = 3\nunknown = 1"),
        ("state = \"active\"", "state = \"active\"\nunknown = 1"),
        ("state = \"active\"", "state = \"Active\""),
        ("state = \"active\"", "state = \"retired\""),
        ("number = 7", "number = 0"),
        ("number = 7", "number = 4294967296"),
        ("suite = \"aes-256-gcm\"", "suite = \"aes-128-gcm\""),
        ("suite = \"aes-256-gcm\"", "suite = 1"),
        ("2026-11-18T08:53:20Z", "2026-11-18"),
        ("70b2c58fcd188361", "70b2c58fcd1883"),
        ("70b2c58fcd188361", "70b2c58fcd18836g"),
        ("a0a1a2a3", "a0a1a2"),
        ("uri = \"file:master-7.key\"", "uri = \"file:master-7.key\"\nunknown = 1"),
        ("uri = \"file:master-7.key\"", "uri = \"master-7.key\""),
        ("uri = \"file:master-7.key\"", "uri = \"file:\""),
        ("uri = \"file:master-7.key\"", "uri = \"file:a\\nb\""),
    ] {
        assert!(body.contains(line), "{line}");
        let error = parse(&body.replacen(line, other, 1));
        assert!(matches!(error, KeyringError::Syntax(_)), "{other}: {error}");
    }
    let text = fixture::signed(KEYRING_ID, &body);
    let unknown = text.replace("[mac]\n", "[mac]\nunknown = 1\n");
    assert!(matches!(folder.parse(&unknown), Err(KeyringError::Syntax(_))));
}
