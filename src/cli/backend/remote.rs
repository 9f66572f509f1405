//! A server, over the endpoints of its admin plane.

use std::time::Duration;

use bulla::{
    ApiKeyId, Realm,
    keyring::{KeyVersion, Recipient},
};
use form_urlencoded::Serializer;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use uuid::Uuid;

use super::{Backend, Found, Rule, id_in, no_id};
use crate::{
    api::{
        audit::AuditPage,
        export::{ExportRequest, Exported},
        fleet::{Fleet, FollowersQuery, Forgotten, ForgottenApp},
        issue::{IssuedApiKey, NewApiKey},
        keyring::{Activate, ActiveKeys, Changed, Compromise, KeyringView, Stage},
        ledger::{ApiKeyPage, ApiKeyView, LedgerQuery},
        reroll::{Reroll, RerollSecret, Rerolled, RerolledSecret},
        reveal::{Escrowed, Reveal},
        revoke::{RevocationRule, RevokeOutcome, RevokeRequest},
    },
    cli::{Failure, client::Client},
};

pub(in crate::cli) struct Remote(Client);

impl Remote {
    pub(in crate::cli) fn new(client: Client) -> Self {
        Remote(client)
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        Ok(self.0.send("GET", path, None)?)
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        let body = serde_json::to_value(body).map_err(std::io::Error::from)?;
        Ok(self.0.send("POST", path, Some(&body))?)
    }

    /// Posts, and waits for the fleet where `wait` says so.
    fn post_and_wait<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        wait: Option<Duration>,
    ) -> Result<T, Failure> {
        let body = serde_json::to_value(body).map_err(std::io::Error::from)?;
        let query = wait.map(|wait| format!("?wait={}ms", wait.as_millis())).unwrap_or_default();
        Ok(self.0.send_and_wait("POST", &format!("{path}{query}"), Some(&body), wait.unwrap_or_default())?)
    }
}

impl Backend for Remote {
    /// Only parses the text. To ask the server about an imported key would send it the key.
    fn ids_of(&self, text: &str) -> Result<Found, Failure> {
        id_in(text).map(Found::one).ok_or_else(no_id)
    }

    fn issue(&self, new: NewApiKey) -> Result<IssuedApiKey, Failure> {
        self.post("/v1/api-keys", &new)
    }

    fn list(&self, query: &LedgerQuery) -> Result<ApiKeyPage, Failure> {
        let mut text = Serializer::new(String::new());
        for (name, value) in [
            ("realm", query.realm.map(|realm| realm.to_string())),
            ("app_id", query.app_id.map(|app_id| app_id.to_string())),
            ("cursor", query.cursor.clone()),
            ("limit", query.limit.map(|limit| limit.to_string())),
        ] {
            if let Some(value) = value {
                text.append_pair(name, &value);
            }
        }
        self.get(&format!("/v1/api-keys?{}", text.finish()))
    }

    fn show(&self, id: ApiKeyId) -> Result<ApiKeyView, Failure> {
        self.get(&format!("/v1/api-keys/{id}"))
    }

    fn suspend(
        &self,
        ids: &[ApiKeyId],
        reason: Option<String>,
        wait: Option<Duration>,
    ) -> Result<RevokeOutcome, Failure> {
        let id = ids.first().ok_or_else(no_id)?;
        self.post_and_wait(&format!("/v1/api-keys/{id}/suspend"), &json!({"reason": reason}), wait)
    }

    fn resume(&self, id: ApiKeyId, reason: Option<String>, wait: Option<Duration>) -> Result<RevokeOutcome, Failure> {
        self.post_and_wait(&format!("/v1/api-keys/{id}/resume"), &json!({"reason": reason}), wait)
    }

    fn revoke(
        &self,
        ids: &[ApiKeyId],
        reason: Option<String>,
        wait: Option<Duration>,
    ) -> Result<RevokeOutcome, Failure> {
        let id = ids.first().ok_or_else(no_id)?;
        let mut query = Serializer::new(String::new());
        query.extend_pairs(reason.map(|reason| ("reason", reason)));
        query.extend_pairs(wait.map(|wait| ("wait", format!("{}ms", wait.as_millis()))));
        let path = format!("/v1/api-keys/{id}?{}", query.finish());
        Ok(self.0.send_and_wait("DELETE", &path, None, wait.unwrap_or_default())?)
    }

    fn count_active(&self, rule: Rule, force: bool) -> Result<ActiveKeys, Failure> {
        self.post("/v1/revocations", &RevokeRequest { dry_run: true, ..request(rule, force) })
    }

    fn revoke_many(
        &self,
        rule: Rule,
        force: bool,
        reason: Option<String>,
        wait: Option<Duration>,
    ) -> Result<RevocationRule, Failure> {
        self.post_and_wait("/v1/revocations", &RevokeRequest { reason, ..request(rule, force) }, wait)
    }

    fn reroll(&self, id: ApiKeyId, how: &Reroll, wait: Option<Duration>) -> Result<Rerolled, Failure> {
        self.post_and_wait(&format!("/v1/api-keys/{id}/reroll"), how, wait)
    }

    fn reroll_secret(&self, id: ApiKeyId, how: &RerollSecret) -> Result<RerolledSecret, Failure> {
        self.post(&format!("/v1/api-keys/{id}/reroll-secret"), how)
    }

    fn reveal(&self, id: ApiKeyId, why: &Reveal) -> Result<Escrowed, Failure> {
        self.post(&format!("/v1/api-keys/{id}/reveal"), why)
    }

    fn fleet(&self, query: &FollowersQuery) -> Result<Fleet, Failure> {
        let mut text = Serializer::new(String::new());
        text.extend_pairs(query.after.as_ref().map(|after| ("after", &after.0)));
        self.get(&format!("/v1/followers?{}", text.finish()))
    }

    fn forget_follower(&self, name: &str) -> Result<Forgotten, Failure> {
        Ok(self.0.send("DELETE", &format!("/v1/followers/{name}"), None)?)
    }

    fn forget_followers_of(&self, app_id: Uuid) -> Result<ForgottenApp, Failure> {
        Ok(self.0.send("DELETE", &format!("/v1/followers?app_id={app_id}"), None)?)
    }

    fn audit(&self, after: u64, limit: u32) -> Result<AuditPage, Failure> {
        self.get(&format!("/v1/audit?after={after}&limit={limit}"))
    }

    fn keyring(&self) -> Result<KeyringView, Failure> {
        self.get("/v1/keyring")
    }

    fn counted_keyring(&self) -> Result<KeyringView, Failure> {
        self.get("/v1/keyring?count=active")
    }

    fn stage(&self, stage: Stage) -> Result<Changed, Failure> {
        self.post("/v1/keyring/versions", &stage)
    }

    fn activate(&self, version: KeyVersion, how: Activate) -> Result<Changed, Failure> {
        self.post(&format!("/v1/keyring/versions/{version}/activate"), &how)
    }

    fn compromise(&self, version: KeyVersion, how: Compromise, wait: Option<Duration>) -> Result<Changed, Failure> {
        self.post_and_wait(&format!("/v1/keyring/versions/{version}/compromise"), &how, wait)
    }

    fn destroy(&self, version: KeyVersion, wait: Option<Duration>) -> Result<Changed, Failure> {
        self.post_and_wait(&format!("/v1/keyring/versions/{version}/destroy"), &json!({}), wait)
    }

    fn export(&self, realm: Realm, to: &Recipient) -> Result<String, Failure> {
        let request = ExportRequest { realm: realm.to_string(), recipient: to.to_string() };
        self.post("/v1/keyring/exports", &request).map(|Exported { export, .. }| export)
    }
}

fn request(rule: Rule, force: bool) -> RevokeRequest {
    let (app_id, issued_before) = match rule {
        Rule::App { app_id, before, .. } => (Some(app_id), before),
        Rule::Realm { before, .. } => (None, Some(before)),
    };
    let realm = rule.realm().map(|realm| realm.to_string());
    RevokeRequest { app_id, realm, issued_before, force, ..RevokeRequest::default() }
}
