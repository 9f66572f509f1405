//! The answer of a verification, on the command line and over HTTP.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write};

use bulla::{Rejection, VerifyError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::schema;
use crate::{
    clock,
    verification::{Accepted, Verdict},
};

/// The scopes as one text (RFC 6749, section 3.3), which has no form for an empty list: clients take `""` for one empty
/// scope.
pub(crate) fn scope_list(scopes: &[String]) -> Option<String> {
    (!scopes.is_empty()).then(|| scopes.join(" "))
}

/// The answer: everything about an active key, and of any other only that it is not, or that a scope is missing.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = Answer)]
#[serde(untagged)]
pub(crate) enum VerifyAnswer {
    Active(Box<ActiveKey>),
    Inactive {
        #[schema(schema_with = schema::no)]
        active: bool,
        #[schema(schema_with = schema::inactive_error)]
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<Cow<'static, str>>,
        /// For operators alone, never for a caller of the data plane.
        #[schema(ignore)]
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<Cow<'static, str>>,
    },
}

/// An accepted API key.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct ActiveKey {
    #[schema(schema_with = schema::yes)]
    active: bool,
    #[schema(value_type = schema::ApiKeyId)]
    pub(crate) api_key_id: String,
    #[schema(value_type = schema::Realm)]
    pub(crate) realm: String,
    pub(crate) app_id: Uuid,
    /// Null for an imported key.
    #[schema(required)]
    pub(crate) version: Option<u32>,
    /// 1970-01-01T00:00:00Z for an imported key whose old system did not say it.
    pub(crate) issued_at: Timestamp,
    #[schema(required)]
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) scopes: Vec<String>,
    pub(crate) meta: BTreeMap<String, String>,
}

/// Why a key is not active that lacks only scopes, as callers see it.
pub(crate) const INSUFFICIENT_SCOPE: &str = "insufficient_scope";

impl VerifyAnswer {
    /// The answer within a batch for a key that could not be verified; alone it is a 503.
    pub(crate) const COULD_NOT_TELL: VerifyAnswer =
        VerifyAnswer::Inactive { active: false, error: Some(Cow::Borrowed("could_not_tell")), reason: None };

    /// The answer for a caller. `None` is "could not tell".
    pub(crate) fn for_caller(verdict: &Verdict) -> Option<Self> {
        match verdict {
            Ok(accepted) => Some(VerifyAnswer::Active(Box::new(ActiveKey::new(accepted)))),
            Err(VerifyError::Rejected(rejection)) => Some(VerifyAnswer::Inactive {
                active: false,
                error: (*rejection == Rejection::Scope).then_some(INSUFFICIENT_SCOPE.into()),
                reason: None,
            }),
            Err(VerifyError::SecretUnchecked | VerifyError::Stale) => None,
        }
    }

    /// The answer for an operator, with the reason.
    pub(crate) fn for_operator(verdict: &Verdict) -> Self {
        match (Self::for_caller(verdict).unwrap_or(Self::COULD_NOT_TELL), verdict) {
            (VerifyAnswer::Inactive { active, error, .. }, Err(why)) => {
                VerifyAnswer::Inactive { active, error, reason: Some(why.code().into()) }
            }
            (answer, _) => answer,
        }
    }
}

impl ActiveKey {
    pub(crate) fn new(accepted: &Accepted) -> Self {
        ActiveKey {
            active: true,
            api_key_id: accepted.id().to_string(),
            realm: accepted.id().realm().to_string(),
            app_id: accepted.app_id(),
            version: accepted.version(),
            issued_at: clock::timestamp(accepted.issued_at()),
            expires_at: accepted.expires_at().map(clock::timestamp),
            scopes: accepted.scopes().to_vec(),
            meta: accepted.meta(),
        }
    }
}

/// Appends the answer for a caller as JSON, as serde writes a [`VerifyAnswer`]. Nothing is appended where it is "could
/// not tell".
pub(crate) fn write_for_caller(json: &mut String, verdict: &Verdict) -> bool {
    match verdict {
        Ok(accepted) => write_active(json, accepted),
        Err(VerifyError::Rejected(Rejection::Scope)) => {
            json.push_str(r#"{"active":false,"error":"insufficient_scope"}"#)
        }
        Err(VerifyError::Rejected(_)) => json.push_str(r#"{"active":false}"#),
        Err(VerifyError::SecretUnchecked | VerifyError::Stale) => return false,
    }
    true
}

/// The same within a batch, where "could not tell" is an answer.
pub(crate) fn write_in_batch(json: &mut String, verdict: &Verdict) {
    if !write_for_caller(json, verdict) {
        json.push_str(r#"{"active":false,"error":"could_not_tell"}"#);
    }
}

fn write_active(json: &mut String, accepted: &Accepted) {
    let id = accepted.id();
    json.push_str(r#"{"active":true,"api_key_id":""#);
    // Writing to a text never fails.
    let _written = write!(json, "{id}");
    json.push_str(r#"","realm":""#);
    json.push_str(id.realm().as_str());
    json.push_str(r#"","app_id":""#);
    json.push_str(accepted.app_id().hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    json.push_str(r#"","version":"#);
    match accepted.version() {
        Some(version) => drop(write!(json, "{version}")),
        None => json.push_str("null"),
    }
    json.push_str(r#","issued_at":""#);
    clock::write_time(json, accepted.issued_at());
    match accepted.expires_at() {
        Some(time) => {
            json.push_str(r#"","expires_at":""#);
            clock::write_time(json, time);
            json.push_str(r#"","scopes":["#);
        }
        None => json.push_str(r#"","expires_at":null,"scopes":["#),
    }
    let mut separator = "";
    accepted.each_scope(|scope| {
        json.push_str(std::mem::replace(&mut separator, ","));
        write_text(json, scope);
    });
    json.push_str(r#"],"meta":{"#);
    let mut separator = "";
    accepted.each_note(|name, value| {
        json.push_str(std::mem::replace(&mut separator, ","));
        write_text(json, name);
        json.push(':');
        write_text(json, value);
    });
    json.push_str("}}");
}

fn write_text(json: &mut String, text: &str) {
    if text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        // A text is always JSON.
        json.push_str(&serde_json::to_string(text).unwrap_or_default());
        return;
    }
    json.push('"');
    json.push_str(text);
    json.push('"');
}

#[cfg(test)]
mod tests {
    use bulla::{
        Expectations, IssueRequest, Issuer, Realm, Verifier,
        claims::Claims,
        keyring::{Keyring, KeyringDocument, KeyringId, SourceRecord, Suite},
        source::Sources,
    };

    use super::*;

    fn keyring(realm: Realm) -> Keyring {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("master.key");
        crate::deployment::write_new(&path, b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", 0o600).expect("written");
        let sources = Sources::new(folder.path());
        let mut document = KeyringDocument::new(KeyringId::from_bytes([1; 16]));
        let source = SourceRecord { uri: "file:master.key".parse().expect("a URI"), wrapped: None };
        let version = document.stage(Suite::default(), vec![source], &sources, 1_700_000_000).expect("staged");
        document.activate(version, 1_700_000_000).expect("active");
        Keyring::load(&document, &sources, &[realm]).expect("loaded")
    }

    #[test]
    fn answers_are_written_as_serde_writes_them() {
        let realm: Realm = "live".parse().expect("a realm");
        let keyring = keyring(realm);
        let (issuer, verifier) = (Issuer::new(&keyring), Verifier::new(&keyring));
        let verdict = |expires_at, claims| {
            let request = IssueRequest { realm, app_id: Uuid::from_u128(7 << 90), expires_at, claims };
            let key = issuer.issue(&request, 1_800_000_000).expect("a key");
            let verified = verifier.verify(key.expose(), &Expectations::realms(&[realm]), 1_800_000_001);
            verified.map(Accepted::Sealed)
        };
        let meta = |name: &str, value: &str| [(name.to_owned(), value.to_owned())];
        let accepted = [
            verdict(None, Claims::new()),
            verdict(Some(1_900_000_000), Claims::new().with_scopes(["a", "orders.read"])),
            verdict(Some(1_900_000_000), Claims::new().with_meta(meta("plan", "a \"b\" \\ \n \u{1} \u{7f} é"))),
            verdict(None, Claims::new().with_scopes(["x"]).with_meta(meta("a", "1").into_iter().chain(meta("b", "2")))),
            // Under the seal the shorter name comes first.
            verdict(None, Claims::new().with_meta(meta("plan", "1").into_iter().chain(meta("z", "2")))),
        ];
        assert!(accepted.iter().all(Result::is_ok));
        let refused = Rejection::ALL.into_iter().map(|rejection| Err(rejection.into()));
        let unknown = [VerifyError::SecretUnchecked, VerifyError::Stale].map(Err);
        for verdict in accepted.into_iter().chain(refused).chain(unknown) {
            let (mut alone, mut within) = (String::new(), String::new());
            let known = write_for_caller(&mut alone, &verdict);
            write_in_batch(&mut within, &verdict);
            let answer = VerifyAnswer::for_caller(&verdict);
            assert_eq!((known, alone.is_empty()), (answer.is_some(), answer.is_none()));
            let answer = serde_json::to_string(&answer.unwrap_or(VerifyAnswer::COULD_NOT_TELL)).expect("JSON");
            assert_eq!(within, answer);
            assert!(alone.is_empty() || alone == answer);
        }
    }
}
