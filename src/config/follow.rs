//! `[follow]`: what makes a configuration that of an edge. It verifies by exported keys and a feed, and has neither
//! store nor keyring: `docs/EDGES.md`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use bulla::{Realm, feed::VerifyingKey, keyring::KeyringId};
use serde::{Deserialize, Deserializer, de::Error};

use super::{Config, Span};

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FollowConfig {
    /// Where the messages of the feed come from.
    #[serde(default)]
    pub(crate) sources: Vec<String>,
    /// The keyring that is followed.
    pub(crate) keyring_id: KeyringId,
    /// What signs its feed and its exports.
    #[serde(deserialize_with = "public_key")]
    pub(crate) public_key: VerifyingKey,
    /// The one realm that is followed; without it, every realm.
    #[serde(default, deserialize_with = "realm")]
    pub(crate) realm: Option<Realm>,
    /// The file with the edge's own key.
    #[serde(default = "key")]
    pub(crate) key: PathBuf,
    /// The folder with the exports.
    #[serde(default = "exports")]
    pub(crate) exports: PathBuf,
    /// The folder that the last good state is kept in.
    #[serde(default = "state")]
    pub(crate) state: PathBuf,
    /// The file with the API key for the feed.
    pub(crate) api_key: Option<PathBuf>,
    /// Who issued the sources' certificates, in the place of the system's authorities.
    pub(crate) roots: Option<PathBuf>,
    /// What is shown to a source that asks for a certificate.
    pub(crate) client_certificate: Option<PathBuf>,
    pub(crate) client_key: Option<PathBuf>,
    /// Whether a node is asked about secret halves.
    #[serde(default)]
    pub(crate) ask_secrets: bool,
    /// What the fleet calls this edge.
    pub(crate) name: Option<String>,
    /// Whether it reports its place to its nodes.
    #[serde(default = "yes")]
    pub(crate) report: bool,
    /// How old the state may become before `on_stale` counts.
    #[serde(default = "max_stale")]
    pub(crate) max_stale: Span,
    #[serde(default)]
    pub(crate) on_stale: OnStale,
    /// The same for single realms.
    #[serde(default)]
    pub(crate) realms: BTreeMap<String, FollowedRealm>,
    /// Whether a relay lets everybody read who reaches it.
    #[serde(default)]
    pub(crate) open: bool,
    /// Who may introspect, or of a relay read: names, and the SHA-256 of their tokens.
    #[serde(default)]
    pub(crate) callers: BTreeMap<String, TokenHash>,
}

/// What an edge does with keys once its state is older than `max_stale`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnStale {
    /// It answers "could not tell".
    #[default]
    Refuse,
    /// It goes on with what it knows.
    Serve,
}

/// The staleness of one realm, where it differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FollowedRealm {
    pub(crate) max_stale: Option<Span>,
    pub(crate) on_stale: Option<OnStale>,
}

/// SHA-256 of a caller's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct TokenHash(pub(crate) [u8; 32]);

impl TryFrom<String> for TokenHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let mut hash = [0; 32];
        let digits = text.strip_prefix("sha256:").map(|digits| hex::decode_to_slice(digits, &mut hash));
        match digits {
            Some(Ok(())) => Ok(TokenHash(hash)),
            _ => {
                Err("it must be `sha256:` and 64 hexadecimal digits, as `bulla edge caller` prints it; never the token")
            }
        }
    }
}

fn key() -> PathBuf {
    "edge.key".into()
}

fn exports() -> PathBuf {
    "exports".into()
}

fn state() -> PathBuf {
    "state".into()
}

fn yes() -> bool {
    true
}

fn max_stale() -> Span {
    Span::seconds(3_600)
}

fn public_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<VerifyingKey, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn realm<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Realm>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(D::Error::custom)
}

impl FollowConfig {
    /// Lets relative paths start at `folder`.
    pub(super) fn start_at(&mut self, folder: &Path) {
        let may_be = [&mut self.api_key, &mut self.roots, &mut self.client_certificate, &mut self.client_key];
        for path in [&mut self.key, &mut self.exports, &mut self.state].into_iter().chain(may_be.into_iter().flatten())
        {
            *path = folder.join(&*path);
        }
    }

    /// How old the state may become for a realm, and what follows.
    pub(crate) fn staleness_of(&self, realm: Realm) -> (Span, OnStale) {
        let own = self.realms.get(realm.as_str()).copied().unwrap_or_default();
        (own.max_stale.unwrap_or(self.max_stale), own.on_stale.unwrap_or(self.on_stale))
    }

    /// Refuses what contradicts itself, or the realms that there are.
    pub(super) fn check(&self, has_realm: impl Fn(&str) -> bool) -> Result<(), String> {
        if let Some(name) = self.realms.keys().find(|name| !has_realm(name)) {
            return Err(format!("follow.realms names `{name}`, and there is no [realms.{name}]: add that table"));
        }
        if let Some(realm) = self.realm.filter(|realm| !has_realm(realm.as_str())) {
            return Err(format!("follow.realm is `{realm}`, and there is no [realms.{realm}]: add that table"));
        }
        if self.client_certificate.is_some() != self.client_key.is_some() {
            return Err("follow.client_certificate and follow.client_key belong together: set both".to_owned());
        }
        let all = self.realms.values().filter_map(|realm| realm.max_stale).chain([self.max_stale]);
        if all.into_iter().any(|max_stale| max_stale.0.as_secs() == 0) {
            return Err("follow.max_stale must be at least 1s".to_owned());
        }
        Ok(())
    }
}

/// Stands for `[keyring]` and `[store]`, which an edge has not.
const NONE: &str = "none:none";

/// The text of a configuration, of an edge's with what stands for the tables that it has not.
pub(super) fn complete(text: &str) -> String {
    // A text that does not parse gets its error later, with its line.
    let table: toml::Table = toml::from_str(text).unwrap_or_default();
    let mut text = text.to_owned();
    if table.contains_key("follow") {
        if !table.contains_key("keyring") {
            text += &format!("\n[keyring]\nsource = \"{NONE}\"\nmac_source = \"{NONE}\"\n");
        }
        if !table.contains_key("store") {
            text += &format!("\n[store]\nurl = \"{NONE}\"\n");
        }
    }
    text
}

/// Refuses a configuration that is both a node's and an edge's.
pub(super) fn check_alone(config: &Config) -> Result<(), String> {
    let told = |table: &str| {
        format!(
            "[follow] makes this the configuration of an edge, which has no [{table}]: remove that table, or [follow] where this is a \
             node"
        )
    };
    match (config.keyring.source.to_string() == NONE, config.store.url == NONE) {
        (true, true) => Ok(()),
        (false, _) => Err(told("keyring")),
        (_, false) => Err(told("store")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::written;

    const LEAST: &str = "[follow]
keyring_id = 'a0a1a2a3a4a5a6a7a8a9aaabacadaeaf'
public_key = 'A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg='
sources = ['https://bulla.example:8181']
[realms.live]
";

    fn load(text: &str) -> Result<Config, String> {
        let (_folder, path) = written(text);
        Config::load_file(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn an_edge_needs_neither_store_nor_keyring_and_a_node_needs_both() {
        let config = load(LEAST).expect("an edge");
        let follow = config.follow.expect("follows");
        assert_eq!((follow.max_stale, follow.on_stale), (Span::seconds(3_600), OnStale::Refuse));
        assert!(follow.key.is_absolute() && follow.key.ends_with("edge.key"));
        for table in ["[keyring]\nsource = 'file:a'\nmac_source = 'file:b'\n", "[store]\nurl = 'sqlite:bulla.db'\n"] {
            let error = load(&format!("{LEAST}{table}")).expect_err(table);
            assert!(error.contains("an edge, which has no"), "{error}");
        }
        let error = load("[realms.live]\n").expect_err("neither");
        assert!(error.contains("missing field `keyring`"), "{error}");
    }

    #[test]
    fn a_relay_names_realms_that_its_nodes_have() {
        let relay = LEAST.replace("[realms.live]\n", "");
        let tls = "[data.tls]\ncertificate = 'c'\nkey = 'k'\nclient_ca = 'a'\n[data.tls.clients]\n'edge1.example' = ";
        let config = load(&format!("{relay}realm = 'live'\n{tls}['feed:live', 'feed:test']\n")).expect("a relay");
        assert!(config.is_relay());
        for (scope, told) in [("fed:live", "not a scope"), ("feed:", "for no realm"), ("feed:bulla", "allows nothing")]
        {
            let error = load(&format!("{relay}{tls}['{scope}']\n")).expect_err(scope);
            assert!(error.contains(told), "{error}");
        }
        // An edge has realms of its own.
        assert!(!load(LEAST).expect("an edge").is_relay());
        let error = load(&format!("{LEAST}{tls}['read:test']\n")).expect_err("a mistyped realm");
        assert!(error.contains("no [realms.test]"), "{error}");
    }

    #[test]
    fn staleness_is_the_edge_s_or_the_realm_s() {
        let config = load(&format!(
            "{LEAST}[realms.test]\n[follow.realms.test]\nmax_stale = '5m'\n[follow.realms.live]\non_stale = 'serve'\n"
        ));
        let follow = config.expect("good").follow.expect("follows");
        let of = |realm: &str| follow.staleness_of(realm.parse().expect("a realm"));
        assert_eq!(of("test"), (Span::seconds(300), OnStale::Refuse));
        assert_eq!(of("live"), (Span::seconds(3_600), OnStale::Serve));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (more, told) in [
            ("[follow.realms.other]\n", "no [realms.other]"),
            ("[follow.callers]\ngate = 'secret'\n", "never the token"),
            ("[follow.realms.live]\nmax_stale = '0s'\n", "at least 1s"),
        ] {
            let error = load(&format!("{LEAST}{more}")).expect_err(more);
            assert!(error.contains(told), "{error}");
        }
        for (from, to, told) in [
            ("keyring_id = 'a0", "keyring_id = 'x0", "32 hexadecimal digits"),
            ("A6EHv", "!", "44 characters"),
            ("sources", "realm = 'test'\nsources", "no [realms.test]"),
            ("sources", "client_key = 'a'\nsources", "belong together"),
        ] {
            let error = load(&LEAST.replace(from, to)).expect_err(to);
            assert!(error.contains(told), "{error}");
        }
    }
}
