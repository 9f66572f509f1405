//! What ends keys, for good or for a while: one, several, by rules, and imported ones whose sealed keys are in use.

use bulla::Realm;
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    acting::By,
    keys::{APPS, realms},
    model::Effect,
    world::{Broken, World},
};
use crate::{
    action::{
        ActionError,
        issue::IssueContext,
        revoke::{RevokeContext, retire},
    },
    api::revoke::{RevocationRule, RevokeOutcome},
    store::{AuditEntry, State},
};

impl World {
    pub(super) fn revoke(&mut self) -> Result<(), Broken> {
        let Some(key) = self.any_key() else { return Ok(()) };
        let (by, action) = (self.somebody(), self.random.pick(&["api_key.revoke", "api_key.self_revoke"]));
        self.revoke_one(by, key, action)
    }

    pub(super) fn revoke_one(&mut self, by: By, key: usize, action: &str) -> Result<(), Broken> {
        let id = self.model.keys[key].id;
        let what = format!("revokes #{key}");
        let effects = |_: &World, _: Option<&_>, _: &[_]| vec![Effect::Revoked(key)];
        let answer = self.act(by, Some(key), what, |with| taking(with).revoke(id, action), effects)?;
        self.told("a key is revoked", &answer);
        self.must_be_done(by, answer.map(drop))
    }

    pub(super) fn revoke_several(&mut self) -> Result<(), Broken> {
        let keys: Vec<usize> = (0..3).filter_map(|_| self.any_key()).collect();
        let (by, ids) = (self.somebody(), keys.iter().map(|key| self.model.keys[*key].id).collect::<Vec<_>>());
        self.touched.extend(&keys);
        let (what, first) = (format!("revokes {keys:?}"), keys.first().copied());
        let effects = |_: &World, _: Option<&_>, _: &[_]| keys.into_iter().map(Effect::Revoked).collect();
        let answer = self.act(by, first, what, |with| taking(with).revoke_all(&ids), effects)?;
        self.told("keys are revoked", &answer);
        self.must_be_done(by, answer.map(drop))
    }

    /// A revocation is never refused.
    fn must_be_done(&self, by: By, answer: Result<(), ActionError>) -> Result<(), Broken> {
        match answer {
            Err(error) if !self.failed_on_purpose(by) => Err(format!("a revocation is refused: {error}")),
            _ => Ok(()),
        }
    }

    pub(super) fn suspend(&mut self) -> Result<(), Broken> {
        self.suspend_or_resume(true)
    }

    pub(super) fn resume(&mut self) -> Result<(), Broken> {
        self.suspend_or_resume(false)
    }

    fn suspend_or_resume(&mut self, suspend: bool) -> Result<(), Broken> {
        let Some(key) = self.any_key() else { return Ok(()) };
        let by = self.somebody();
        self.suspend_one(by, key, suspend)
    }

    pub(super) fn suspend_one(&mut self, by: By, key: usize, suspend: bool) -> Result<(), Broken> {
        let id = self.model.keys[key].id;
        let work = |with: RevokeContext<'_>| if suspend { with.suspend(id) } else { with.resume(id) };
        let what = format!("{} #{key}", if suspend { "suspends" } else { "resumes" });
        let effects = |_: &World, _: Option<&_>, _: &[_]| vec![Effect::Suspended(key, suspend)];
        let answer = self.act(by, Some(key), what, |with| work(taking(with)), effects)?;
        self.told(if suspend { "a key is suspended" } else { "a key is resumed" }, &answer);
        let states = self.model.states(key, self.clock_of(by));
        match answer {
            // What was done after the answer is not in it.
            _ if self.visited => Ok(()),
            Ok(RevokeOutcome { state, .. }) if !states.contains(&state) => {
                Err(format!("the answer says {state:?} of a key that is {states:?}: #{key}"))
            }
            Err(ActionError::Conflict(why)) if !states.contains(&State::Revoked) => {
                Err(format!("refused although the key is {states:?}: #{key}: {why}"))
            }
            _ => Ok(()),
        }
    }

    /// Revokes what an app or a realm was issued before some time.
    pub(super) fn rule(&mut self) -> Result<(), Broken> {
        let (by, app, realm) = (self.somebody(), Uuid::from_u128(self.random.pick(&APPS)), self.random.pick(&realms()));
        let before = self.clock_of(by) + self.random.pick(&[-86_400, -60, -1, 0, 1, 300, 4_000]);
        let before = Timestamp::from_second(before).ok().filter(|_| self.random.chance(70));
        let (app, realm) = match self.random.below(5) {
            0 => (None, Some(realm)),
            1 => (Some(app), None),
            _ => (Some(app), Some(realm)),
        };
        self.rule_one(by, (app, realm), before)
    }

    pub(super) fn rule_one(
        &mut self,
        by: By,
        (app, realm): (Option<Uuid>, Option<Realm>),
        before: Option<Timestamp>,
    ) -> Result<(), Broken> {
        let work = |with: RevokeContext<'_>| match (app, realm) {
            (None, Some(realm)) => with.revoke_realm(realm, before.unwrap_or(with.now)),
            (app, realm) => with.revoke_app(app.unwrap_or_default(), realm, before),
        };
        let effects = |_: &World, ruled: Option<&RevocationRule>, records: &[AuditEntry]| {
            let recorded = || records.last()?.record.detail.get("issued_before")?.as_str()?.parse().ok();
            let before: Option<Timestamp> = ruled.map(|ruled| ruled.issued_before).or_else(recorded);
            before.map(|at| Effect::Ruled { app, realm, before: at.as_second() }).into_iter().collect()
        };
        let what = format!("revokes what {app:?} in {realm:?} had before {before:?}");
        let answer = self.act(by, None, what, |with| work(taking(with)), effects)?;
        self.told("a rule is made", &answer);
        Ok(())
    }

    /// Revokes imported keys whose sealed ones are in use.
    pub(super) fn retire(&mut self) -> Result<(), Broken> {
        let (by, live) = (self.somebody(), realms()[0]);
        let effects = |world: &World, _: Option<&_>, records: &[AuditEntry]| {
            let targets = records.iter().filter_map(|entry| entry.record.target.as_deref());
            targets.filter_map(|id| world.key_of(id)).map(Effect::Revoked).collect()
        };
        let work = |with: &IssueContext<'_>| retire((with.store, &with.config.fleet), with.actor, live, with.now);
        let answer = self.act(by, None, "retires imported keys", work, effects)?;
        self.told("imported keys are retired", &answer);
        Ok(())
    }

    fn key_of(&self, id: &str) -> Option<usize> {
        self.model.keys.iter().position(|key| key.id.to_string() == id)
    }
}

fn taking<'a>(with: &'a IssueContext<'_>) -> RevokeContext<'a> {
    RevokeContext { store: with.store, fleet: &with.config.fleet, actor: with.actor, now: with.now, reason: None }
}
