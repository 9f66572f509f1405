//! Issues API keys: checks the request, seals the key, and records it before it is shown.

use bulla::{ApiKey, ApiKeyId, IssueError, IssueRequest, Issuer};
use jiff::Timestamp;
use serde_json::json;

use super::{
    ActionError, Actor, idempotency::IdempotencyKey, invalid, new_api_key::ApprovedKey, revoke::AHEAD, seconds,
};
use crate::{
    api::issue::{IssuedApiKey, NewApiKey},
    clock,
    config::{Config, RealmConfig, SecretPolicy},
    escrow,
    secret::{self, NewHash, Peppers},
    store::{EscrowRow, LedgerRow, NewSecretRow, Store, StoreError, Transaction, look, seal_budget, transact},
};

/// The most draws until an id is not on record yet. A second collision would mean a generator that repeats itself.
const DRAWS: usize = 3;

/// Keys with slow hashes in one request: some tens of seconds of work.
const MAX_SLOW_BATCH: usize = 100;

/// Keys in one request.
pub(crate) const MAX_BATCH: usize = 1_000;

/// The outcome of a request for keys.
pub(crate) enum Issued {
    /// New keys.
    Now(Vec<IssuedApiKey>),
    /// The ids of the keys that the same request got before; the keys are not shown again.
    Before(Vec<ApiKeyId>),
}

/// What issuing needs: of the service, of the command, of a test.
pub(crate) struct IssueContext<'a> {
    issuer: &'a Issuer,
    pub(crate) store: &'a dyn Store,
    pub(crate) config: &'a Config,
    /// Without them no secret half is issued.
    pub(crate) peppers: Option<&'a Peppers>,
    pub(crate) actor: &'a Actor,
    pub(crate) now: Timestamp,
}

/// The key that a new one replaces.
pub(super) struct Replaces {
    pub(super) id: ApiKeyId,
    /// When that one is revoked, if it is.
    pub(super) revoked_at: Option<Timestamp>,
    pub(super) reason: Option<String>,
}

/// A key that is sealed and not yet on record.
pub(super) struct Prepared {
    pub(super) issued: IssuedApiKey,
    row: LedgerRow,
    secret: Option<NewSecretRow>,
    escrow: Option<EscrowRow>,
}

impl<'a> IssueContext<'a> {
    /// `issuer`, `config` and `peppers` are of one state; `actor` asks for the keys at `now`.
    pub(crate) fn new(
        (issuer, config, peppers): (&'a Issuer, &'a Config, Option<&'a Peppers>),
        store: &'a dyn Store,
        actor: &'a Actor,
        now: Timestamp,
    ) -> Self {
        IssueContext { issuer, store, config, peppers, actor, now }
    }

    fn requires(&self, realm: &str) -> bool {
        realm.parse().is_ok_and(|realm| secret::policy_of(self.config, realm) == SecretPolicy::Required)
    }

    /// Issues one key. It is on record before it is returned.
    pub(crate) fn one(&self, new: NewApiKey) -> Result<IssuedApiKey, ActionError> {
        let new = vec![self.approve(new)?];
        match self.record(&new, None)? {
            Issued::Now(mut keys) => keys.pop().ok_or_else(|| StoreError::Aborted.into()),
            Issued::Before(_) => Err(StoreError::Aborted.into()),
        }
    }

    /// Issues all of these keys, or none.
    pub(crate) fn all(&self, new: Vec<NewApiKey>, once: Option<&IdempotencyKey>) -> Result<Issued, ActionError> {
        let single = new.len() == 1;
        let mut approved = Vec::with_capacity(new.len());
        let slow = |new: &NewApiKey| {
            let realm = new.realm.parse().ok().filter(|_| new.secret || self.requires(&new.realm));
            realm.is_some_and(|realm| secret::scheme_of(self.config, realm).memory_kib() > 0)
        };
        if new.iter().filter(|new| slow(new)).count() > MAX_SLOW_BATCH {
            let message = format!("at most {MAX_SLOW_BATCH} keys with Argon2id secret halves are issued at a time");
            return Err(invalid("api_keys", message));
        }
        for (at, one) in new.into_iter().enumerate() {
            let one = self.approve(one).map_err(|error| if single { error } else { error.at(at) });
            approved.push(one?);
        }
        self.record(&approved, once)
    }

    fn record(&self, approved: &[ApprovedKey], once: Option<&IdempotencyKey>) -> Result<Issued, ActionError> {
        let mut draws = 0;
        loop {
            draws += 1;
            // Sealing, and hashing secret halves, may take long, and happen outside the transaction: `put` checks again
            // what they are based on.
            let prepared = look(self.store, |transaction| {
                let before = self.replay(transaction, once)?;
                let from =
                    |approved: &ApprovedKey| transaction.latest_rule(approved.request.app_id, approved.request.realm);
                Ok::<_, ActionError>((before, approved.iter().map(from).collect::<Result<Vec<_>, _>>()?))
            })?;
            let good_from = match prepared {
                (Some(before), _) => return Ok(Issued::Before(before)),
                (None, good_from) => good_from,
            };
            let prepared: Result<Vec<_>, _> =
                approved.iter().zip(good_from).map(|(approved, from)| self.prepare(approved, from)).collect();
            let prepared = prepared?;
            let recorded = transact(self.store, |transaction| {
                if let Some(before) = self.replay(transaction, once)? {
                    return Ok(Some(before));
                }
                for one in &prepared {
                    self.put(transaction, one, "api_key.issue", None)?;
                }
                if let Some(once) = once {
                    let api_key_ids = prepared.iter().map(|one| one.issued.api_key.id()).collect();
                    once.remember(transaction, &self.actor.name, api_key_ids, self.now)?;
                }
                Ok::<_, ActionError>(None)
            });
            match recorded {
                Ok(Some(before)) => return Ok(Issued::Before(before)),
                Ok(None) => return Ok(Issued::Now(prepared.into_iter().map(|one| one.issued).collect())),
                Err(ActionError::Store(StoreError::Duplicate)) if draws < DRAWS => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The keys that this request got before.
    fn replay(
        &self,
        transaction: &dyn Transaction,
        once: Option<&IdempotencyKey>,
    ) -> Result<Option<Vec<ApiKeyId>>, ActionError> {
        once.map_or(Ok(None), |once| once.replay(transaction, &self.actor.name))
    }

    /// Seals a key, hashes its secret half, and encrypts it where its realm has an escrow recipient.
    pub(super) fn prepare(
        &self,
        approved: &ApprovedKey,
        good_from: Option<Timestamp>,
    ) -> Result<Prepared, ActionError> {
        let ApprovedKey { request, name, restrictions } = approved;
        // A rule revokes what was issued before its time, which may lie some seconds ahead: the key is dated behind it.
        let issued_at = good_from.map_or(self.now, |from| from.max(self.now));
        if let Some(rule) = good_from.filter(|rule| rule.duration_since(self.now) > AHEAD) {
            return Err(ActionError::RuleAhead { rule, now: self.now });
        }
        if let Some(from) = good_from.filter(|from| request.expires_at.is_some_and(|at| at <= seconds(*from))) {
            let message = format!("a rule revokes what is issued before {from}: let it live longer");
            return Err(invalid("expires_at", message));
        }
        let api_key = self.issuer.issue(request, seconds(issued_at)).map_err(refused)?;
        let secret = match self.peppers {
            Some(peppers) => {
                let hash = NewHash::of(&api_key, peppers, secret::scheme_of(self.config, request.realm))?;
                hash.map(|hash| hash.row(api_key.id(), peppers, self.now, None))
            }
            None => None,
        };
        let expires_at = request.expires_at.map(clock::timestamp);
        let escrow = escrow::row_of(self.config, &api_key, self.now, expires_at)?;
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
            rerolled_from: None,
        };
        Ok(Prepared { issued, row, secret, escrow })
    }

    /// Puts a key on record, with its audit record. [`StoreError::Duplicate`] asks for another one.
    pub(super) fn put(
        &self,
        transaction: &mut dyn Transaction,
        prepared: &Prepared,
        action: &str,
        replaces: Option<&Replaces>,
    ) -> Result<(), ActionError> {
        let Prepared { issued, row, secret, escrow } = prepared;
        let rule = transaction.latest_rule(row.app_id, row.id.realm())?;
        if rule.is_some_and(|from| row.issued_at < from) {
            return Err(StoreError::Duplicate.into());
        }
        let row = LedgerRow { rerolled_from: replaces.map(|old| old.id), ..row.clone() };
        transaction.insert_api_key(&row, seal_budget(self.issuer.suite()))?;
        if let Some(secret) = secret {
            transaction.insert_secret(secret)?;
        }
        if let Some(escrow) = escrow {
            transaction.insert_escrow(escrow)?;
        }
        let mut detail = json!({"app_id": row.app_id, "expires_at": row.expires_at, "scopes": row.scopes});
        if let Some(detail) = detail.as_object_mut() {
            if secret.is_some() {
                detail.insert("secret".to_owned(), json!(true));
            }
            if let Some(escrow) = escrow {
                detail.insert("escrow".to_owned(), json!(escrow.recipient));
            }
            if let Some(old) = replaces {
                detail.insert("replaces".to_owned(), json!(old.id.to_string()));
                detail.insert("revoked_at".to_owned(), json!(old.revoked_at));
                detail.insert("reason".to_owned(), json!(old.reason));
            }
        }
        let record = self.actor.record(self.now, action, Some(issued.api_key_id.clone()), detail);
        Ok(transaction.append_audit(&record)?)
    }

    /// Parses the request, and checks it against the realm's policy.
    pub(super) fn approve(&self, new: NewApiKey) -> Result<ApprovedKey, ActionError> {
        let unbound = RealmConfig::default();
        let policy = self.config.realms.get(&new.realm).unwrap_or(&unbound);
        let approved = new.approve(policy, |realm| self.config.realms.contains_key(realm), self.now)?;
        let secret = approved.request.claims.has_secret();
        match (secret::policy_of(self.config, approved.request.realm), secret) {
            (SecretPolicy::Off, true) => Err(ActionError::Policy {
                field: "secret".to_owned(),
                message: "keys of this realm have no secret halves".to_owned(),
            }),
            (SecretPolicy::Required, _) | (_, true) if self.peppers.is_none() => Err(invalid(
                "secret",
                "secret halves need a [pepper] in the configuration: a version, and its key source",
            )),
            (SecretPolicy::Required, false) => Ok(approved.with_secret()),
            _ => Ok(approved),
        }
    }
}

impl IssuedApiKey {
    fn new(api_key: ApiKey, request: &IssueRequest, issued_at: Timestamp) -> Self {
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
