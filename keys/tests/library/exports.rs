//! Exports: what an edge opens, and everything that it refuses.

use bulla::{
    Expectations, IssueRequest, Issuer, Realm, Rejection, Verifier, VerifyError,
    claims::Claims,
    feed::SigningKey,
    keyring::{
        EdgeKey, ExportError, ExportedKeyring, Keyring, KeyringDocument, KeyringId, RealmExport, SourceRecord, Suite,
        VersionState,
    },
    source::Sources,
};
use zeroize::Zeroizing;

use crate::fixture::{ISSUED, realm};

/// A deployment with versions 1 to 4: deactivated, active, staged, and compromised.
struct Deployment {
    _folder: tempfile::TempDir,
    sources: Sources,
    document: KeyringDocument,
    feed: SigningKey,
}

fn source(number: u8) -> SourceRecord {
    SourceRecord { uri: format!("file:{number}.key").parse().expect("a URI"), wrapped: None }
}

impl Deployment {
    fn new(id: u8) -> Self {
        use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
        use std::{fs, os::unix::fs::PermissionsExt};
        let folder = tempfile::tempdir().expect("a folder");
        for number in 1..=5 {
            let path = folder.path().join(format!("{number}.key"));
            fs::write(&path, BASE64.encode([16 * id + number; 32])).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
        }
        let sources = Sources::new(folder.path());
        let mut document = KeyringDocument::new(KeyringId::from_bytes([id; 16]));
        let stage = |document: &mut KeyringDocument, number: u8, suite| {
            document.stage(suite, vec![source(number)], &sources, ISSUED - 100).expect("staged")
        };
        for number in [4, 1, 2] {
            let suite = if number == 2 { Suite::Xaes256Gcm } else { Suite::Aes256Gcm };
            let version = stage(&mut document, number, suite);
            document.activate(version, ISSUED - 50).expect("activated");
        }
        stage(&mut document, 3, Suite::Aes256Gcm);
        let first = document.versions()[0].number;
        document.compromise(first, None, ISSUED).expect("compromised");
        let feed = SigningKey::from_seed(&Zeroizing::new([id; 32]));
        Deployment { _folder: folder, sources, document, feed }
    }

    fn export(&self, realm: Realm, to: &EdgeKey) -> String {
        let export = RealmExport::of(&self.document, &self.sources, realm, ISSUED).expect("an export");
        export.seal(&to.recipient(), &self.feed).expect("sealed")
    }

    fn open(&self, text: &str, edge: &EdgeKey) -> Result<RealmExport, ExportError> {
        RealmExport::open(text, edge, self.document.id(), &self.feed.verifying_key())
    }

    fn issue(&self, realm: Realm) -> String {
        let keyring = Keyring::load(&self.document, &self.sources, &[realm]).expect("loaded");
        let request = IssueRequest { realm, app_id: uuid::Uuid::nil(), expires_at: None, claims: Claims::new() };
        Issuer::new(&keyring).issue(&request, ISSUED).expect("issued").expose().to_owned()
    }
}

fn verify(keyring: &ExportedKeyring, text: &str, realms: &[Realm]) -> Result<(), VerifyError> {
    Verifier::of_exports(keyring).verify(text, &Expectations::realms(realms), ISSUED + 1).map(drop)
}

#[test]
fn an_edge_opens_keys_of_its_realms_and_of_no_other() {
    let (deployment, edge) = (Deployment::new(1), EdgeKey::generate().expect("a key"));
    let [live, test] = ["live", "test"].map(realm);
    let both = [live, test];
    let export = deployment.open(&deployment.export(live, &edge), &edge).expect("opened");
    assert_eq!((export.realm(), export.serial()), (live, deployment.document.serial()));
    let keyring = ExportedKeyring::new(deployment.document.id(), [&export]);
    assert_eq!(verify(&keyring, &deployment.issue(live), &both), Ok(()));
    assert_eq!(verify(&keyring, &deployment.issue(test), &both), Err(Rejection::Realm.into()));
    assert_eq!(verify(&keyring, &deployment.issue(Realm::ADMIN), &[Realm::ADMIN]), Err(Rejection::Realm.into()));
    let other = deployment.open(&deployment.export(test, &edge), &edge).expect("opened");
    let keyring = ExportedKeyring::new(deployment.document.id(), [&other, &export]);
    assert_eq!(keyring.realms().collect::<Vec<_>>(), both);
    assert_eq!(verify(&keyring, &deployment.issue(test), &both), Ok(()));
}

#[test]
fn nothing_of_a_compromised_version_is_exported_and_what_the_feed_names_shows_as_missing() {
    let (mut deployment, edge) = (Deployment::new(1), EdgeKey::generate().expect("a key"));
    let live = realm("live");
    let export = deployment.open(&deployment.export(live, &edge), &edge).expect("opened");
    let states: Vec<_> = export.versions().map(|record| record.state).collect();
    use VersionState::{Active, Compromised, Deactivated, Staged};
    assert_eq!(states, [Compromised, Deactivated, Active, Staged]);
    assert!(export.versions().all(|record| record.sources.is_empty()));
    let named = |document: &KeyringDocument| {
        document.versions().iter().map(|record| (record.number, record.state)).collect::<Vec<_>>()
    };
    let keyring = ExportedKeyring::new(deployment.document.id(), [&export]);
    assert_eq!(keyring.missing(&named(&deployment.document)), []);
    let staged = deployment.document.stage(Suite::Aes256Gcm, vec![source(5)], &deployment.sources, ISSUED);
    let staged = staged.expect("staged");
    assert_eq!(keyring.missing(&named(&deployment.document)), [(live, staged)]);
    // The newer export counts, whatever the order.
    let newer = deployment.open(&deployment.export(live, &edge), &edge).expect("opened");
    for exports in [[&export, &newer], [&newer, &export]] {
        let keyring = ExportedKeyring::new(deployment.document.id(), exports);
        assert_eq!(keyring.missing(&named(&deployment.document)), []);
        assert_eq!(keyring.serial(), newer.serial());
    }
    // The feed's word goes before the export's.
    let active = export.versions().find(|record| record.state == Active).expect("one").number;
    let shown = keyring.document(99, &[(active, Compromised)]);
    assert_eq!((shown.serial(), shown.version(active).map(|record| record.state)), (99, Some(Compromised)));
    let text = deployment.issue(live);
    let refusing = Verifier::of_exports(&keyring).refusing(&[active]);
    let refused = refusing.verify(&text, &Expectations::realms(&[live]), ISSUED + 1);
    assert_eq!(refused.err(), Some(Rejection::VersionRefused.into()));
}

#[test]
fn an_edge_of_a_realm_that_requires_secret_halves_accepts_no_key_without() {
    let (deployment, edge, live) = (Deployment::new(1), EdgeKey::generate().expect("a key"), realm("live"));
    let export = RealmExport::of(&deployment.document, &deployment.sources, live, ISSUED).expect("an export");
    let text = export.requiring_secrets(true).seal(&edge.recipient(), &deployment.feed).expect("sealed");
    let export = deployment.open(&text, &edge).expect("opened");
    let verifier = Verifier::of_exports(&ExportedKeyring::new(deployment.document.id(), [&export]));
    let opened = verifier.open(&deployment.issue(live), &Expectations::realms(&[live]), ISSUED + 1);
    assert_eq!(opened.err(), Some(Rejection::SecretRequired.into()));
}

#[test]
fn the_administrators_realm_is_never_exported() {
    let deployment = Deployment::new(1);
    let refused = RealmExport::of(&deployment.document, &deployment.sources, Realm::ADMIN, ISSUED);
    assert_eq!(refused.err(), Some(ExportError::AdminRealm));
}

#[test]
fn an_export_that_was_swapped_is_refused_for_what_it_is() {
    let (deployment, other) = (Deployment::new(1), Deployment::new(2));
    let (edge, elsewhere) = (EdgeKey::generate().expect("a key"), EdgeKey::generate().expect("a key"));
    let live = realm("live");
    let text = deployment.export(live, &edge);
    let refused = |text: &str| deployment.open(text, &edge).map(drop).expect_err(text);

    let to_another = deployment.export(live, &elsewhere);
    let expected = ExportError::OtherEdge { found: elsewhere.recipient(), own: edge.recipient() };
    assert_eq!(refused(&to_another), expected);
    let (found, expected) = (other.document.id(), deployment.document.id());
    assert_eq!(refused(&other.export(live, &edge)), ExportError::OtherKeyring { found, expected });

    // Of the right keyring, as a thief of the edge's recipient would have it, under a key of their own.
    let forged = RealmExport::of(&deployment.document, &deployment.sources, live, ISSUED).expect("an export");
    assert_eq!(refused(&forged.seal(&edge.recipient(), &other.feed).expect("sealed")), ExportError::Signature);
    let (line, signature) = text.split_once('\n').expect("two lines");
    for (from, to) in [
        ("\"live\"", "\"test\""),
        ("deactivated", "active"),
        (&edge.recipient().to_string(), &elsewhere.recipient().to_string()),
    ] {
        let changed = line.replacen(from, to, 1);
        assert_ne!(changed, line, "{from}");
        assert_eq!(refused(&format!("{changed}\n{signature}")), ExportError::Signature);
    }
    // With all of the first line, and its line feed, there is no second one.
    for cut in [0, 1, line.len() / 2, line.len(), line.len() + 1, line.len() + 2, text.len() - 1] {
        assert!(matches!(refused(&text[..cut]), ExportError::Syntax), "{cut}");
    }
    assert_eq!(refused(&text.replacen("export/1", "export/2", 1)), ExportError::Format("export/2".to_owned()));
    assert_eq!(refused(&format!("{text}\n")), ExportError::Syntax);
}

#[test]
fn an_edge_key_is_read_as_it_was_written_and_in_no_other_way() {
    let (key, other) = (EdgeKey::generate().expect("a key"), EdgeKey::generate().expect("a key"));
    let text = key.to_text();
    let read = EdgeKey::parse(&text).expect("read");
    assert_eq!(read.recipient(), key.recipient());
    let (keyring, of) = (KeyringId::from_bytes([1; 16]), |key: &EdgeKey, id| key.mac(id).tag(b"state"));
    assert_eq!(of(&read, keyring), of(&key, keyring));
    assert_ne!(of(&read, keyring), of(&other, keyring));
    assert_ne!(of(&read, keyring), of(&key, KeyringId::from_bytes([2; 16])));
    assert!(
        key.mac(keyring).verifies(b"state", &of(&key, keyring))
            && !key.mac(keyring).verifies(b"other", &of(&key, keyring))
    );

    let secret = text.lines().nth(1).expect("the secret");
    for wrong in
        ["", "# nothing", &secret[..secret.len() - 1], &format!("{secret}\n{secret}"), &secret.replace('B', "b")]
    {
        assert_eq!(EdgeKey::parse(wrong).err(), Some(ExportError::NoEdgeKey), "{wrong}");
    }
    let recipient = key.recipient().to_string();
    assert_eq!(recipient.parse(), Ok(key.recipient()));
    let mistyped = format!("{}{}", &recipient[..20], recipient[20..].replacen(|digit: char| digit != 'A', "A", 1));
    for wrong in [&recipient[..recipient.len() - 1], &mistyped, "age1", ""] {
        assert_eq!(wrong.parse::<bulla::keyring::Recipient>(), Err(ExportError::NoRecipient), "{wrong}");
    }
    assert_eq!(secret.parse::<bulla::keyring::Recipient>(), Err(ExportError::SecretAsRecipient));
    let shown = format!("{key:?} {:?}", key.mac(keyring));
    assert!(!shown.contains(&secret[70..90]), "{shown}");
}
