//! What every key source has to do, whatever is behind it.

use bulla::{
    Expectations, IssueRequest, Issuer, Realm, Verifier,
    claims::Claims,
    keyring::{Keyring, KeyringDocument, KeyringError, KeyringId, SourceRecord, Suite},
    source::{SourceErrorKind, Sources},
};

use crate::parts::world;

/// A source under test, opened as this says.
pub struct Contract<'a> {
    pub opener: Sources,
    /// The source for the first version of this keyring.
    pub device: &'a dyn Fn(KeyringId) -> SourceRecord,
    /// Another place that holds the same master key, by way of other code.
    pub same: &'a dyn Fn(KeyringId) -> SourceRecord,
    /// The same kind of source, with another master key.
    pub other: &'a dyn Fn(KeyringId) -> SourceRecord,
}

const NOW: u64 = 1_795_000_000;

/// Opens sources relative to this run's folder.
pub fn opener() -> Sources {
    Sources::new(world::folder())
}

/// A source that keeps its key itself.
pub fn record(uri: &str) -> SourceRecord {
    SourceRecord { uri: uri.parse().expect("a source URI"), wrapped: None }
}

/// The file that holds the known key.
pub fn software(_: KeyringId) -> SourceRecord {
    record("file:master.key")
}

fn realm() -> Realm {
    "acme_live".parse().expect("a realm")
}

/// A keyring whose first and active version has these sources.
pub fn document(id: KeyringId, sources: Vec<SourceRecord>, opener: &Sources) -> Result<KeyringDocument, KeyringError> {
    let mut document = KeyringDocument::new(id);
    let version = document.stage(Suite::Aes256Gcm, sources, opener, NOW)?;
    document.activate(version, NOW)?;
    Ok(document)
}

fn load(document: &KeyringDocument, opener: &Sources) -> Result<Keyring, KeyringError> {
    Keyring::load(document, opener, &[realm()])
}

/// An API key that `issuer` made opens with `verifier`: the two have the same seal key, all of its 32 bytes.
fn agree(issuer: &Keyring, verifier: &Keyring) {
    let app_id = uuid::uuid!("3f2b8c1e-9a7d-4d52-8a55-0123456789ab");
    let request = IssueRequest { realm: realm(), app_id, expires_at: Some(NOW + 3600), claims: Claims::new() };
    let api_key = Issuer::new(issuer).issue(&request, NOW).expect("it issues");
    let realms = [realm()];
    let verified = Verifier::new(verifier).verify(api_key.expose(), &Expectations::realms(&realms), NOW + 1);
    assert_eq!(verified.expect("the seal keys are the same").app_id(), app_id);
}

impl Contract<'_> {
    /// The same `info` yields the same bytes as elsewhere, another key is told apart, and another keyring has other
    /// keys.
    pub fn same_bytes(&self) {
        let id = KeyringId::random().expect("random");
        let (device, same, other) = ((self.device)(id), (self.same)(id), (self.other)(id));
        let from_device = document(id, vec![device.clone()], &self.opener).expect("the device serves");
        let from_same = document(id, vec![same.clone()], &self.opener).expect("the other place serves");
        document(id, vec![device.clone(), same], &self.opener).expect("both hold the same key");
        let (loaded, loaded_same) = (load(&from_device, &self.opener), load(&from_same, &self.opener));
        let (loaded, loaded_same) = (loaded.expect("it loads"), loaded_same.expect("it loads"));
        agree(&loaded, &loaded_same);
        agree(&loaded_same, &loaded);

        let wrong = document(id, vec![device, other], &self.opener).expect_err("another key is not the same key");
        assert!(matches!(wrong, KeyringError::SourcesDiffer(..)), "{wrong}");
    }

    /// While the device is gone nothing loads, and the error says so; what was loaded before goes on; when it is back,
    /// it loads.
    pub fn outage(&self, gone: impl FnOnce(), says: &str, back: impl FnOnce()) {
        let id = KeyringId::random().expect("random");
        let document = document(id, vec![(self.device)(id)], &self.opener).expect("the device serves");
        let before = load(&document, &self.opener).expect("it loads");
        gone();
        let error = load(&document, &self.opener).expect_err("the device is gone");
        expect_source_error(&error, SourceErrorKind::Unreachable, says);
        agree(&before, &before);
        back();
        let after = load(&document, &self.opener).expect("the device is back");
        agree(&before, &after);
    }

    /// Another key appears behind the name: loading finds out.
    pub fn replaced(&self, replace: impl FnOnce()) {
        let id = KeyringId::random().expect("random");
        let document = document(id, vec![(self.device)(id)], &self.opener).expect("the device serves");
        replace();
        let error = load(&document, &self.opener).expect_err("the key is another one");
        assert!(matches!(error, KeyringError::WrongKey { .. }), "{error}");
    }
}

/// This source does not serve, for this reason, and says so without telling a secret.
pub fn refused(opener: &Sources, source: SourceRecord, problem: SourceErrorKind, says: &str) {
    let id = KeyringId::random().expect("random");
    let error = document(id, vec![source], opener).expect_err("it must not serve");
    expect_source_error(&error, problem, says);
}

/// The source that this URI names is refused.
pub fn refused_uri(uri: &str, problem: SourceErrorKind, says: &str) {
    refused(&opener(), record(uri), problem, says);
}

fn expect_source_error(error: &KeyringError, problem: SourceErrorKind, says: &str) {
    let KeyringError::Source { error, .. } = error else { panic!("not the source's fault: {error}") };
    let text = error.to_string();
    assert_eq!(error.kind(), problem, "{text}");
    assert!(text.contains(says), "{text:?} does not say {says:?}");
    for secret in ["999999", "test-secret-key", world::MASTER_BASE64] {
        assert!(!text.contains(secret), "a secret is in {text:?}");
    }
    assert!(!text.chars().any(char::is_control), "{text:?} is no single line");
}
