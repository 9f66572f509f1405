//! The settings of a gate: one file, in the tables of an edge's `bulla.toml`, so that what `bulla edge init` writes
//! works as it is.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::SpanRelativeTo;
use serde::{Deserialize, Deserializer, de::Error};
use toml::Spanned;

use super::{
    GateError, Mistake,
    mistake::{field_with_key, line_behind},
    process_name,
};
use crate::{
    feed::VerifyingKey,
    keyring_id::KeyringId,
    layer::CredentialRules,
    realm::Realm,
    source::{HandedFiles, SourceUri, read_regular_file},
};

/// More than any settings have.
const MAX_SETTINGS: u64 = 1 << 20;

/// The settings of a [`Gate`](super::Gate).
///
/// ```
/// # use bulla::gateway::Settings;
/// let settings = Settings::parse(
///     r#"
///     [follow]
///     sources = ["https://bulla.example:8181"]
///     keyring_id = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
///     public_key = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
///     api_key = "feed-api.key"
///     key = "edge.key"
///     exports = "exports"
///     [verify]
///     default_realms = ["live"]
///     [realms.live]
///     "#,
///     "/etc/bulla".as_ref(),
/// )?;
/// # Ok::<(), bulla::gateway::GateError>(())
/// ```
#[derive(Clone)]
pub struct Settings {
    pub(super) folder: PathBuf,
    pub(super) files: HandedFiles,
    pub(super) follow: Option<Follow>,
    pub(super) keyring: Option<KeyringTable>,
    /// Each realm, whether its keys need a secret half, and where they are read from if that is not the usual.
    pub(super) realms: Vec<RealmSettings>,
    pub(super) default_realms: Vec<Realm>,
}

#[derive(Clone)]
pub(super) struct RealmSettings {
    pub(super) realm: Realm,
    pub(super) requires_secret: bool,
    pub(super) rules: Option<CredentialRules>,
}

/// Other tables are an edge's, or a node's.
#[derive(Deserialize)]
struct Document {
    revocations: Option<String>,
    follow: Option<Follow>,
    keyring: Option<KeyringTable>,
    #[serde(default)]
    verify: VerifyTable,
    #[serde(default)]
    realms: BTreeMap<Spanned<String>, RealmTable>,
}

#[derive(Default, Deserialize)]
struct VerifyTable {
    #[serde(default)]
    default_realms: Vec<Spanned<String>>,
}

/// The other settings of a realm say how its keys are issued.
#[derive(Deserialize)]
struct RealmTable {
    secret: Option<String>,
    headers: Option<Vec<String>>,
}

/// `[keyring]`: the keys come from the keyring itself.
#[derive(Clone, Deserialize)]
pub(super) struct KeyringTable {
    pub(super) source: SourceUri,
    pub(super) mac_source: SourceUri,
    #[serde(default = "trusted_sources")]
    pub(super) trusted_sources: Vec<String>,
}

/// `[follow]`, with everything that an edge has.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Follow {
    #[serde(default)]
    pub(super) sources: Vec<String>,
    pub(super) keyring_id: KeyringId,
    #[serde(deserialize_with = "public_key")]
    pub(super) public_key: VerifyingKey,
    #[serde(default, deserialize_with = "realm")]
    pub(super) realm: Option<Realm>,
    #[serde(default = "key")]
    pub(super) key: String,
    #[serde(default = "exports")]
    pub(super) exports: String,
    pub(super) state: Option<String>,
    pub(super) api_key: Option<String>,
    pub(super) roots: Option<String>,
    pub(super) client_certificate: Option<String>,
    pub(super) client_key: Option<String>,
    #[serde(default = "max_stale", deserialize_with = "duration")]
    max_stale: Duration,
    #[serde(default)]
    on_stale: OnStale,
    #[serde(default)]
    realms: BTreeMap<Spanned<String>, FollowedRealm>,
    /// What the fleet calls the processes of this gate, with a number behind it.
    name: Option<String>,
    /// Whether they report their place.
    #[serde(default = "yes")]
    pub(super) report: bool,
    /// An edge's own, which a gate has no use for.
    #[serde(default, rename = "ask_secrets")]
    _ask_secrets: bool,
    #[serde(default, rename = "open")]
    _open: bool,
    #[serde(default, rename = "callers")]
    _callers: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OnStale {
    #[default]
    Refuse,
    Serve,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FollowedRealm {
    #[serde(deserialize_with = "some_duration")]
    max_stale: Option<Duration>,
    on_stale: Option<OnStale>,
}

fn trusted_sources() -> Vec<String> {
    vec!["file:".to_owned()]
}

fn key() -> String {
    "edge.key".to_owned()
}

fn exports() -> String {
    "exports".to_owned()
}

fn yes() -> bool {
    true
}

fn max_stale() -> Duration {
    Duration::from_secs(3_600)
}

fn public_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<VerifyingKey, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn realm<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Realm>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(D::Error::custom)
}

fn some_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

/// `90d`, `12h`, `15m`, `30s`; at least a second.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let span = text.parse::<jiff::Span>().and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    let duration = span.ok().and_then(|span| Duration::try_from(span).ok()).filter(|duration| duration.as_secs() > 0);
    duration.ok_or_else(|| {
        D::Error::custom("it must be a length of time of at least a second: write `12h`, `15m` or `30s`")
    })
}

impl Settings {
    /// Reads a file. Relative paths begin at its folder.
    pub fn read(path: &Path) -> Result<Self, GateError> {
        let text =
            read_regular_file(path, MAX_SETTINGS).map_err(|error| GateError::Read { path: path.to_owned(), error })?;
        let text = String::from_utf8(text).map_err(|_| GateError::Settings("the file is not UTF-8".to_owned()))?;
        Settings::parse(&text, path.parent().unwrap_or(Path::new("")))
    }

    /// Reads a text. Relative paths begin at `folder`. An error shows no value: the text may be another one's, and hold
    /// a secret.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, GateError> {
        let mistake = |error| GateError::Settings(Mistake::new(&error, Some(text)).to_string());
        if let Some(field) = field_with_key(&toml::Value::Table(toml::from_str(text).map_err(mistake)?)) {
            return Err(GateError::Settings(format!("{field} holds a key itself: write it to a file, and name that")));
        }
        let document: Document = toml::from_str(text).map_err(mistake)?;
        let line = |of: &Spanned<String>| line_behind(text.get(..of.span().start).unwrap_or_default());
        let wrong = |what: String| Err(GateError::Settings(what));
        match (&document.follow, document.revocations.as_deref()) {
            (Some(_), None) | (None, Some("none")) => {}
            (None, None) => {
                return wrong(
                    "there is no [follow], so revoked keys would be accepted: add it, or write `revocations = \"none\"` at the top \
                     where that is what you want"
                        .to_owned(),
                );
            }
            (Some(_), Some(_)) => {
                return wrong("`revocations` is for settings without [follow]: remove one of the two".to_owned());
            }
            (None, Some(_)) => return wrong("`revocations` can only be \"none\"".to_owned()),
        }
        if document.follow.is_none() && document.keyring.is_none() {
            return wrong("there are no keys: name [keyring], or [follow] with the exports of an edge".to_owned());
        }
        let mut realms = Vec::new();
        for (name, table) in &document.realms {
            let realm = match name.get_ref().parse::<Realm>() {
                Ok(realm) => realm,
                Err(error) => return wrong(format!("line {}: this [realms.NAME] names no realm: {error}", line(name))),
            };
            if realm == Realm::ADMIN {
                return wrong("[realms.bulla] is for administrators, whose keys no gate accepts: remove it".to_owned());
            }
            let rules = table.headers.as_deref().map(rules).transpose();
            let rules = match rules {
                Ok(rules) => rules,
                Err(error) => return wrong(format!("realms.{realm}.headers: {error}")),
            };
            realms.push(RealmSettings { realm, requires_secret: table.secret.as_deref() == Some("required"), rules });
        }
        if realms.is_empty() {
            return wrong("there is no [realms.NAME]: name the realms whose keys this gate verifies".to_owned());
        }
        let known = |name: &str| realms.iter().find(|one| one.realm.as_str() == name).map(|one| one.realm);
        let mut default_realms = Vec::new();
        for name in &document.verify.default_realms {
            let Some(realm) = known(name.get_ref()) else {
                let line = line(name);
                return wrong(format!(
                    "line {line}: verify.default_realms names a realm for which there is no [realms.NAME]: add that table"
                ));
            };
            default_realms.push(realm);
        }
        if let Some(follow) = &document.follow {
            if let Some(name) = follow.realms.keys().find(|name| known(name.get_ref()).is_none()) {
                let line = line(name);
                return wrong(format!(
                    "line {line}: follow.realms names a realm for which there is no [realms.NAME]: add that table"
                ));
            }
            if follow.client_certificate.is_some() != follow.client_key.is_some() {
                return wrong("follow.client_certificate and follow.client_key belong together: set both".to_owned());
            }
            if follow.name.as_deref().is_some_and(|name| !process_name::is_good(name)) {
                return wrong(process_name::WRONG.to_owned());
            }
        }
        let Document { follow, keyring, .. } = document;
        Ok(Settings {
            folder: folder.to_owned(),
            files: HandedFiles::default(),
            follow,
            keyring,
            realms,
            default_realms,
        })
    }

    /// Takes these bytes for the settings' file `name` instead of the disk's, for a process that cannot read it. The
    /// name is the path as the settings have it.
    #[must_use]
    pub fn handing(mut self, name: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.files.add(name.into(), content.into());
        self
    }

    pub(super) fn realms(&self) -> impl Iterator<Item = Realm> + '_ {
        self.realms.iter().map(|one| one.realm)
    }

    /// Where the keys of these realms are read from: in the headers of any of them.
    pub(super) fn rules(&self, realms: &[Realm]) -> CredentialRules {
        let own = |realm: &Realm| self.realms.iter().find(|one| one.realm == *realm)?.rules.as_ref();
        let mut all = CredentialRules::none();
        realms.iter().for_each(|realm| all.merge(own(realm).unwrap_or(CredentialRules::usual())));
        if all == *CredentialRules::usual() { CredentialRules::usual().clone() } else { all }
    }

    /// What the fleet calls the processes of this gate.
    pub(super) fn process_name(&self, follow: &Follow) -> String {
        follow.name.clone().unwrap_or_else(|| process_name::default_name(&self.folder))
    }

    /// How many seconds after the newest message each realm's keys are accepted.
    pub(super) fn staleness(&self, follow: &Follow) -> Arc<[(Realm, u64)]> {
        let of = |realm: Realm| {
            let own = follow.realms.get(realm.as_str()).copied().unwrap_or_default();
            let limit = own.max_stale.unwrap_or(follow.max_stale).as_secs();
            match own.on_stale.unwrap_or(follow.on_stale) {
                OnStale::Refuse => limit,
                OnStale::Serve => u64::MAX,
            }
        };
        self.realms().map(|realm| (realm, of(realm))).collect()
    }
}

fn rules(parts: &[String]) -> Result<CredentialRules, String> {
    let mut rules = CredentialRules::none();
    for (at, part) in parts.iter().enumerate() {
        let (name, value) = part.split_once(':').unwrap_or((part, ""));
        rules.add(name, value).map_err(|error| format!("part {} {error}", at + 1))?;
    }
    if parts.is_empty() { Err("it must name a header; leave it out for the usual ones".to_owned()) } else { Ok(rules) }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Settings");
        shown.field("folder", &self.folder).field("realms", &self.realms().collect::<Vec<_>>()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGE: &str = "[follow]
keyring_id = 'a0a1a2a3a4a5a6a7a8a9aaabacadaeaf'
public_key = 'A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg='
sources = ['https://bulla.example:8181']
[realms.live]
";

    fn parse(text: &str) -> Result<Settings, String> {
        Settings::parse(text, "/etc/bulla".as_ref()).map_err(|error| error.to_string())
    }

    #[test]
    fn an_edge_s_configuration_is_a_gate_s() {
        let text = format!(
            "{EDGE}allow_forever = true\n[realms.test]\nsecret = 'required'\nheaders = ['from:x-key']\n[follow.realms.test]\n\
             on_stale = 'serve'\n[follow.callers]\na = 'sha256:00'\n[verify]\ndefault_realms = ['test']\n[data]\nlisten = '127.0.0.1:1'\n"
        );
        let settings = parse(&text).expect("settings");
        let [live, test] = ["live", "test"].map(|name| name.parse::<Realm>().expect("a realm"));
        assert_eq!(settings.default_realms, [test]);
        assert_eq!(settings.realms.iter().map(|one| one.requires_secret).collect::<Vec<_>>(), [false, true]);
        let follow = settings.follow.as_ref().expect("follows");
        assert_eq!(*settings.staleness(follow), [(live, 3_600), (test, u64::MAX)]);
        assert_eq!((follow.key.as_str(), follow.exports.as_str()), ("edge.key", "exports"));
        assert_eq!(settings.rules(&[live]), *CredentialRules::usual());
        assert_eq!(settings.rules(&[test]).headers().collect::<Vec<_>>(), ["x-key"]);
    }

    #[test]
    fn what_contradicts_itself_or_would_accept_revoked_keys_is_refused() {
        for (text, told) in [
            (String::new(), "revoked keys would be accepted"),
            ("revocations = 'all'".to_owned(), "can only be"),
            ("revocations = 'none'\n[realms.live]".to_owned(), "there are no keys"),
            (format!("revocations = 'none'\n{EDGE}"), "remove one of the two"),
            (EDGE.replace("[realms.live]", ""), "no [realms.NAME]"),
            (EDGE.replace("live", "bulla"), "for administrators"),
            (format!("{EDGE}headers = ['x-key']"), "realms.live.headers: part 1 is neither"),
            (format!("{EDGE}[verify]\ndefault_realms = ['other']"), "line 7: verify.default_realms"),
            (format!("{EDGE}[follow.realms.other]"), "line 6: follow.realms"),
            (format!("{EDGE}[realms.Other]"), "line 6: this [realms.NAME]"),
            (EDGE.replace("sources", "client_key = 'a'\nsources"), "belong together"),
            (EDGE.replace("sources", "name = 'a b'\nsources"), "follow.name must be"),
            (EDGE.replace("sources", "max_stale = '0s'\nsources"), "line 4, column 13: it must be a length of time"),
            (EDGE.replace("sources", "source"), "line 4, column 1: unknown field `source`"),
        ] {
            let error = parse(&text).expect_err(told);
            assert!(error.contains(told), "{told}: {error}");
        }
    }
}
