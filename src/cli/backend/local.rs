//! The store and keyring that the configuration names.

use std::{sync::Arc, time::Duration};

use bulla::{
    ApiKeyId, Issuer, Realm,
    keyring::{KeyVersion, Recipient},
};
use uuid::Uuid;

use super::{Backend, Found, Rule, id_in, no_id};
use crate::{
    action::{
        ActionError, Actor,
        export::export,
        fleet,
        issue::IssueContext,
        keyring::Change,
        revoke::{self, RevokeContext},
    },
    api::{
        audit::AuditPage,
        fleet::{Fleet, FollowersQuery, Forgotten, ForgottenApp},
        issue::{IssuedApiKey, NewApiKey},
        keyring::{Activate, ActiveKeys, Changed, Compromise, KeyringView, Stage},
        ledger::{ApiKeyPage, ApiKeyView, LedgerQuery, PageError},
        propagation::{Goal, Propagates},
        reroll::{Reroll, RerollSecret, Rerolled, RerolledSecret},
        reveal::{Escrowed, Reveal},
        revoke::{RevocationRule, RevokeOutcome},
    },
    cli::{ConfigArgument, Failure, known_realm},
    clock,
    deployment::Deployment,
    imported::ImportedKeys,
    server::old_system::learn_now,
    store::Store,
    verification::{ImportedKeysError, meant, read_imported_keys},
};

pub(in crate::cli) struct Local {
    pub(in crate::cli) deployment: Deployment,
    pub(in crate::cli) store: Arc<dyn Store>,
}

impl Local {
    pub(in crate::cli) fn open(config: &ConfigArgument) -> Result<Self, Failure> {
        let deployment = config.open()?;
        let store = deployment.store()?;
        Ok(Local { deployment, store })
    }

    /// Refuses a realm that neither the configuration nor the ledger has.
    pub(in crate::cli) fn check_realm(&self, realm: Option<Realm>) -> Result<(), Failure> {
        match realm.filter(|realm| !self.store.has_realm(*realm).unwrap_or(true)) {
            Some(realm) => known_realm(&self.deployment.config, realm, "the ledger has no key of this realm either"),
            None => Ok(()),
        }
    }

    fn check_rule(&self, rule: Rule, force: bool) -> Result<(), Failure> {
        match rule.realm().filter(|_| !force) {
            Some(realm) => {
                known_realm(&self.deployment.config, realm, "--force revokes the keys of such a realm nevertheless")
            }
            None => Ok(()),
        }
    }

    /// Changes the keyring. The service has no endpoints for some of these changes.
    pub(in crate::cli) fn change_keyring(&self, change: &Change) -> Result<Changed, Failure> {
        Ok(change.apply(&self.deployment, &*self.store, &Actor::command_line(), clock::now())?)
    }

    fn issuing<T>(&self, issue: impl FnOnce(&IssueContext<'_>) -> Result<T, ActionError>) -> Result<T, Failure> {
        let (document, keyring) = self.deployment.keyring(&*self.store)?;
        let peppers = self.deployment.peppers(&document)?;
        let (issuer, actor) = (Issuer::new(&keyring), Actor::command_line());
        let state = (&issuer, &self.deployment.config, peppers.as_ref());
        Ok(issue(&IssueContext::new(state, &*self.store, &actor, clock::now()))?)
    }

    /// Waits until the fleet has a change in force, up to `wait`, and adds to the outcome how far it got.
    fn wait_for_fleet<T: Propagates>(&self, mut outcome: T, wait: Option<Duration>) -> T {
        if let Some(wait) = wait {
            outcome.set_propagation(fleet::log_reached_by_all(&*self.store, &self.deployment.config.fleet, wait));
        }
        outcome
    }

    /// Ends a version's API keys. It waits for the keyring serial, not for a log position.
    fn end_version(&self, change: &Change, wait: Option<Duration>) -> Result<Changed, Failure> {
        let mut changed = self.change_keyring(change)?;
        if let Some(wait) = wait {
            let (goal, config) = (Goal::Keyring(changed.serial), &self.deployment.config.fleet);
            changed.set_propagation(fleet::reached_by_all(&*self.store, &goal, config, wait));
        }
        Ok(changed)
    }

    fn revoking<T>(
        &self,
        reason: Option<String>,
        revoke: impl FnOnce(&RevokeContext<'_>) -> Result<T, ActionError>,
    ) -> Result<T, Failure> {
        let reason = revoke::reason(reason)?;
        let (store, fleet, now) = (&*self.store, &self.deployment.config.fleet, clock::now());
        Ok(revoke(&RevokeContext { store, fleet, actor: &Actor::command_line(), now, reason })?)
    }
}

/// The imported keys of this moment.
struct Imported {
    keys: ImportedKeys,
    /// Why a set is not searched, if one is not.
    unread: Option<String>,
}

impl Local {
    /// What a text is, revoked or not: the log does not count here.
    fn imported(&self) -> Result<Imported, Failure> {
        let keys = ImportedKeys::default();
        let unread = match read_imported_keys(&keys, &*self.store, &self.deployment.config, &|| Ok(())) {
            Ok(()) => None,
            Err(ImportedKeysError::Store(error)) => return Err(error.into()),
            // All other sets are read.
            Err(ImportedKeysError::OldSecret(error)) => Some(error.to_string()),
        };
        Ok(Imported { keys, unread })
    }
}

impl Imported {
    fn find(&self, text: &str) -> Result<Found, Failure> {
        let mut found = Found { ids: Vec::new(), unchecked: self.unread.iter().cloned().collect() };
        let (candidates, unsearched) = self.keys.recognize_slowly(text);
        for candidate in candidates {
            match candidate.matches() {
                Ok(true) => found.ids.push(candidate.key().id),
                Ok(false) => {}
                Err(error) => found.unchecked.push(format!("{}: {error}", candidate.key().id)),
            }
        }
        let sets = unsearched.iter().map(|set| format!("the digest of set {set} could not be computed"));
        found.unchecked.extend(sets);
        found.any()
    }
}

impl Backend for Local {
    fn ids_of(&self, text: &str) -> Result<Found, Failure> {
        match id_in(text) {
            Some(id) => Ok(Found::one(id)),
            None => self.imported()?.find(text),
        }
    }

    fn ids_to_end(&self, text: &str) -> Result<Found, Failure> {
        let texts = meant(text);
        if let Some(id) = texts.iter().find_map(|text| id_in(text)) {
            return Ok(Found::one(id));
        }
        let (imported, mut unknown) = (self.imported()?, no_id());
        for text in &texts {
            match imported.find(text) {
                Err(Failure::Usage(told)) => unknown = Failure::Usage(told),
                known => return known,
            }
        }
        for text in texts {
            if learn_now(&*self.store, &self.deployment.config, text).map_err(Failure::Undone)? {
                return self.ids_of(text);
            }
        }
        Err(unknown)
    }

    fn issue(&self, new: NewApiKey) -> Result<IssuedApiKey, Failure> {
        self.issuing(|issuing| issuing.one(new))
    }

    fn list(&self, query: &LedgerQuery) -> Result<ApiKeyPage, Failure> {
        self.check_realm(query.realm)?;
        ApiKeyPage::read(&*self.store, query, clock::now()).map_err(|error| match error {
            PageError::Store(error) => error.into(),
            error => Failure::Usage(error.to_string()),
        })
    }

    fn show(&self, id: ApiKeyId) -> Result<ApiKeyView, Failure> {
        let entry = self.store.find(&id)?.ok_or(ActionError::Unknown(id))?;
        Ok(ApiKeyView::new(entry, clock::now()))
    }

    fn suspend(
        &self,
        ids: &[ApiKeyId],
        reason: Option<String>,
        wait: Option<Duration>,
    ) -> Result<RevokeOutcome, Failure> {
        Ok(self.wait_for_fleet(self.revoking(reason, |revoking| revoking.suspend_same(ids))?, wait))
    }

    fn resume(&self, id: ApiKeyId, reason: Option<String>, wait: Option<Duration>) -> Result<RevokeOutcome, Failure> {
        Ok(self.wait_for_fleet(self.revoking(reason, |revoking| revoking.resume(id))?, wait))
    }

    fn revoke(
        &self,
        ids: &[ApiKeyId],
        reason: Option<String>,
        wait: Option<Duration>,
    ) -> Result<RevokeOutcome, Failure> {
        let revoked = self.revoking(reason, |revoking| revoking.revoke_same(ids, "api_key.revoke"))?;
        Ok(self.wait_for_fleet(revoked, wait))
    }

    fn count_active(&self, rule: Rule, force: bool) -> Result<ActiveKeys, Failure> {
        self.check_rule(rule, force)?;
        let (app_id, before) = match rule {
            Rule::App { app_id, before, .. } => (Some(app_id), before),
            Rule::Realm { before, .. } => (None, Some(before)),
        };
        let counted = self.store.count_active_issued_before(app_id, rule.realm(), before, clock::now())?;
        let (all, administrators) = counted;
        Ok(ActiveKeys { all, administrators })
    }

    fn revoke_many(
        &self,
        rule: Rule,
        force: bool,
        reason: Option<String>,
        wait: Option<Duration>,
    ) -> Result<RevocationRule, Failure> {
        self.check_rule(rule, force)?;
        let ruled = self.revoking(reason, |revoking| match rule {
            Rule::App { app_id, realm, before } => revoking.revoke_app(app_id, realm, before),
            Rule::Realm { realm, before } => revoking.revoke_realm(realm, before),
        })?;
        Ok(self.wait_for_fleet(ruled, wait))
    }

    fn reroll(&self, id: ApiKeyId, how: &Reroll, wait: Option<Duration>) -> Result<Rerolled, Failure> {
        Ok(self.wait_for_fleet(self.issuing(|issuing| how.apply(id, issuing))?, wait))
    }

    fn reroll_secret(&self, id: ApiKeyId, how: &RerollSecret) -> Result<RerolledSecret, Failure> {
        let peppers = self.deployment.peppers(&self.deployment.document(&*self.store)?)?;
        let with = (&self.deployment.config, peppers.as_ref());
        Ok(how.apply(id, &*self.store, with, &Actor::command_line(), clock::now())?)
    }

    fn reveal(&self, id: ApiKeyId, why: &Reveal) -> Result<Escrowed, Failure> {
        Ok(why.apply(id, &*self.store, &Actor::command_line(), clock::now())?)
    }

    fn fleet(&self, query: &FollowersQuery) -> Result<Fleet, Failure> {
        // Without the keyring the fleet shows all the same.
        let document = self.deployment.document(&*self.store).ok();
        let active = document.and_then(|document| document.active().map(|record| record.number.number()));
        let now = clock::now();
        let heard_after = fleet::heard_after(self.deployment.config.fleet.forget_after, now);
        Ok(Fleet::read(&*self.store, query, active, (now, heard_after))?)
    }

    fn forget_follower(&self, name: &str) -> Result<Forgotten, Failure> {
        Ok(fleet::forget(&*self.store, &Actor::command_line(), name, clock::now())?)
    }

    fn forget_followers_of(&self, app_id: Uuid) -> Result<ForgottenApp, Failure> {
        Ok(fleet::forget_app(&*self.store, &Actor::command_line(), app_id, clock::now())?)
    }

    fn audit(&self, after: u64, limit: u32) -> Result<AuditPage, Failure> {
        Ok(AuditPage::read(&*self.store, after, limit)?)
    }

    fn keyring(&self) -> Result<KeyringView, Failure> {
        let feed = self.deployment.feed_key()?.map(|key| key.verifying_key());
        Ok(KeyringView::new(&self.deployment.document(&*self.store)?, &self.store.seal_counts()?.counts, feed))
    }

    fn counted_keyring(&self) -> Result<KeyringView, Failure> {
        Ok(self.keyring()?.counting(&*self.store, clock::now())?)
    }

    fn stage(&self, stage: Stage) -> Result<Changed, Failure> {
        self.change_keyring(&Change::Stage(stage))
    }

    fn activate(&self, version: KeyVersion, how: Activate) -> Result<Changed, Failure> {
        self.change_keyring(&Change::Activate(version, how))
    }

    fn compromise(&self, version: KeyVersion, how: Compromise, wait: Option<Duration>) -> Result<Changed, Failure> {
        self.end_version(&Change::Compromise(version, how), wait)
    }

    fn destroy(&self, version: KeyVersion, wait: Option<Duration>) -> Result<Changed, Failure> {
        self.end_version(&Change::Destroy(version), wait)
    }

    fn export(&self, realm: Realm, to: &Recipient) -> Result<String, Failure> {
        known_realm(&self.deployment.config, realm, "an edge verifies realms that are configured here")?;
        Ok(export((&self.deployment, &*self.store), (realm, to), &Actor::command_line(), clock::now())?)
    }
}
