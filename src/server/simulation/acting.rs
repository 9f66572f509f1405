//! One administrator's action: who does it, what may go wrong meanwhile, and what the model makes of it.

use std::sync::{Arc, Mutex, PoisonError};

use bulla::Realm;
use jiff::Timestamp;
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::{
    faults::Fault,
    model::Effect,
    world::{Broken, World},
};
use crate::{
    action::{ActionError, Actor, issue::IssueContext, revoke::RevokeContext},
    api::reroll::RerollSecret,
    clock,
    store::{AuditEntry, Store},
};

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Process(usize),
    Command,
}

pub(super) const INTRUDER: &str = "intruder";

/// What another process has done in between.
type Guest = Arc<Mutex<Vec<Effect>>>;

impl World {
    /// A process that runs, or the command.
    pub(super) fn somebody(&mut self) -> By {
        let at = self.random.below(5);
        match at % 2 {
            _ if at == 4 => By::Command,
            process if self.processes[process].up.is_some() => By::Process(process),
            _ => By::Command,
        }
    }

    pub(super) fn name(&self, by: By) -> &'static str {
        match by {
            By::Process(at) => self.processes[at].name,
            By::Command => "command",
        }
    }

    /// The clock of the process that acts. The command runs where process one does.
    pub(super) fn clock_of(&self, by: By) -> i64 {
        let process = match by {
            By::Process(at) => &self.processes[at],
            By::Command => &self.processes[0],
        };
        clock::simulated::set(&process.clock);
        process.now()
    }

    /// Has `by` do something to `target`, as a handler of the admin plane does it: what is answered is in force in that
    /// process. `effects` says what the model makes of it, of an answer that was lost too.
    pub(super) fn act<T>(
        &mut self,
        by: By,
        target: Option<usize>,
        what: impl std::fmt::Display,
        work: impl FnOnce(&IssueContext<'_>) -> Result<T, ActionError>,
        effects: impl FnOnce(&World, Option<&T>, &[AuditEntry]) -> Vec<Effect>,
    ) -> Result<Result<T, ActionError>, Broken> {
        self.touched.extend(target);
        self.tell(format!("{} {what}", self.name(by)));
        let guest = self.disturb(by, target);
        let answer = self.run(by, work);
        let (name, records) = (format!("cert:{}", self.name(by)), self.read_audit()?);
        let own: Vec<AuditEntry> = records.iter().filter(|entry| entry.record.actor == name).cloned().collect();
        let place = |name: &str| records.iter().position(|entry| entry.record.actor.ends_with(name));
        let done =
            if answer.is_ok() || !own.is_empty() { effects(self, answer.as_ref().ok(), &own) } else { Vec::new() };
        let theirs = self.leave(&guest);
        // The first one in the audit was first.
        let theirs_first = place(INTRUDER) < place(&name) || own.is_empty();
        let in_order = if theirs_first { theirs.into_iter().chain(done) } else { done.into_iter().chain(theirs) };
        in_order.for_each(|effect| self.model.apply(effect));
        self.see();
        if let (By::Process(at), Ok(_)) = (by, &answer) {
            self.follow(at)?;
        }
        self.take_in(&guest);
        if let Err(ActionError::Store(error)) = &answer
            && !self.failed_on_purpose(by)
        {
            return Err(format!("the store failed by itself: {error}"));
        }
        Ok(answer)
    }

    /// Returns whether a fault of the simulation may be why `by` got an error.
    pub(super) fn failed_on_purpose(&self, by: By) -> bool {
        matches!(by, By::Process(at) if self.processes[at].faults.happened())
    }

    /// Reads on in the log of revocations, as the thread for it does every half second.
    pub(super) fn follow(&mut self, at: usize) -> Result<(), Broken> {
        let now = self.clock_of(By::Process(at));
        let Some(up) = &self.processes[at].up else { return Ok(()) };
        let change = self.model.changes;
        match up.node.catch_up() {
            Ok(()) => self.model.read_log(&mut self.processes[at].view, change, now),
            Err(_) if self.failed_on_purpose(By::Process(at)) => {}
            Err(error) => return Err(format!("{} cannot read on in the log: {error}", self.processes[at].name)),
        }
        Ok(())
    }

    /// The store as `by` has it.
    pub(super) fn store_of(&self, by: By) -> Arc<dyn Store> {
        let up = match by {
            By::Process(at) => self.processes[at].up.as_ref(),
            By::Command => None,
        };
        up.map_or_else(|| Arc::clone(&self.command.store), |up| Arc::clone(&up.node.store))
    }

    fn run<T>(&self, by: By, work: impl FnOnce(&IssueContext<'_>) -> Result<T, ActionError>) -> Result<T, ActionError> {
        self.clock_of(by);
        let (actor, now) = (Actor::certificate(self.name(by), None), clock::now());
        let up = match by {
            By::Process(at) => self.processes[at].up.as_ref(),
            By::Command => None,
        };
        let Some(up) = up else {
            let command = &self.command;
            let state = (&command.issuer, &command.deployment.config, Some(&*command.peppers));
            return work(&IssueContext::new(state, &*command.store, &actor, now));
        };
        let snapshot = arc_swap::Guard::into_inner(up.node.snapshot());
        work(&snapshot.issue_context(&*up.node.store, &actor, now))
    }

    /// The records of the audit that are new. There is no gap before them, and none between.
    pub(super) fn read_audit(&mut self) -> Result<Vec<AuditEntry>, Broken> {
        let records =
            self.command.store.audit_after(self.audit, 1_000).map_err(|error| format!("the audit: {error}"))?;
        for entry in &records {
            if entry.seq != self.audit + 1 {
                return Err(format!("the audit goes on from {} with {}", self.audit, entry.seq));
            }
            self.audit = entry.seq;
        }
        Ok(records)
    }

    /// Plans what may go wrong for `by`: a fault of its store, or another process that acts meanwhile.
    pub(super) fn disturb(&mut self, by: By, target: Option<usize>) -> Guest {
        let guest = Guest::default();
        let By::Process(at) = by else { return guest };
        if self.quiet {
            return guest;
        }
        let calls = self.random.below(5);
        if self.random.chance(8) {
            let fault = Fault { written: self.random.chance(50), dies: self.random.chance(15) };
            self.tell(format!("    the store of {} fails after {calls} calls: {fault:?}", self.processes[at].name));
            self.processes[at].faults.plan(calls, fault);
        } else if self.random.chance(10) {
            self.invite(at, calls, target, &guest);
        }
        guest
    }

    /// The model hears of what another process did, and nothing more goes wrong.
    pub(super) fn take_in(&mut self, guest: &Guest) {
        self.processes.iter().for_each(|process| process.faults.calm());
        let effects = self.leave(guest);
        effects.into_iter().for_each(|effect| self.model.apply(effect));
        self.see();
    }

    pub(super) fn leave(&mut self, guest: &Guest) -> Vec<Effect> {
        let effects = std::mem::take(&mut *guest.lock().unwrap_or_else(PoisonError::into_inner));
        self.visited |= !effects.is_empty();
        effects
    }

    /// Another process is to act before one of the calls.
    fn invite(&mut self, at: usize, calls: usize, target: Option<usize>, guest: &Guest) {
        let Some(key) = target.or_else(|| self.any_key()) else { return };
        self.touched.insert(key);
        let (id, app, realm) = (self.model.keys[key].id, self.model.keys[key].app, self.model.keys[key].id.realm());
        let (kind, grace) = (self.random.below(6), self.random.pick(&[0, 1, 3_600]));
        let (store, config) = (Arc::clone(&self.command.store), self.command.deployment.config.clone());
        let (peppers, seal, guest) = (Arc::clone(&self.command.peppers), self.seal_of(key), Arc::clone(guest));
        self.tell(format!(
            "    before call {calls} of {} another one does {kind} to #{key}, grace {grace} s",
            self.processes[at].name
        ));
        let act = move || {
            let (actor, now) = (Actor::certificate(INTRUDER, None), clock::now());
            let context = RevokeContext { store: &*store, fleet: &config.fleet, actor: &actor, now, reason: None };
            let effect = match kind {
                0 => context.revoke(id, "api_key.revoke").ok().map(|_| Effect::Revoked(key)),
                1 => context.suspend(id).ok().map(|_| Effect::Suspended(key, true)),
                2 => context.resume(id).ok().map(|_| Effect::Suspended(key, false)),
                3 => rule(&context, app, realm),
                _ => {
                    let how = RerollSecret { grace: Some(format!("{grace}s")) };
                    let rerolled = how.apply(id, &*store, (&config, Some(&peppers)), &actor, now).ok();
                    rerolled.map(|new| Effect::NewText {
                        key,
                        now: now.as_second(),
                        old_until: now.as_second() + grace,
                        text: format!("{seal}{}", new.ending.expose_secret()),
                    })
                }
            };
            guest.lock().unwrap_or_else(PoisonError::into_inner).extend(effect);
        };
        self.processes[at].faults.intrude(calls, Box::new(act));
    }

    /// Any key that was issued or imported.
    pub(super) fn any_key(&mut self) -> Option<usize> {
        let count = self.model.keys.len();
        // The youngest more often: most happens to them.
        let from = if self.random.chance(50) { count.saturating_sub(4) } else { 0 };
        (count > 0).then(|| from + self.random.below(count - from))
    }

    /// What of a key's text stays when it gets another secret half.
    pub(super) fn seal_of(&self, key: usize) -> String {
        let text = self.model.keys[key].texts.iter().find(|text| !text.text.is_empty());
        text.and_then(|text| text.text.get(..text.text.len().saturating_sub(51))).unwrap_or_default().to_owned()
    }
}

fn rule(context: &RevokeContext<'_>, app: Uuid, realm: Realm) -> Option<Effect> {
    let before = Timestamp::from_second(context.now.as_second()).ok();
    let ruled = context.revoke_app(app, Some(realm), before).ok()?;
    Some(Effect::Ruled { app: Some(app), realm: Some(realm), before: ruled.issued_before.as_second() })
}
