//! Every file of `tests/vectors`, which the reference implementation wrote.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bulla::{
    ApiKey, ApiKeyId, Expectations, Realm, Verified, Verifier, VerifyError,
    keyring::{Keyring, Suite, VersionState},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fixture::{self, Folder};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vector {
    #[serde(rename = "why")]
    _why: String,
    keyring_id: String,
    versions: Vec<Version>,
    pub(crate) realms: Vec<String>,
    pub(crate) now: u64,
    pub(crate) audience: Option<String>,
    pub(crate) ip: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) api_key: String,
    pub(crate) expect: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Version {
    version: u32,
    suite: u8,
    state: String,
    master: String,
    verify_until: Option<u64>,
}

pub(crate) fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let list = |folder: &Path| {
        let entries = fs::read_dir(folder).expect("should be a folder");
        entries.map(|entry| entry.expect("should be listed").path()).collect::<Vec<_>>()
    };
    list(&folder).iter().flat_map(|folder| list(folder)).collect()
}

pub(crate) fn read(file: &Path) -> Vector {
    let text = fs::read_to_string(file).expect("should be readable");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    hex::decode(hex).expect("should be hex").try_into().expect("should be of the right length")
}

/// A folder with the vector's `keyring.toml` and the keys that it names.
pub(crate) fn folder(vector: &Vector) -> Folder {
    let id = bytes(&vector.keyring_id);
    let folder = Folder::new();
    let versions = vector.versions.iter().map(|version| {
        let state =
            VersionState::ALL.into_iter().find(|state| state.name() == version.state).expect("should be a state");
        let suite = [Suite::Aes256Gcm, Suite::Xaes256Gcm].into_iter().find(|suite| suite.number() == version.suite);
        let suite = suite.expect("should be a suite");
        let mut written = fixture::Version::new(version.version, suite, state, bytes(&version.master));
        written.verify_until = version.verify_until;
        folder.key(&format!("master-{}.key", version.version), &written.master);
        written
    });
    let text = fixture::document(id, &versions.collect::<Vec<_>>());
    folder.put("keyring.toml", text, 0o644);
    folder
}

fn keyring(vector: &Vector, realms: &[Realm]) -> Keyring {
    let folder = folder(vector);
    let text = fs::read_to_string(folder.path("keyring.toml")).expect("should be readable");
    let document = folder.parse(&text).expect("should be a right document");
    Keyring::load(&document, &folder.sources(), realms).expect("should load")
}

/// The verdict in the form in which the files have it.
fn verdict(vector: &Vector) -> Value {
    let realms: Vec<Realm> = vector.realms.iter().map(|realm| fixture::realm(realm)).collect();
    let scopes: Vec<&str> = vector.scopes.iter().map(String::as_str).collect();
    let mut expected = Expectations::realms(&realms).scopes(&scopes);
    if let Some(audience) = &vector.audience {
        expected = expected.audience(audience);
    }
    if let Some(ip) = &vector.ip {
        expected = expected.address(ip.parse().expect("should be an address"));
    }
    let verifier = Verifier::new(&keyring(vector, &realms));
    let verdict = verdict_of(&verifier, vector, &expected);
    // The verifier takes another way where anything at all is revoked, and comes to the same.
    let other: ApiKeyId = "acme_live_0000000000000000000000".parse().expect("should be an id");
    let heeding = |id| verifier.with_revocations(Arc::new([other, id].into_iter().collect()));
    assert_eq!(verdict_of(&heeding(other), vector, &expected), verdict);
    if verdict["verdict"] == "accepted" {
        let id = vector.api_key.parse::<ApiKey>().expect("should be a key").id();
        assert_eq!(verdict_of(&heeding(id), vector, &expected)["reason"], "revoked");
    }
    verdict
}

fn verdict_of(verifier: &Verifier, vector: &Vector, expected: &Expectations<'_>) -> Value {
    match verifier.verify(&vector.api_key, expected, vector.now) {
        Ok(verified) => contents(&verified),
        Err(error @ VerifyError::Rejected(_)) => json!({"verdict": "rejected", "reason": error.code()}),
        Err(error @ (VerifyError::SecretUnchecked | VerifyError::Stale)) => {
            json!({"verdict": "could_not_tell", "reason": error.code()})
        }
    }
}

fn contents(verified: &Verified) -> Value {
    let claims = verified.claims().cloned().unwrap_or_default();
    json!({
        "verdict": "accepted",
        "reason": null,
        "api_key_id": verified.id().to_string(),
        "realm": verified.id().realm().as_str(),
        "version": verified.id().version(),
        "app_id": verified.app_id().to_string(),
        "issued_at": verified.issued_at(),
        "expires_at": verified.expires_at().unwrap_or(0),
        "scopes": verified.scopes(),
        "audience": claims.audience(),
        "not_before": claims.not_before(),
        "cidr": claims.cidr().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "meta": claims.meta(),
        "has_secret": claims.has_secret(),
    })
}

#[test]
fn every_vector_has_the_verdict_that_its_file_gives() {
    let files = files();
    assert!(files.len() >= 200, "only {} files were found", files.len());
    let mut wrong = Vec::new();
    for file in &files {
        let vector = read(file);
        let got = verdict(&vector);
        if got != vector.expect {
            wrong.push(format!("{}\n  expected {}\n  got      {got}", file.display(), vector.expect));
        }
    }
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), files.len(), wrong.join("\n"));
}

#[test]
fn a_text_parses_as_an_api_key_exactly_where_a_verifier_gets_past_its_shape() {
    let mut misshapen_for_their_suite = Vec::new();
    for file in files() {
        let vector = read(&file);
        let name = file.file_stem().expect("should have a name").to_string_lossy().into_owned();
        let reason = vector.expect["reason"].as_str();
        match vector.api_key.parse::<ApiKey>() {
            Err(rejection) => assert_eq!(reason, Some(rejection.code()), "{name}"),
            Ok(key) => {
                assert_ne!(reason, Some("checksum"), "{name}");
                assert_eq!(key.expose(), vector.api_key, "{name}");
                assert!(vector.api_key.starts_with(&key.id().to_string()), "{name}");
                if reason == Some("malformed") {
                    misshapen_for_their_suite.push(name);
                }
            }
        }
    }
    // A body's right length depends on the suite, which only the keyring knows.
    misshapen_for_their_suite.sort();
    let known = ["body-suite-1-297-bytes", "body-suite-2-67-bytes", "seal-suite-1-where-suite-2-short"];
    assert_eq!(misshapen_for_their_suite, known);
}
