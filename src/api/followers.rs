//! `POST /v1/followers`: what followers report about themselves, and `POST /v1/followers/uses`.

use bulla::{Realm, feed::LogId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schema;
use crate::{
    clock::LAST_SECOND,
    input::text::{self, TextError},
    store::{FollowerRow, Role},
};

/// Followers in one request.
pub(crate) const MAX_FOLLOWERS: usize = 1_000;
/// Uses in one request.
pub(crate) const MAX_USES: usize = 5_000;
/// Characters of a name.
const MAX_NAME: usize = 128;
/// Characters of another text.
pub(crate) const MAX_TEXT: usize = 200;
/// Characters of what tells a process from others.
const MAX_INSTANCE: usize = 32;
const MAX_FORMATS: usize = 16;
const MAX_FORMAT: usize = 32;
const MAX_VERSIONS: usize = 1_000;
const MAX_REALMS: usize = 1_000;
/// Characters of a message of the feed.
const MAX_SIGNED: usize = bulla::feed::FollowerReport::MAX_SIGNED;
/// As in the feed, so that every JSON reader has exactly the same number.
const MAX_NUMBER: u64 = (1 << 53) - 1;

/// Reports of followers: of one, or those that a relay collected.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FollowerReports {
    #[schema(min_items = 1, max_items = 1_000)]
    pub(crate) followers: Vec<FollowerReport>,
}

/// A follower as it reports itself.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FollowerReport {
    /// Its name, the same after a restart.
    #[schema(value_type = schema::FollowerName)]
    pub(crate) name: String,
    pub(crate) role: FollowerRole,
    /// Where it serves; by default the address that the report comes from.
    #[schema(value_type = Option<schema::ReportText>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<String>,
    /// The version of the program.
    #[schema(value_type = schema::ReportText)]
    pub(crate) version: String,
    /// The formats of the feed that it reads.
    #[schema(value_type = Vec<schema::FeedFormat>, max_items = 16)]
    pub(crate) formats: Vec<String>,
    /// The log that it follows, once it has applied a message.
    #[schema(value_type = Option<schema::LogId>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_id: Option<String>,
    /// The place in that log up to which everything is in force.
    #[schema(value_type = schema::FeedNumber)]
    pub(crate) seq: u64,
    /// When the newest message that it applied was signed, in Unix seconds; 0 before the first.
    #[schema(value_type = schema::FeedTime)]
    pub(crate) this_update: u64,
    /// The serial number of the newest keyring that it knows of.
    #[schema(value_type = schema::FeedNumber)]
    pub(crate) keyring_serial: u64,
    /// The key versions that it opens API keys with.
    #[schema(value_type = Vec<schema::KeyVersion>, max_items = 1_000)]
    pub(crate) versions: Vec<u32>,
    /// The realms that it verifies.
    #[schema(value_type = Vec<schema::Realm>, max_items = 1_000)]
    pub(crate) realms: Vec<String>,
    /// Messages that it refused since it began.
    #[schema(value_type = schema::FeedNumber)]
    pub(crate) refused: u64,
    /// Why it heard nothing last time, where it did not.
    #[schema(value_type = Option<schema::ReportText>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_error: Option<String>,
    /// When it began, in Unix seconds.
    #[schema(value_type = Option<schema::FeedTime>)]
    pub(crate) started_at: Option<u64>,
    /// Its process: a text that it drew when it began. By it two processes under one name are noticed.
    #[schema(value_type = Option<schema::ProcessName>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) instance: Option<String>,
    /// The name that its process reported under until now, and does no more: it is taken out of the list.
    #[schema(value_type = Option<schema::FollowerName>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) former_name: Option<String>,
    /// The newest message that it applied, as it came, where a node's log ends before its place: it proves that the log
    /// was longer.
    #[schema(value_type = Option<schema::SignedMessage>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signed_message: Option<String>,
}

/// What kind of follower reports.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FollowerRole {
    Edge,
    Relay,
    Library,
}

/// How many reports were noted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Noted {
    pub(crate) noted: usize,
}

/// Uses of API keys at followers.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FollowerUses {
    #[schema(min_items = 1, max_items = 5_000)]
    pub(crate) uses: Vec<FollowerUse>,
}

/// Uses of one API key.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FollowerUse {
    #[schema(value_type = schema::ApiKeyId)]
    pub(crate) api_key_id: String,
    /// In Unix seconds.
    #[schema(value_type = schema::KeyTime)]
    pub(crate) last_used_at: u32,
    /// How many since the last report.
    #[schema(value_type = schema::UseCount)]
    pub(crate) count: u32,
}

impl FollowerReport {
    /// The row for the store, reported by `owner` at `now`. An error begins with the field.
    pub(crate) fn row(self, owner: &str, from: Option<String>, now: Timestamp) -> Result<FollowerRow, String> {
        check_name(&self.name)?;
        if let Some(former) = &self.former_name {
            check_name(former).map_err(|error| format!("former_{error}"))?;
        }
        for (field, text) in [("address", self.address.as_deref()), ("version", Some(&*self.version))] {
            check_text(field, text.unwrap_or_default(), text::check_for_record)?;
        }
        check_text("last_error", self.last_error.as_deref().unwrap_or_default(), text::check)?;
        // An error quotes what the follower met. It is no reason to be without the report.
        let last_error = self.last_error.map(|error| match text::check_for_record(&error) {
            Ok(()) => error,
            Err(_) => "not shown, because it holds what may be a piece of an API key: see its log".to_owned(),
        });
        if self.signed_message.as_ref().is_some_and(|message| message.chars().count() > MAX_SIGNED) {
            return Err(format!("signed_message: it must have at most {MAX_SIGNED} characters"));
        }
        let started_at = self.started_at.unwrap_or_default();
        let numbers = [self.seq, self.this_update, self.keyring_serial, self.refused, started_at];
        let fields = ["seq", "this_update", "keyring_serial", "refused", "started_at"];
        if let Some((field, _)) = fields.iter().zip(numbers).find(|(_, number)| *number > MAX_NUMBER) {
            return Err(format!("{field}: it must be at most {MAX_NUMBER}"));
        }
        let times = [("this_update", self.this_update), ("started_at", started_at)];
        if let Some((field, _)) = times.iter().find(|(_, time)| *time > LAST_SECOND) {
            return Err(format!("{field}: it must be a time in Unix seconds, at most {LAST_SECOND}"));
        }
        for (field, count, most) in [
            ("formats", self.formats.len(), MAX_FORMATS),
            ("versions", self.versions.len(), MAX_VERSIONS),
            ("realms", self.realms.len(), MAX_REALMS),
        ] {
            if count > most {
                return Err(format!("{field}: it has {count} entries, and may have {most}"));
            }
        }
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"./_-".contains(&byte);
        if self.formats.iter().any(|one| one.is_empty() || one.len() > MAX_FORMAT || !one.bytes().all(good)) {
            return Err(format!("formats: each is 1 to {MAX_FORMAT} of a-z, 0-9, `.`, `/`, `_` and `-`"));
        }
        let drawn = |text: &String| {
            (1..=MAX_INSTANCE).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if !self.instance.as_ref().is_none_or(drawn) {
            return Err(format!("instance: it must be 1 to {MAX_INSTANCE} of a-z and 0-9"));
        }
        if self.versions.contains(&0) {
            return Err("versions: key versions are numbers from 1".to_owned());
        }
        if self.realms.iter().any(|realm| realm.parse::<Realm>().is_err()) {
            return Err("realms: one is not a realm".to_owned());
        }
        let log_id = self.log_id.map(|id| id.parse::<LogId>()).transpose();
        Ok(FollowerRow {
            role: match self.role {
                FollowerRole::Edge => Role::Edge,
                FollowerRole::Relay => Role::Relay,
                FollowerRole::Library => Role::Library,
            },
            owner: owner.to_owned(),
            address: self.address.or(from),
            log_id: log_id.map_err(|error| format!("log_id: {error}"))?.map(|id| id.to_string()),
            name: self.name,
            version: self.version,
            formats: self.formats,
            seq: self.seq,
            this_update: self.this_update,
            keyring_serial: self.keyring_serial,
            versions: self.versions,
            realms: self.realms,
            refused: self.refused,
            last_error: last_error.filter(|error| !error.is_empty()),
            started_at,
            last_contact: now,
            instance: self.instance,
            doubled_at: 0,
            reported_by: None,
        })
    }
}

/// Checks the name of a node or follower. The error begins with the field, and does not quote the text.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-@".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(good) {
        return Err(format!(
            "name: it must be 1 to {MAX_NAME} of the letters A-Z and a-z, digits, `.`, `_`, `:`, `-` and `@`"
        ));
    }
    text::check_for_record(name).map_err(|error| format!("name: {error}"))
}

fn check_text(field: &str, text: &str, check: fn(&str) -> Result<(), TextError>) -> Result<(), String> {
    if text.chars().count() > MAX_TEXT {
        return Err(format!("{field}: it must have at most {MAX_TEXT} characters"));
    }
    check(text).map_err(|error| format!("{field}: {error}"))
}
