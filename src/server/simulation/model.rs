//! The reference: what ought to be, as a plain list of keys, rules and key versions. Read this file to know what the
//! service promises; everything else in this folder drives the service and compares.
//!
//! Every change has a number. A process has to know what was changed up to the number at which it last read the log,
//! and may know more.

use std::collections::{BTreeMap, BTreeSet};

use bulla::{ApiKeyId, Realm};
use uuid::Uuid;

use crate::store::State;

/// How long the revocation of a key that has expired is kept, in seconds.
const KEPT: i64 = 86_400;

/// How far ahead of a verifier's clock an issuer's may be, in seconds.
const CLOCK_DIFFERENCE: i64 = 300;

#[derive(Default)]
pub(super) struct Model {
    pub(super) keys: Vec<Key>,
    pub(super) rules: Vec<Rule>,
    /// The state of version 1, 2, 3 …
    pub(super) versions: Vec<bulla::keyring::VersionState>,
    /// The number of the last change.
    pub(super) changes: u64,
    /// The latest time that any clock showed.
    pub(super) latest: i64,
    /// The right time.
    pub(super) right: i64,
}

pub(super) struct Key {
    pub(super) id: ApiKeyId,
    pub(super) app: Uuid,
    pub(super) issued_at: i64,
    pub(super) expires_at: Option<i64>,
    /// The texts that it ever had, one for each secret half, the newest last.
    pub(super) texts: Vec<Text>,
    pub(super) revoked: Option<End>,
    pub(super) suspended: bool,
    /// The change that suspended or resumed it.
    pub(super) suspended_since: u64,
    /// The change that made it.
    pub(super) since: u64,
    /// The change that corrected its row last; 0 for none.
    pub(super) corrected: u64,
    /// The earliest expiry that it ever had: who has not read the log since may have forgotten why it ended.
    pub(super) earliest_expiry: Option<i64>,
}

pub(super) struct Text {
    pub(super) text: String,
    pub(super) end: Option<End>,
}

/// That something ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// When, by the clock of the process that looks; at once and for good where there is no time.
    pub(super) at: Option<i64>,
    pub(super) since: u64,
    /// Some process's clock has been there. It may have ended for all, or may not, where clocks were set back.
    pub(super) passed: bool,
}

/// Everything that was issued before some time is revoked.
pub(super) struct Rule {
    pub(super) app: Option<Uuid>,
    pub(super) realm: Option<Realm>,
    pub(super) before: i64,
    pub(super) since: u64,
}

/// What one process has to know.
#[derive(Clone, Default)]
pub(super) struct View {
    /// The last change before it read the log.
    pub(super) log: u64,
    /// The same for imported keys.
    pub(super) imported: u64,
    /// The key versions in its keyring, and whether each opens.
    pub(super) opens: BTreeMap<u32, bool>,
    /// Keys whose grace period was over when it read the log: it does not accept them again while it lives.
    pub(super) fallen: BTreeSet<usize>,
}

/// How a key is to be judged, the stricter the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    Accepted,
    /// Nothing is promised: what decides it is not known to the process yet, or clocks were set back.
    Either,
    Refused,
}

use Verdict::{Accepted, Either, Refused};

/// What is done to the model.
pub(super) enum Effect {
    New(Key),
    Revoked(usize),
    RevokedAt(usize, i64),
    Suspended(usize, bool),
    /// The row of an imported key was corrected.
    Corrected {
        key: usize,
        app: Uuid,
        issued_at: i64,
        expires_at: Option<i64>,
    },
    /// A new secret half; the text is empty where the answer was lost.
    NewText {
        key: usize,
        now: i64,
        old_until: i64,
        text: String,
    },
    Ruled {
        app: Option<Uuid>,
        realm: Option<Realm>,
        before: i64,
    },
}

impl Model {
    pub(super) fn apply(&mut self, effect: Effect) {
        self.changes += 1;
        let since = self.changes;
        match effect {
            Effect::New(key) => self.keys.push(Key { since, ..key }),
            Effect::Revoked(key) => {
                // For good is not revoked again.
                let known = self.keys[key].revoked.filter(|end| end.at.is_none());
                self.keys[key].revoked = known.or(Some(End { at: None, since, passed: true }));
            }
            Effect::RevokedAt(key, at) => {
                self.keys[key].revoked = Some(End { at: Some(at), since, passed: false });
            }
            Effect::Suspended(key, suspended) => {
                (self.keys[key].suspended, self.keys[key].suspended_since) = (suspended, since);
            }
            Effect::NewText { key, now, old_until, text } => {
                let texts = &mut self.keys[key].texts;
                let mut newest = true;
                for old in texts.iter_mut().rev() {
                    let alive = old.end.is_none_or(|end| end.at.is_some_and(|at| at > now));
                    // The newest of those that are good goes on until its time; no other does.
                    let at = (newest && alive && old_until > now)
                        .then(|| old.end.and_then(|end| end.at).map_or(old_until, |at| at.min(old_until)));
                    let passed = old.end.is_some_and(|end| end.passed);
                    if old.end.is_none_or(|end| end.at.is_some()) {
                        old.end = Some(End { at, since, passed });
                    }
                    newest &= !alive;
                }
                texts.push(Text { text, end: None });
            }
            Effect::Corrected { key, app, issued_at, expires_at } => {
                let was_ruled = self.ruled(&self.keys[key]).next().is_some();
                let one = &mut self.keys[key];
                (one.app, one.issued_at, one.expires_at, one.corrected) = (app, issued_at, expires_at, since);
                one.earliest_expiry = one.earliest_expiry.into_iter().chain(expires_at).min();
                // What a rule ended stays ended.
                if was_ruled && self.ruled(&self.keys[key]).next().is_none() {
                    let known = self.keys[key].revoked.filter(|end| end.at.is_none());
                    self.keys[key].revoked = known.or(Some(End { at: None, since, passed: true }));
                }
            }
            Effect::Ruled { app, realm, before } => self.rules.push(Rule { app, realm, before, since }),
        }
    }

    /// Some process's clock shows this time.
    pub(super) fn see(&mut self, now: i64) {
        self.latest = self.latest.max(now);
        let ends = self
            .keys
            .iter_mut()
            .flat_map(|key| key.texts.iter_mut().map(|text| &mut text.end).chain([&mut key.revoked]));
        for end in ends.flatten() {
            end.passed |= end.at.is_none_or(|at| at <= now);
        }
    }

    /// A process has read the log at `now`, and before it the change `change` was made.
    pub(super) fn read_log(&self, view: &mut View, change: u64, now: i64) {
        view.log = view.log.max(change);
        let over =
            |key: &Key| key.revoked.is_some_and(|end| end.since <= view.log && end.at.is_some_and(|at| at <= now));
        let over: Vec<usize> = self.keys.iter().enumerate().filter(|(_, key)| over(key)).map(|(at, _)| at).collect();
        view.fallen.extend(over);
    }

    /// How a process has to judge one text of a key, and for what.
    pub(super) fn verdict(&self, key: usize, text: usize, view: &View, now: i64) -> (Verdict, &'static str) {
        let one = &self.keys[key];
        let imported = one.id.version() == 0;
        let version = match view.opens.get(&one.id.version()) {
            _ if imported && view.imported < one.since.max(one.corrected) => Either,
            _ if imported => Accepted,
            Some(true) => Accepted,
            _ => Refused,
        };
        let early = !imported && one.issued_at > now + CLOCK_DIFFERENCE;
        // A process that has not read a corrected row judges by the old one.
        let old_row = view.imported < one.corrected;
        let expired = one.expires_at.is_some_and(|at| at <= now) && !old_row;
        let suspended = match one.suspended_since <= view.log {
            false => Either,
            true if one.suspended => Refused,
            true => Accepted,
        };
        let known = |rule: &Rule| rule.since <= view.log && !old_row;
        let ruled = self.ruled(one).map(|rule| if known(rule) { Refused } else { Either }).max();
        // A clock that is set back shows a key as good whose end has truly come. What revoked it is forgotten then.
        let expiry = if view.log < one.corrected { one.earliest_expiry } else { one.expires_at };
        let forgotten = expiry.is_some_and(|at| at + KEPT <= self.right);
        let kept = |verdict| if forgotten && verdict == Refused { Either } else { verdict };
        let all = [
            (version, "its key version"),
            (if early { Refused } else { Accepted }, "its time of issue"),
            (if expired { Refused } else { Accepted }, "its expiry"),
            (kept(revoked(one.revoked, view, view.fallen.contains(&key))), "its revocation"),
            (kept(suspended), "its suspension"),
            (ruled.unwrap_or(Accepted), "a rule"),
            (ended(one.texts[text].end, view, now), "the end of its secret half"),
        ];
        all.into_iter().max_by_key(|(verdict, _)| *verdict).unwrap_or((Accepted, ""))
    }

    /// What the ledger may say of a key at `now`.
    pub(super) fn states(&self, key: usize, now: i64) -> Vec<State> {
        let one = &self.keys[key];
        let version = one.id.version().checked_sub(1).and_then(|at| self.versions.get(at as usize));
        if version == Some(&bulla::keyring::VersionState::Destroyed)
            || one.expires_at.is_some_and(|at| at <= self.latest)
        {
            // Nothing accepts it any more, and sweeping may have dropped why. A clock that is set back then shows less.
            return vec![State::Revoked, State::Expired, State::Suspended, State::Active];
        }
        let otherwise = match one.expires_at {
            Some(at) if at <= now => State::Expired,
            _ if one.suspended => State::Suspended,
            _ => State::Active,
        };
        let for_good = one.revoked.is_some_and(|end| end.at.is_none_or(|at| at <= now));
        if for_good || self.ruled(one).next().is_some() {
            return vec![State::Revoked];
        }
        let may_be = one.revoked.filter(|end| end.passed).map(|_| State::Revoked);
        may_be.into_iter().chain([otherwise]).collect()
    }

    fn ruled<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = &'a Rule> {
        self.rules.iter().filter(|rule| {
            let concerned =
                rule.app.is_none_or(|app| app == key.app) && rule.realm.is_none_or(|realm| realm == key.id.realm());
            concerned && key.issued_at < rule.before
        })
    }
}

fn revoked(end: Option<End>, view: &View, fallen: bool) -> Verdict {
    match end {
        None => Accepted,
        Some(_) if fallen => Refused,
        Some(End { at: None, since, .. }) => {
            if since <= view.log {
                Refused
            } else {
                Either
            }
        }
        Some(End { passed: true, .. }) => Either,
        Some(_) => Accepted,
    }
}

fn ended(end: Option<End>, view: &View, now: i64) -> Verdict {
    match end {
        None => Accepted,
        // It may be remembered as right.
        Some(End { since, .. }) if since > view.log => Either,
        Some(End { at: None, .. }) => Refused,
        Some(End { at: Some(at), .. }) if at <= now => Refused,
        Some(End { passed: true, .. }) => Either,
        Some(_) => Accepted,
    }
}
