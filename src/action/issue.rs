//! Issuing API keys: what may be asked for, sealing, and the ledger rows that must stand before a key is shown.

use std::collections::BTreeMap;

use bulla::{ApiKey, ApiKeyId, IssueError, Issuer, Realm, Request, Suite};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::json;
use uuid::Uuid;

use super::{
    ActionError, Actor, invalid,
    new_api_key::{NewApiKey, Wish},
    seconds,
};
use crate::{
    clock,
    config::{Config, RealmConfig},
    store::{Answered, LedgerRow, Store, StoreError, Transaction, transact},
};

/// How often an id that is on record already is drawn anew. Twice would be a generator that repeats itself.
const DRAWS: usize = 3;

/// Keys that one request may ask for.
pub(crate) const MAX_BATCH: usize = 1_000;

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

/// How a request for keys ended.
pub(crate) enum Issued {
    /// With new keys.
    Now(Vec<IssuedApiKey>),
    /// With the keys that the same request was given before; they are not shown again.
    Before(Vec<ApiKeyId>),
}

/// Names a request, so that it is done once however often it comes.
#[derive(Clone, Debug)]
pub(crate) struct IdempotencyKey {
    pub(crate) key: String,
    /// SHA-256 of endpoint and body, in hex.
    pub(crate) request: String,
}

/// What issuing needs.
pub(crate) struct Issuing<'a> {
    pub(crate) issuer: &'a Issuer,
    pub(crate) store: &'a dyn Store,
    pub(crate) config: &'a Config,
    pub(crate) actor: &'a Actor,
    pub(crate) now: Timestamp,
}

/// The key that a new one replaces.
pub(super) struct Replaces {
    pub(super) id: ApiKeyId,
    pub(super) revoked_at: Timestamp,
    pub(super) reason: Option<String>,
}

impl Issuing<'_> {
    /// Issues one key. It is on record before it is returned.
    pub(crate) fn one(&self, new: NewApiKey) -> Result<IssuedApiKey, ActionError> {
        let new = vec![self.wish(new)?];
        match self.record(&new, None)? {
            Issued::Now(mut keys) => keys.pop().ok_or_else(|| StoreError::GivenUp.into()),
            Issued::Before(_) => Err(StoreError::GivenUp.into()),
        }
    }

    /// Issues all of these keys, or none.
    pub(crate) fn all(&self, new: Vec<NewApiKey>, once: Option<&IdempotencyKey>) -> Result<Issued, ActionError> {
        let single = new.len() == 1;
        let mut wishes = Vec::with_capacity(new.len());
        for (at, one) in new.into_iter().enumerate() {
            let wish = self.wish(one).map_err(|error| if single { error } else { error.at(at) });
            wishes.push(wish?);
        }
        self.record(&wishes, once)
    }

    fn record(&self, wishes: &[Wish], once: Option<&IdempotencyKey>) -> Result<Issued, ActionError> {
        for _ in 1..DRAWS {
            match transact(self.store, |transaction| self.record_once(transaction, wishes, once)) {
                Err(ActionError::Store(StoreError::Duplicate)) => {}
                done => return done,
            }
        }
        transact(self.store, |transaction| self.record_once(transaction, wishes, once))
    }

    fn record_once(
        &self,
        transaction: &mut dyn Transaction,
        wishes: &[Wish],
        once: Option<&IdempotencyKey>,
    ) -> Result<Issued, ActionError> {
        if let Some(once) = once
            && let Some(before) = transaction.answered(&self.actor.name, &once.key)?
        {
            let same = before.request == once.request;
            return if same { Ok(Issued::Before(before.api_key_ids)) } else { Err(ActionError::KeyReused) };
        }
        let issued: Result<Vec<_>, _> =
            wishes.iter().map(|wish| self.seal(transaction, wish, "api_key.issue", None)).collect();
        let issued = issued?;
        if let Some(once) = once {
            let api_key_ids = issued.iter().map(|key| key.api_key.id()).collect();
            let answered = Answered { request: once.request.clone(), api_key_ids, at: self.now };
            transaction.remember_answer(&self.actor.name, &once.key, &answered)?;
        }
        Ok(Issued::Now(issued))
    }

    /// Seals and records one key, with its audit record.
    pub(super) fn seal(
        &self,
        transaction: &mut dyn Transaction,
        wish: &Wish,
        action: &str,
        replaces: Option<&Replaces>,
    ) -> Result<IssuedApiKey, ActionError> {
        let Wish { request, name, restrictions } = wish;
        // What a rule takes back was issued before now, and this key is not to be: at most seconds lie between.
        let good_from = good_from(transaction, request.app_id, request.realm)?;
        let issued_at = good_from.map_or(self.now, |from| from.max(self.now));
        if let Some(from) = good_from.filter(|from| request.expires_at.is_some_and(|at| at <= seconds(*from))) {
            return Err(invalid(
                "expires_at",
                format!("a rule takes back what is issued before {from}: let it live longer"),
            ));
        }
        let api_key = self.issuer.issue(request, seconds(issued_at)).map_err(refused)?;
        let issued = IssuedApiKey::new(api_key, request, issued_at);
        let row = LedgerRow {
            id: issued.api_key.id(),
            app_id: issued.app_id,
            name: name.clone(),
            issued_at: issued.issued_at,
            expires_at: issued.expires_at,
            scopes: issued.scopes.clone(),
            restrictions: Some(restrictions.clone()),
            meta: issued.meta.clone(),
            issued_by: self.actor.name.clone(),
            rerolled_from: replaces.map(|old| old.id),
        };
        transaction.insert_api_key(&row, seal_budget(self.issuer.suite()))?;
        let mut detail = json!({"app_id": row.app_id, "expires_at": row.expires_at, "scopes": row.scopes});
        if let (Some(old), Some(detail)) = (replaces, detail.as_object_mut()) {
            detail.insert("replaces".to_owned(), json!(old.id.to_string()));
            detail.insert("revoked_at".to_owned(), json!(old.revoked_at));
            detail.insert("reason".to_owned(), json!(old.reason));
        }
        transaction.append_audit(&self.actor.record(self.now, action, Some(issued.api_key_id.clone()), detail))?;
        Ok(issued)
    }

    /// Reads what is asked for, and holds it to the realm's policy.
    pub(super) fn wish(&self, new: NewApiKey) -> Result<Wish, ActionError> {
        let unbound = RealmConfig::default();
        let policy = self.config.realms.get(&new.realm).unwrap_or(&unbound);
        new.into_wish(policy, self.now)
    }
}

/// The first time from which keys of this app and realm are good, where a rule takes earlier ones back.
fn good_from(transaction: &dyn Transaction, app_id: Uuid, realm: Realm) -> Result<Option<Timestamp>, StoreError> {
    let rules = [(Some(app_id), None), (Some(app_id), Some(realm)), (None, Some(realm))];
    let found: Result<Vec<_>, _> = rules.into_iter().map(|(app, realm)| transaction.rule(app, realm)).collect();
    Ok(found?.into_iter().flatten().max())
}

impl IssuedApiKey {
    fn new(api_key: ApiKey, request: &Request, issued_at: Timestamp) -> Self {
        IssuedApiKey {
            api_key_id: api_key.id().to_string(),
            realm: request.realm.to_string(),
            app_id: request.app_id,
            version: api_key.id().version(),
            issued_at,
            expires_at: request.expires_at.map(clock::timestamp),
            scopes: request.claims.scopes().to_vec(),
            meta: request.claims.meta().clone(),
            api_key,
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

fn refused(error: IssueError) -> ActionError {
    match error {
        IssueError::Realm(realm) => invalid(
            "realm",
            format!("there is no realm `{realm}` in the configuration: add a table [realms.{realm}], or name another"),
        ),
        IssueError::Time(_) => invalid("expires_at", error),
        IssueError::ExpiryPast => invalid("expires_at", "the expiry is not after now"),
        IssueError::Claims(error) => invalid("claims", error),
        other => ActionError::Issue(other),
    }
}
