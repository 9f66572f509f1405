//! What happens to keys: issued, rerolled, and with another secret half.

use std::fmt;

use bulla::{ApiKeyId, Realm};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::{
    acting::By,
    model::{Effect, Key, Text},
    world::{Broken, World},
};
use crate::{
    action::{ActionError, issue::IssueContext},
    api::{
        issue::{IssuedApiKey, NewApiKey},
        reroll::{Reroll, RerollSecret, Rerolled},
    },
};

pub(super) const APPS: [u128; 3] = [1, 2, 3];
/// Lifetimes that are asked for, absurd ones among them.
const LIVES: [&str; 9] = ["never", "never", "never", "60s", "1h", "1d", "30d", "400d", "50000d"];
/// Grace periods in seconds, absurd ones among them.
const GRACES: [i64; 10] = [0, 0, 1, 30, 3_600, 86_400, 400 * 86_400, 36_500 * 86_400, 1 << 36, i64::MAX];

pub(super) fn realms() -> [Realm; 2] {
    ["live", "safe"].map(|name| name.parse().expect("should be a realm"))
}

impl World {
    pub(super) fn issue(&mut self) -> Result<(), Broken> {
        let (by, realm, app) = (self.somebody(), self.random.pick(&realms()), self.random.pick(&APPS));
        let (life, secret) = (self.random.pick(&LIVES), self.random.chance(60));
        self.issue_one(by, realm, app, life, secret)
    }

    pub(super) fn issue_one(
        &mut self,
        by: By,
        realm: Realm,
        app: u128,
        life: &str,
        secret: bool,
    ) -> Result<(), Broken> {
        let what = format!("issues for {app} in {realm}, living {life}, secret {secret}");
        let app = Uuid::from_u128(app);
        let new = NewApiKey { expires_in: Some(life.to_owned()), secret, ..NewApiKey::plain(realm, app) };
        let effects = |_: &World, issued: Option<&_>, _: &[_]| issued.map(key).into_iter().collect();
        let answer = self.act(by, None, what, |issuing| issuing.one(new), effects)?;
        self.told_new("a key is issued", &answer);
        Ok(())
    }

    pub(super) fn reroll(&mut self) -> Result<(), Broken> {
        let Some(old) = self.any_key() else { return Ok(()) };
        let (by, grace) = (self.somebody(), self.random.pick(&GRACES));
        self.reroll_one(by, old, grace)
    }

    pub(super) fn reroll_one(&mut self, by: By, old: usize, grace: i64) -> Result<(), Broken> {
        let id = self.model.keys[old].id;
        let how = Reroll { grace: Some(format!("{grace}s")), ..Reroll::default() };
        let at = self.clock_of(by).saturating_add(grace);
        let effects = |_: &World, rerolled: Option<&Rerolled>, _: &[_]| {
            let ends = if grace == 0 { Effect::Revoked(old) } else { Effect::RevokedAt(old, at) };
            rerolled.map(|rerolled| key(&rerolled.issued)).into_iter().chain([ends]).collect()
        };
        let what = format!("rerolls #{old}, grace {grace} s");
        let answer = self.act(by, Some(old), what, |issuing| how.apply(id, issuing), effects)?;
        self.told_new("a key is rerolled", &answer);
        Ok(())
    }

    pub(super) fn reroll_secret(&mut self) -> Result<(), Broken> {
        let Some(key) = self.any_key() else { return Ok(()) };
        let (by, grace) = (self.somebody(), self.random.pick(&GRACES));
        self.reroll_secret_of(by, key, grace)
    }

    pub(super) fn reroll_secret_of(&mut self, by: By, key: usize, grace: i64) -> Result<(), Broken> {
        let id = self.model.keys[key].id;
        let how = RerollSecret { grace: Some(format!("{grace}s")) };
        let now = self.clock_of(by);
        let work =
            |with: &IssueContext<'_>| how.apply(id, with.store, (with.config, with.peppers), with.actor, with.now);
        let what = format!("rerolls the secret half of #{key}, grace {grace} s");
        let answer = self.act(by, Some(key), what, work, |world, rerolled, _| {
            let text =
                rerolled.map(|new| format!("{}{}", world.seal_of(key), new.ending.expose_secret())).unwrap_or_default();
            vec![Effect::NewText { key, now, old_until: now.saturating_add(grace), text }]
        })?;
        self.told("a secret half is rerolled", &answer.map(drop));
        Ok(())
    }

    /// Tells that there is a new key, the last of the model's.
    pub(super) fn told_new<T>(&mut self, what: &'static str, answer: &Result<T, ActionError>) {
        let newest = self.model.keys.len().saturating_sub(1);
        self.touched.extend(answer.as_ref().ok().map(|_| newest));
        match answer {
            Ok(_) => {
                self.saw(what);
                self.tell(format!("    #{newest}"));
            }
            Err(error) => self.tell(format!("    not done: {error}")),
        }
    }

    pub(super) fn told<T: fmt::Debug>(&mut self, what: &'static str, answer: &Result<T, ActionError>) {
        match answer {
            Ok(answer) => {
                self.saw(what);
                self.tell(format!("    {answer:?}"));
            }
            Err(error) => self.tell(format!("    not done: {error}")),
        }
    }
}

/// A key that was issued.
pub(super) fn key(issued: &IssuedApiKey) -> Effect {
    let texts = vec![Text { text: issued.api_key.expose().to_owned(), end: None }];
    let expires_at = issued.expires_at.map(Timestamp::as_second);
    Effect::New(new(issued.api_key.id(), issued.app_id, issued.issued_at.as_second(), expires_at, texts))
}

pub(super) fn new(id: ApiKeyId, app: Uuid, issued_at: i64, expires_at: Option<i64>, texts: Vec<Text>) -> Key {
    Key {
        id,
        app,
        issued_at,
        expires_at,
        texts,
        revoked: None,
        suspended: false,
        suspended_since: 0,
        since: 0,
        corrected: 0,
        earliest_expiry: expires_at,
    }
}
