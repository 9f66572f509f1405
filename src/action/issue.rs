//! Issuing one API key, on the command line and over HTTP alike: what may be asked for, sealing, and the ledger row that
//! must stand before the key is shown.

use std::collections::BTreeMap;

use bulla::{ApiKey, Cidr, CidrError, Claims, IssueError, Issuer, Realm, Request, Suite};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use crate::{
    clock,
    config::parse_span,
    store::{LedgerRow, Store, StoreError},
};

/// How often an id that is on record already is drawn anew. Twice would be a generator that repeats itself.
const DRAWS: usize = 3;

/// What a new API key is to be.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApiKey {
    pub(crate) realm: String,
    pub(crate) app_id: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) expires_in: Option<String>,
    #[serde(default)]
    pub(crate) expires_at: Option<String>,
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    #[serde(default)]
    pub(crate) audience: OneOrMany,
    #[serde(default)]
    pub(crate) cidr: Vec<String>,
    #[serde(default)]
    pub(crate) meta: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) secret: bool,
}

/// A text, or a list of texts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(untagged, expecting = "`audience` is a text or a list of texts")]
pub(crate) enum OneOrMany {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn into_vec(self) -> Vec<String> {
        match self {
            OneOrMany::None => Vec::new(),
            OneOrMany::One(text) => vec![text],
            OneOrMany::Many(texts) => texts,
        }
    }
}

/// An issued API key as its owner is shown it, this once.
#[derive(Debug, Serialize)]
pub(crate) struct IssuedApiKey {
    #[serde(serialize_with = "exposed")]
    pub(crate) api_key: ApiKey,
    pub(crate) api_key_id: String,
    pub(crate) realm: String,
    pub(crate) app_id: Uuid,
    pub(crate) version: u32,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) scopes: Vec<String>,
    pub(crate) meta: BTreeMap<String, String>,
}

fn exposed<S: Serializer>(key: &ApiKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(key.expose())
}

/// No API key was issued.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssuingError {
    /// What was asked for cannot be: the caller has to change it.
    #[error("{field}: {message}")]
    Invalid { field: &'static str, message: String },
    /// The keyring or the generator.
    #[error(transparent)]
    Issue(IssueError),
    /// The ledger.
    #[error(transparent)]
    Store(StoreError),
}

impl NewApiKey {
    /// A key of `realm` for `app_id` that never expires and claims nothing.
    pub(crate) fn plain(realm: Realm, app_id: Uuid) -> Self {
        NewApiKey {
            realm: realm.to_string(),
            app_id: app_id.to_string(),
            name: None,
            expires_in: None,
            expires_at: None,
            scopes: Vec::new(),
            audience: OneOrMany::None,
            cidr: Vec::new(),
            meta: BTreeMap::new(),
            secret: false,
        }
    }

    /// Issues the key and records it. It is on record before it is returned.
    pub(crate) fn issue(
        self,
        issuer: &Issuer,
        store: &dyn Store,
        issued_by: &str,
        now: Timestamp,
    ) -> Result<IssuedApiKey, IssuingError> {
        let name = self.name.clone().filter(|name| !name.is_empty());
        let request = self.into_request(now)?;
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let mut draws = 0;
        loop {
            let api_key = issuer.issue(&request, seconds).map_err(refused)?;
            let issued = IssuedApiKey::new(api_key, &request, now);
            draws += 1;
            match store.record(&[issued.row(request.realm, name.clone(), issued_by)], seal_budget(issuer.suite())) {
                Ok(()) => return Ok(issued),
                Err(StoreError::Duplicate) if draws < DRAWS => {}
                Err(error) => return Err(IssuingError::Store(error)),
            }
        }
    }

    fn into_request(self, now: Timestamp) -> Result<Request, IssuingError> {
        if self.secret {
            return Err(invalid("secret", "this version issues no secret halves yet: leave `secret` out"));
        }
        let expires_at = expiry(self.expires_in.as_deref(), self.expires_at.as_deref(), now)?;
        let cidr: Result<Vec<Cidr>, CidrError> = self.cidr.iter().map(|block| block.parse()).collect();
        let claims = Claims::new()
            .with_scopes(self.scopes)
            .with_audience(self.audience.into_vec())
            .with_cidr(cidr.map_err(|error| invalid("cidr", error))?)
            .with_meta(self.meta);
        Ok(Request {
            realm: self.realm.parse().map_err(|error| invalid("realm", error))?,
            app_id: self.app_id.parse().map_err(|_| invalid("app_id", "it has to be a UUID"))?,
            expires_at,
            claims,
        })
    }
}

impl IssuedApiKey {
    fn new(api_key: ApiKey, request: &Request, now: Timestamp) -> Self {
        IssuedApiKey {
            api_key_id: api_key.id().to_string(),
            realm: request.realm.to_string(),
            app_id: request.app_id,
            version: api_key.id().version(),
            issued_at: clock::timestamp(u64::try_from(now.as_second()).unwrap_or(0)),
            expires_at: request.expires_at.map(clock::timestamp),
            scopes: request.claims.scopes().to_vec(),
            meta: request.claims.meta().clone(),
            api_key,
        }
    }

    fn row(&self, realm: Realm, name: Option<String>, issued_by: &str) -> LedgerRow {
        LedgerRow {
            id: self.api_key.id(),
            realm,
            app_id: self.app_id,
            version: self.version,
            name,
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            scopes: self.scopes.clone(),
            meta: self.meta.clone(),
            issued_by: issued_by.to_owned(),
        }
    }
}

/// How many keys one realm may seal under one key version of suite 1: SP 800-38D section 8.3 allows 2^32 random nonces.
const SEAL_LIMIT: u64 = 1 << 32;

/// What a realm may seal under one key version: the last tenth of the limit is left as a margin. Suite 2 has no budget.
pub(crate) fn seal_budget(suite: Option<Suite>) -> Option<u64> {
    (suite == Some(Suite::Aes256Gcm)).then_some(SEAL_LIMIT / 10 * 9)
}

/// From how many on the next rotation is to be planned.
pub(crate) fn seal_warning(suite: Option<Suite>) -> Option<u64> {
    (suite == Some(Suite::Aes256Gcm)).then_some(SEAL_LIMIT / 2)
}

/// When the key expires, in Unix seconds.
fn expiry(within: Option<&str>, at: Option<&str>, now: Timestamp) -> Result<Option<u64>, IssuingError> {
    let at = match (within, at) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(invalid("expires_in", "give `expires_in` or `expires_at`, not both")),
        (Some(within), None) => {
            let span = parse_span(within).map_err(|error| invalid("expires_in", error))?;
            now.checked_add(span.0)
                .map_err(|_| invalid("expires_in", "that is beyond every time an API key can hold"))?
        }
        (None, Some(at)) => at
            .parse::<Timestamp>()
            .map_err(|_| invalid("expires_at", "it has to be an RFC 3339 time such as 2030-01-31T12:00:00Z"))?,
    };
    u64::try_from(at.as_second()).map(Some).map_err(|_| invalid("expires_at", "it lies before 1970"))
}

fn refused(error: IssueError) -> IssuingError {
    match error {
        IssueError::Realm(realm) => invalid(
            "realm",
            format!("there is no realm `{realm}` in the configuration: add a table [realms.{realm}], or name another"),
        ),
        IssueError::Time(_) => invalid("expires_at", error),
        IssueError::ExpiryPast => invalid("expires_at", "the expiry is not after now"),
        IssueError::Claims(error) => invalid("claims", error),
        other => IssuingError::Issue(other),
    }
}

fn invalid(field: &'static str, message: impl ToString) -> IssuingError {
    IssuingError::Invalid { field, message: message.to_string() }
}
