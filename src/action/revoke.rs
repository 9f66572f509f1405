//! Revoking, suspending and resuming: one key, or all of an app or a realm.

use bulla::{ApiKeyId, Realm, revocation::Change};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ActionError, Actor, check_note, gate, invalid};
use crate::{
    api::revoke::{RevocationRule, RevokeManyOutcome, RevokeOutcome},
    clock::KeyTime,
    config::FleetConfig,
    store::{LedgerEntry, Logged, NewRevocation, State, Store, StoreError, Transaction, audit_action, transact},
};

/// Ids that one request may revoke.
pub(crate) const MAX_IDS: usize = 10_000;

/// Imported keys that are retired in one transaction.
const RETIRED: u32 = 1_000;

/// How far ahead a rule may reach: the clock difference that verifiers allow. A new key is dated behind the rule, and
/// verifiers reject times that lie further ahead.
pub(crate) const AHEAD: SignedDuration = SignedDuration::from_secs(bulla::CLOCK_DIFFERENCE as i64);

/// What revoking needs.
pub(crate) struct RevokeContext<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) fleet: &'a FleetConfig,
    pub(crate) actor: &'a Actor,
    pub(crate) now: Timestamp,
    pub(crate) reason: Option<String>,
}

impl RevokeContext<'_> {
    /// Revokes a key for good, whether the ledger knows it or not.
    pub(crate) fn revoke(&self, id: ApiKeyId, action: &str) -> Result<RevokeOutcome, ActionError> {
        transact(self.store, |transaction| self.revoke_in(transaction, id, action))
    }

    /// Revokes a key under all of its ids; it has at least one.
    pub(crate) fn revoke_same(&self, ids: &[ApiKeyId], action: &str) -> Result<RevokeOutcome, ActionError> {
        transact(self.store, |transaction| {
            let all: Result<Vec<RevokeOutcome>, _> =
                ids.iter().map(|id| self.revoke_in(transaction, *id, action)).collect();
            let mut all = all?.into_iter();
            let mut outcome = all.next().ok_or_else(|| invalid("id", "name a key"))?;
            for other in all {
                outcome.changed |= other.changed;
                outcome.also_revoked.push(other.api_key_id);
            }
            Ok(outcome)
        })
    }

    /// Revokes all of these, or none.
    pub(crate) fn revoke_all(&self, ids: &[ApiKeyId]) -> Result<RevokeManyOutcome, ActionError> {
        transact(self.store, |transaction| {
            let mut all = RevokeManyOutcome { revoked: 0, already_revoked: 0, not_on_record: 0, propagation: None };
            for id in ids {
                let outcome = self.revoke_in(transaction, *id, "api_key.revoke")?;
                if outcome.changed {
                    all.revoked += 1
                } else {
                    all.already_revoked += 1
                }
                all.not_on_record += usize::from(!outcome.on_record);
            }
            Ok(all)
        })
    }

    /// Revokes by the log, which is all that verifiers see: a revocation that the ledger has and the log lost is
    /// appended again.
    pub(super) fn revoke_in(
        &self,
        transaction: &mut dyn Transaction,
        id: ApiKeyId,
        action: &str,
    ) -> Result<RevokeOutcome, ActionError> {
        let (entry, on_record) = find(transaction, &id)?;
        let outcome = |revoked_at, changed| RevokeOutcome {
            api_key_id: id.to_string(),
            state: State::Revoked,
            revoked_at: Some(revoked_at),
            changed,
            on_record,
            also_revoked: Vec::new(),
            also_suspended: Vec::new(),
            propagation: None,
        };
        match transaction.logged(&id)? {
            Logged { revoked_at: Some(at), in_effect: true, .. } => return Ok(outcome(at, false)),
            Logged { revoked_at: Some(at), .. } if at <= self.now => {
                // It is due by this clock; a clock that is set back does not undo that.
                transaction.put_in_effect(&id)?;
                return Ok(outcome(at, false));
            }
            _ => {}
        }
        let expires_at = expiry_of(entry.and_then(|entry| entry.row.expires_at));
        self.append(transaction, Change::Revoke { id, expires_at }, Some(action), id.to_string(), json!({}))?;
        Ok(outcome(self.now, true))
    }

    /// Suspends a key until it is resumed.
    pub(crate) fn suspend(&self, id: ApiKeyId) -> Result<RevokeOutcome, ActionError> {
        self.suspend_or_resume(id, true)
    }

    /// Ends a suspension.
    pub(crate) fn resume(&self, id: ApiKeyId) -> Result<RevokeOutcome, ActionError> {
        self.suspend_or_resume(id, false)
    }

    /// Suspends a key under all of its ids, but those that are revoked for good; it has at least one.
    pub(crate) fn suspend_same(&self, ids: &[ApiKeyId]) -> Result<RevokeOutcome, ActionError> {
        transact(self.store, |transaction| {
            let (mut suspended, mut revoked) = (None::<RevokeOutcome>, None);
            for id in ids {
                match (self.suspend_or_resume_in(transaction, *id, true), &mut suspended) {
                    (Ok(first), None) => suspended = Some(first),
                    (Ok(other), Some(outcome)) => {
                        outcome.changed |= other.changed;
                        outcome.also_suspended.push(other.api_key_id);
                    }
                    (Err(error @ ActionError::Conflict(_)), _) => revoked = Some(error),
                    (Err(error), _) => return Err(error),
                }
            }
            suspended.ok_or_else(|| revoked.unwrap_or_else(|| invalid("id", "name a key")))
        })
    }

    fn suspend_or_resume(&self, id: ApiKeyId, suspend: bool) -> Result<RevokeOutcome, ActionError> {
        transact(self.store, |transaction| self.suspend_or_resume_in(transaction, id, suspend))
    }

    fn suspend_or_resume_in(
        &self,
        transaction: &mut dyn Transaction,
        id: ApiKeyId,
        suspend: bool,
    ) -> Result<RevokeOutcome, ActionError> {
        // What the unreadable row of a suspended key says may be that it is revoked, so it is not resumed.
        let entry = if suspend { find(transaction, &id)?.0 } else { transaction.find(&id)? };
        let logged = transaction.logged(&id)?;
        if is_revoked(entry.as_ref(), &logged, self.now) {
            let what = if suspend { "suspended" } else { "resumed" };
            return Err(ActionError::Conflict(format!("the API key is revoked for good, and cannot be {what}")));
        }
        // Log and ledger differ where the log lost a row: after this both have the new state.
        let on_record = entry.as_ref().is_some_and(|entry| entry.suspended_at.is_some());
        let changed = logged.suspended_at.is_some() != suspend || (on_record && !suspend);
        if changed {
            let expires_at = expiry_of(entry.and_then(|entry| entry.row.expires_at));
            let change = if suspend { Change::Suspend { id, expires_at } } else { Change::Resume { id } };
            self.append(transaction, change, None, id.to_string(), json!({}))?;
        }
        let (entry, on_record) = find(transaction, &id)?;
        let state = match entry {
            Some(entry) => entry.state(self.now),
            None if suspend => State::Suspended,
            None => State::Active,
        };
        Ok(RevokeOutcome {
            api_key_id: id.to_string(),
            state,
            revoked_at: None,
            changed,
            on_record,
            also_revoked: Vec::new(),
            also_suspended: Vec::new(),
            propagation: None,
        })
    }

    /// Revokes what was issued for this app before a time, in one realm or in all; before now, where no time is given.
    pub(crate) fn revoke_app(
        &self,
        app_id: Uuid,
        realm: Option<Realm>,
        issued_before: Option<Timestamp>,
    ) -> Result<RevocationRule, ActionError> {
        self.rule(Some(app_id), realm, issued_before)
    }

    /// Revokes what was issued in this realm before a time.
    pub(crate) fn revoke_realm(&self, realm: Realm, issued_before: Timestamp) -> Result<RevocationRule, ActionError> {
        self.rule(None, Some(realm), Some(issued_before))
    }

    fn rule(
        &self,
        app_id: Option<Uuid>,
        realm: Option<Realm>,
        issued_before: Option<Timestamp>,
    ) -> Result<RevocationRule, ActionError> {
        let mut ruled = transact(self.store, |transaction| {
            let name = realm.map(|realm| realm.to_string());
            let ruled = |issued_before, changed| RevocationRule {
                app_id,
                realm: name.clone(),
                issued_before,
                changed,
                keys_on_record: None,
                propagation: None,
            };
            let before = match issued_before {
                Some(before) => before,
                None => {
                    let latest = self.latest_rule(transaction, app_id, realm)?;
                    if self.is_too_far_ahead(latest) {
                        // Nothing is issued where a rule lies that far ahead, so it holds for all keys.
                        return Ok(ruled(latest, false));
                    }
                    // The first second in which nothing was issued.
                    latest.checked_add(SignedDuration::from_secs(1)).unwrap_or(latest)
                }
            };
            let in_key = KeyTime::up(before).map_err(|error| invalid("issued_before", error))?;
            let (before, in_key) = (in_key.timestamp(), in_key.seconds());
            if issued_before.is_some() && self.is_too_far_ahead(before) {
                return Err(invalid(
                    "issued_before",
                    "it lies more than five minutes ahead: keys of the time between would be dead",
                ));
            }
            if let Some(there) = transaction.rule(app_id, realm)?.filter(|there| *there >= before) {
                return Ok(ruled(there, false));
            }
            let (change, target) = match (app_id, realm) {
                (Some(app_id), realm) => {
                    (Change::RevokeApp { app_id, realm, issued_before: in_key }, app_id.to_string())
                }
                (None, Some(realm)) => (Change::RevokeRealm { realm, issued_before: in_key }, realm.to_string()),
                (None, None) => return Err(invalid("app_id", "name an app or a realm")),
            };
            let detail = json!({"issued_before": before, "realm": name});
            self.append(transaction, change, None, target, detail)?;
            Ok(ruled(before, true))
        })?;
        // The rule stands, whether the keys can be counted or not.
        ruled.keys_on_record = self.store.count_issued_before(app_id, realm, ruled.issued_before).ok();
        Ok(ruled)
    }

    fn is_too_far_ahead(&self, before: Timestamp) -> bool {
        before.duration_since(self.now) > AHEAD
    }

    /// The latest second in which something may have been issued: this one, or that of a rule that lies ahead and holds
    /// for all of these keys, as new keys are dated behind it.
    fn latest_rule(
        &self,
        transaction: &dyn Transaction,
        app_id: Option<Uuid>,
        realm: Option<Realm>,
    ) -> Result<Timestamp, StoreError> {
        let mut latest = self.now;
        for (app, realm) in [(app_id, realm), (app_id, None), (None, realm)] {
            if app.is_some() || realm.is_some() {
                latest = latest.max(transaction.rule(app, realm)?.unwrap_or(latest));
            }
        }
        Ok(latest)
    }

    /// Appends to the log and to the audit, under the usual action of this kind unless another is named.
    pub(super) fn append(
        &self,
        transaction: &mut dyn Transaction,
        change: Change,
        action: Option<&str>,
        target: String,
        mut detail: Value,
    ) -> Result<(), ActionError> {
        gate::admit(transaction, &change, self.fleet, self.now)?;
        transaction.append_revocation(&NewRevocation {
            change,
            effective_at: None,
            reason: self.reason.clone(),
            recorded_at: self.now,
            recorded_by: self.actor.name.clone(),
        })?;
        if let (Some(reason), Some(detail)) = (&self.reason, detail.as_object_mut()) {
            detail.insert("reason".to_owned(), json!(reason));
        }
        let action = action.or_else(|| change.kind().map(audit_action)).unwrap_or_default();
        Ok(transaction.append_audit(&self.actor.record(self.now, action, Some(target), detail))?)
    }
}

/// The key on record, and whether it is: an unreadable row of the ledger does not keep its key alive.
fn find(transaction: &dyn Transaction, id: &ApiKeyId) -> Result<(Option<LedgerEntry>, bool), StoreError> {
    match transaction.find(id) {
        Err(StoreError::Damaged(..)) => Ok((None, true)),
        found => found.map(|entry| (entry.clone(), entry.is_some())),
    }
}

/// Revokes the imported keys of a realm whose sealed keys have been used; how many.
pub(crate) fn retire(
    (store, fleet): (&dyn Store, &FleetConfig),
    actor: &Actor,
    realm: Realm,
    now: Timestamp,
) -> Result<usize, ActionError> {
    let context = RevokeContext { store, fleet, actor, now, reason: Some("replaced by a sealed key".to_owned()) };
    let mut retired = 0;
    loop {
        let ids = store.taken_over(realm, RETIRED)?;
        match context.revoke_all(&ids)?.revoked {
            0 => return Ok(retired),
            revoked => retired += revoked,
        }
    }
}

/// Checks a reason; an empty one counts as none.
pub(crate) fn reason(reason: Option<String>) -> Result<Option<String>, ActionError> {
    let Some(reason) = reason.filter(|reason| !reason.trim().is_empty()) else { return Ok(None) };
    check_note("reason", &reason)?;
    Ok(Some(reason))
}

/// The expiry as the revocation list takes it.
pub(super) fn expiry_of(expires_at: Option<Timestamp>) -> Option<u32> {
    expires_at.and_then(|at| u32::try_from(at.as_second()).ok())
}

/// Returns whether a key is revoked at `now`: by the log, by the ledger, or by a rule for its app or realm.
pub(super) fn is_revoked(entry: Option<&LedgerEntry>, logged: &Logged, now: Timestamp) -> bool {
    logged.in_effect
        || logged.revoked_at.is_some_and(|at| at <= now)
        || entry.is_some_and(|entry| entry.state(now) == State::Revoked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli, clock, deployment::Deployment};

    #[test]
    fn a_rule_that_lies_as_far_ahead_as_it_may_keeps_no_app_from_being_revoked() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = cli::throw_away(folder.path()).expect("a deployment");
        let store = Deployment::open(&config).expect("opened").store().expect("a store");
        let (actor, fleet) = (Actor::service(), FleetConfig::default());
        let (begun, app_id) = (clock::now(), Uuid::from_u128(7));
        let at = |seconds| begun.checked_add(SignedDuration::from_secs(seconds)).expect("a time");
        let rule = |now, before: Option<Timestamp>| {
            let context = RevokeContext { store: &*store, fleet: &fleet, actor: &actor, now, reason: None };
            context.revoke_app(app_id, None, before).map(|ruled| (ruled.issued_before, ruled.changed)).ok()
        };
        assert_eq!(rule(at(0), Some(at(300))), Some((at(300), true)));
        // A key that is issued now is dated as the rule.
        assert_eq!(rule(at(0), None), Some((at(301), true)));
        assert_eq!(rule(at(0), None), Some((at(301), false)), "nothing was issued since");
        assert_eq!(rule(at(-86_400), None), Some((at(301), false)), "nor where the clock is set back");
        assert_eq!(rule(at(0), Some(at(302))), None, "nobody may name such a time");
        assert_eq!(rule(at(1), None), Some((at(302), true)));
        assert_eq!(rule(at(900), None), Some((at(901), true)));
    }
}
