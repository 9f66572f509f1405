//! Where a command works: on the store and keyring that the configuration names, or on a server. A command does not
//! know which of them it uses, so it prints the same for both.

mod found;
mod local;
mod remote;

use std::time::Duration;

use bulla::{
    ApiKeyId, Realm,
    keyring::{KeyVersion, Recipient},
};
use jiff::Timestamp;
use uuid::Uuid;

pub(super) use self::{found::Found, local::Local, remote::Remote};
use super::{ConfigArgument, Failure, client::ServerArgument};
use crate::api::{
    audit::AuditPage,
    fleet::{Fleet, FollowersQuery, Forgotten, ForgottenApp},
    issue::{IssuedApiKey, NewApiKey},
    keyring::{Activate, ActiveKeys, Changed, Compromise, KeyringView, Stage},
    ledger::{ApiKeyPage, ApiKeyView, LedgerQuery},
    reroll::{Reroll, RerollSecret, Rerolled, RerolledSecret},
    reveal::{Escrowed, Reveal},
    revoke::{RevocationRule, RevokeOutcome},
};

/// One method for each operation of an administrator.
pub(super) trait Backend {
    /// The keys that a text is, at least one.
    fn ids_of(&self, text: &str) -> Result<Found, Failure>;
    /// The same of a key that is to end. One that only an old system knows goes on record first.
    fn ids_to_end(&self, text: &str) -> Result<Found, Failure> {
        self.ids_of(text)
    }
    /// The id of a key that has only one.
    fn id_of(&self, text: &str) -> Result<ApiKeyId, Failure> {
        self.ids_of(text)?.only()
    }

    fn issue(&self, new: NewApiKey) -> Result<IssuedApiKey, Failure>;
    fn list(&self, query: &LedgerQuery) -> Result<ApiKeyPage, Failure>;
    fn show(&self, id: ApiKeyId) -> Result<ApiKeyView, Failure>;
    /// Suspends one key under all of its ids; with `wait` it waits for the fleet, and so do the others that take one.
    fn suspend(
        &self,
        ids: &[ApiKeyId],
        reason: Option<String>,
        wait: Option<Duration>,
    ) -> Result<RevokeOutcome, Failure>;
    fn resume(&self, id: ApiKeyId, reason: Option<String>, wait: Option<Duration>) -> Result<RevokeOutcome, Failure>;
    /// Revokes one key under all of its ids.
    fn revoke(
        &self,
        ids: &[ApiKeyId],
        reason: Option<String>,
        wait: Option<Duration>,
    ) -> Result<RevokeOutcome, Failure>;
    /// Counts the active keys that `revoke_many` would revoke.
    fn count_active(&self, rule: Rule, force: bool) -> Result<ActiveKeys, Failure>;
    /// Revokes many keys; with `force` also for a realm that the configuration does not have.
    fn revoke_many(
        &self,
        rule: Rule,
        force: bool,
        reason: Option<String>,
        wait: Option<Duration>,
    ) -> Result<RevocationRule, Failure>;
    fn reroll(&self, id: ApiKeyId, how: &Reroll, wait: Option<Duration>) -> Result<Rerolled, Failure>;
    fn reroll_secret(&self, id: ApiKeyId, how: &RerollSecret) -> Result<RerolledSecret, Failure>;
    #[cfg_attr(not(feature = "escrow"), expect(dead_code, reason = "only `bulla reveal` asks for it"))]
    fn reveal(&self, id: ApiKeyId, why: &Reveal) -> Result<Escrowed, Failure>;

    /// A page of the nodes and followers.
    fn fleet(&self, query: &FollowersQuery) -> Result<Fleet, Failure>;
    fn forget_follower(&self, name: &str) -> Result<Forgotten, Failure>;
    fn forget_followers_of(&self, app_id: Uuid) -> Result<ForgottenApp, Failure>;

    fn audit(&self, after: u64, limit: u32) -> Result<AuditPage, Failure>;

    fn keyring(&self) -> Result<KeyringView, Failure>;
    /// The same, with the number of active API keys of each version.
    fn counted_keyring(&self) -> Result<KeyringView, Failure>;
    fn stage(&self, stage: Stage) -> Result<Changed, Failure>;
    fn activate(&self, version: KeyVersion, how: Activate) -> Result<Changed, Failure>;
    fn compromise(&self, version: KeyVersion, how: Compromise, wait: Option<Duration>) -> Result<Changed, Failure>;
    fn destroy(&self, version: KeyVersion, wait: Option<Duration>) -> Result<Changed, Failure>;
    /// A realm's keys, sealed to an edge: the text of a file.
    fn export(&self, realm: Realm, to: &Recipient) -> Result<String, Failure>;
}

/// Which keys to revoke together: all that were issued before a time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// Of this app, in one realm or in all; until now where no time is given.
    App { app_id: Uuid, realm: Option<Realm>, before: Option<Timestamp> },
    /// Of this realm.
    Realm { realm: Realm, before: Timestamp },
}

impl Rule {
    fn realm(self) -> Option<Realm> {
        match self {
            Rule::App { realm, .. } => realm,
            Rule::Realm { realm, .. } => Some(realm),
        }
    }
}

/// The server that `--server` names; without it, what the configuration names.
pub(super) fn open(config: &ConfigArgument, server: &ServerArgument) -> Result<Box<dyn Backend>, Failure> {
    Ok(match server.admin()? {
        Some(client) => Box::new(Remote::new(client)),
        None => Box::new(Local::open(config)?),
    })
}

/// The id in a text that is an id, or a whole key of bulla's own.
fn id_in(text: &str) -> Option<ApiKeyId> {
    text.parse::<bulla::ApiKey>().map(|key| key.id()).or_else(|_| text.parse()).ok()
}

/// The error does not repeat the text, which may be a key with a typing error.
fn no_id() -> Failure {
    Failure::Usage("that is neither an API-key id (a realm, `_`, 22 characters) nor an API key".to_owned())
}
