//! `bulla.toml`: parsed and checked as a whole before anything else happens.

mod assertion;
mod client_address;
mod env;
mod fleet;
mod follow;
mod headers;
mod introspection;
mod listen;
mod lost;
mod mistake;
mod old_system;
mod postgres_url;
mod realm;
mod secret;
mod server;
mod store;
mod tables;
mod time;
mod tls;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use bulla::Realm;
use serde::Deserialize;

use crate::input::text;

pub(crate) use self::{
    assertion::{Algorithm, AssertionConfig, SigningKeyConfig},
    client_address::{HeaderField, TrustedProxy},
    fleet::FleetConfig,
    follow::{FollowConfig, OnStale},
    headers::KeyHeaders,
    introspection::IntrospectionConfig,
    listen::{Listen, Listener, Plane, UnixMode},
    old_system::OldSystemConfig,
    postgres_url::PostgresUrl,
    realm::{RealmConfig, SecretPolicy},
    secret::{PepperConfig, SecretConfig},
    server::ServerConfig,
    store::{StoreConfig, StoreTls, StoreUrl},
    tables::{
        AdminConfig, DataConfig, FeedConfig, ImportedConfig, KeyringConfig, LastUsedConfig, Level, LogConfig,
        LogFormat, MetricsConfig, RotationConfig, VerifyConfig,
    },
    time::{Span, parse_span},
    tls::{Clients, TlsConfig, TlsVersion},
};
use crate::input::file;

/// The commented default file, which is the reference.
pub(crate) const DEFAULT: &str = include_str!("default.toml");

/// The commented file of an edge, with places for what each has of its own.
pub(crate) const EDGE: &str = include_str!("edge.toml");

/// The most memory for hashes, whose KiB are counted in 32 bits.
const MAX_MIB: u32 = u32::MAX / 1024;

/// The shortest interval at which work is repeated without taking a processor, and the shortest timeout within which
/// anything is done.
const SHORTEST: Duration = Duration::from_millis(100);

/// The configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) keyring: KeyringConfig,
    pub(crate) store: StoreConfig,
    #[serde(default)]
    pub(crate) rotation: RotationConfig,
    pub(crate) pepper: Option<PepperConfig>,
    #[serde(default)]
    pub(crate) secret: SecretConfig,
    #[serde(default)]
    pub(crate) feed: FeedConfig,
    #[serde(default)]
    pub(crate) fleet: FleetConfig,
    #[serde(default)]
    pub(crate) assertion: AssertionConfig,
    #[serde(default)]
    pub(crate) introspection: IntrospectionConfig,
    #[serde(default)]
    pub(crate) last_used: LastUsedConfig,
    #[serde(default)]
    pub(crate) imported: ImportedConfig,
    #[serde(default)]
    pub(crate) verify: VerifyConfig,
    #[serde(default)]
    pub(crate) realms: BTreeMap<String, RealmConfig>,
    /// Of an edge alone.
    pub(crate) follow: Option<FollowConfig>,
    #[serde(default)]
    pub(crate) data: DataConfig,
    #[serde(default)]
    pub(crate) admin: AdminConfig,
    #[serde(default)]
    pub(crate) metrics: MetricsConfig,
    #[serde(default)]
    pub(crate) server: ServerConfig,
    #[serde(default)]
    pub(crate) log: LogConfig,
    /// The folder that relative paths start from.
    #[serde(skip)]
    pub(crate) folder: PathBuf,
}

/// The configuration is invalid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read the configuration {path}: {error}")]
    Read { path: PathBuf, error: std::io::Error },
    #[error("{path}: {message}")]
    Parse { path: PathBuf, message: String },
    #[error("the environment variable {name}: {message}")]
    Environment { name: String, message: String },
    #[error("{origin}: {message}")]
    Check { origin: String, message: String },
}

impl ConfigError {
    /// A check of the configuration failed; `origin` is the file, or what changed it.
    pub(crate) fn check(origin: &str, message: &str) -> Self {
        ConfigError::Check { origin: origin.to_owned(), message: text::shown(message) }
    }
}

impl Config {
    /// Reads `path`, applies the environment, and checks the result.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_with(path, std::env::vars_os())
    }

    /// Reads `path` without the environment.
    pub(crate) fn load_file(path: &Path) -> Result<Self, ConfigError> {
        Self::load_with(path, std::iter::empty())
    }

    /// Refuses environment variables that override a field of `text`, and cannot: unknown ones, and wrong values.
    pub(crate) fn check_environment(path: &Path, text: &str) -> Result<(), ConfigError> {
        env::overlay(path, &follow::complete(text), std::env::vars_os()).map(drop)
    }

    fn load_with(path: &Path, variables: impl Iterator<Item = (OsString, OsString)>) -> Result<Self, ConfigError> {
        let text = file::read(path, file::MAX_FILE);
        let text = text.map_err(|error| ConfigError::Read { path: path.to_owned(), error })?;
        let text = follow::complete(&text);
        // The file without the environment first, so that an error shows its line.
        toml::from_str::<Config>(&text).map_err(|error| ConfigError::Parse {
            path: path.to_owned(),
            message: text::shown(&mistake::Mistake::new(&error, Some(&text)).to_string()),
        })?;
        let mut config = env::overlay(path, &text, variables)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        config.folder = folder.to_owned();
        for listen in [&mut config.data.listen, &mut config.admin.listen, &mut config.metrics.listen] {
            listen.start_at(folder);
        }
        for tls in [&mut config.data.tls, &mut config.admin.tls, &mut config.metrics.tls].into_iter().flatten() {
            tls.start_at(folder);
        }
        if let Some(follow) = &mut config.follow {
            follow.start_at(folder);
        }
        config.store.start_at(folder);
        config.recheck(&path.display().to_string())?;
        Ok(config)
    }

    /// Checks fields against each other; `origin` is where the last change came from.
    pub(crate) fn recheck(&self, origin: &str) -> Result<(), ConfigError> {
        self.check().map_err(|message| ConfigError::check(origin, &message))
    }

    /// Keeps the addresses of `running`, which no reload changes.
    pub(crate) fn listen_as(&mut self, running: &Config) {
        self.data.listen = running.data.listen.clone();
        self.admin.listen = running.admin.listen.clone();
        self.metrics.listen = running.metrics.listen.clone();
        self.data.unix_mode = running.data.unix_mode;
        self.admin.unix_mode = running.admin.unix_mode;
        self.metrics.unix_mode = running.metrics.unix_mode;
    }

    /// The three listeners.
    pub(crate) fn listeners(&self) -> [Listener<'_>; 3] {
        let (data, admin, metrics) = (&self.data, &self.admin, &self.metrics);
        [
            Listener::new(Plane::Data, &data.listen, data.unix_mode, data.tls.as_ref()),
            Listener::new(Plane::Admin, &admin.listen, admin.unix_mode, admin.tls.as_ref()),
            Listener::new(Plane::Metrics, &metrics.listen, metrics.unix_mode, metrics.tls.as_ref()),
        ]
    }

    /// The realms that issue and verify, the administrators' first.
    pub(crate) fn all_realms(&self) -> Vec<Realm> {
        let configured = self.realms.keys().filter_map(|name| name.parse().ok());
        std::iter::once(Realm::ADMIN).chain(configured).collect()
    }

    /// Returns whether there is this realm: it is configured, or the administrators'.
    pub(crate) fn has_realm(&self, realm: Realm) -> bool {
        realm == Realm::ADMIN || self.realms.contains_key(realm.as_str())
    }

    /// The realms that are accepted where a request names none.
    pub(crate) fn default_realms(&self) -> Vec<Realm> {
        self.verify.default_realms.iter().filter_map(|name| name.parse().ok()).collect()
    }

    /// Returns whether the configuration is a relay's, which has no realms of its own. An edge does not start so.
    pub(crate) fn is_relay(&self) -> bool {
        self.follow.is_some() && self.realms.is_empty()
    }

    /// Returns whether a setting may name a realm: it is configured. Of a relay the nodes alone know what there is.
    fn may_name(&self, realm: &str) -> bool {
        self.is_relay() || self.realms.contains_key(realm)
    }

    fn check(&self) -> Result<(), String> {
        for name in self.realms.keys() {
            let realm: Realm = name.parse().map_err(|error| format!("[realms.{name}]: {error}"))?;
            if realm == Realm::ADMIN {
                return Err(
                    "[realms.bulla]: this realm belongs to the administrators and always exists; remove the table"
                        .to_owned(),
                );
            }
            self.realms[name].check().map_err(|message| format!("[realms.{name}]: {message}"))?;
        }
        for name in &self.verify.default_realms {
            if name == Realm::ADMIN.as_str() {
                return Err(format!(
                    "verify.default_realms names `{name}`, the administrators' realm, of which no API key is accepted \
                     there: remove it"
                ));
            }
            if !self.realms.contains_key(name) {
                return Err(format!(
                    "verify.default_realms names `{name}`, and there is no [realms.{name}]: add that table"
                ));
            }
        }
        if let Some(follow) = &self.follow {
            follow::check_alone(self)?;
            follow.check(|realm| self.may_name(realm))?;
            if follow.open && !self.data.listen.is_local() {
                return Err(format!(
                    "follow.open lets everyone read the feed who can connect to data.listen, which is {}: listen on a loopback address or a Unix \
                     socket, or list the callers in [follow.callers]",
                    self.data.listen
                ));
            }
        } else {
            self.store.contradiction()?;
        }
        let listeners = self.listeners();
        for (at, one) in listeners.iter().enumerate() {
            if let Some(other) = listeners[..at].iter().find(|other| other.listen.collides(one.listen)) {
                return Err(format!(
                    "{}.listen is {} and {}.listen is {}: two listeners cannot share an address, so give each its own",
                    other.plane, other.listen, one.plane, one.listen
                ));
            }
        }
        for Listener { plane, listen, tls, .. } in listeners {
            if let Some(tls) = tls {
                tls.check(plane, self.follow.is_some(), |realm| self.may_name(realm))
                    .map_err(|message| format!("[{plane}.tls]: {message}"))?;
            } else if !self.server.allow_plaintext && !listen.is_local() {
                return Err(format!(
                    "{plane}.listen is {listen}, which other machines reach, without TLS: write a [{plane}.tls], listen on \
                     a loopback address or a Unix socket, or set server.allow_plaintext = true where something else encrypts"
                ));
            }
        }
        self.keyring.refresh_interval.at_least(SHORTEST, "keyring.refresh_interval")?;
        self.secret.scrub_interval.at_least(SHORTEST, "secret.scrub_interval")?;
        self.last_used.flush_interval.at_least(SHORTEST, "last_used.flush_interval")?;
        if let Some(pepper) = &self.pepper
            && !pepper.versions()?.iter().any(|(version, _)| *version == pepper.active)
        {
            return Err(format!("pepper.active is {}, but pepper.sources has no such version: add it", pepper.active));
        }
        let required = self.realms.iter().find(|(_, realm)| realm.secret == SecretPolicy::Required);
        if let (Some((name, _)), None) = (required, &self.pepper) {
            return Err(format!("[realms.{name}] requires secret halves, which need a [pepper]: add one"));
        }
        if self.secret.memory_mib < 64 {
            return Err("secret.memory_mib must be at least 64: one Argon2id hash takes that much".to_owned());
        }
        if self.secret.memory_mib > MAX_MIB {
            return Err(format!("secret.memory_mib must be at most {MAX_MIB}"));
        }
        if self.secret.queue == 0 || self.secret.wrong_per_minute == 0 {
            return Err("secret.queue and secret.wrong_per_minute must be at least 1: no secret half could be checked"
                .to_owned());
        }
        if self.verify.max_staleness.is_some_and(|most| most < Span::seconds(1)) {
            return Err(
                "verify.max_staleness must be at least 1s: the log is read five times a second. Remove it for no limit"
                    .to_owned(),
            );
        }
        if self.rotation.every < Span::seconds(1) {
            return Err("rotation.every must be at least 1s: each version would be replaced at once".to_owned());
        }
        if u32::try_from(self.last_used.max_ids).is_err() {
            return Err(format!("last_used.max_ids must be at most {}", u32::MAX));
        }
        if self.feed.valid_for.0.as_secs() < 2 {
            return Err("feed.valid_for must be at least 2s: followers need time to ask again".to_owned());
        }
        self.fleet.check()?;
        self.assertion.check()?;
        self.introspection.check()?;
        if self.rotation.automatic && self.rotation.sources.is_empty() {
            return Err("rotation.automatic needs rotation.sources: the URIs of the next keys".to_owned());
        }
        self.server.check()
    }
}

#[cfg(test)]
mod doors_tests;

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("bulla.toml");
        std::fs::write(&path, text).expect("written");
        (folder, path)
    }

    #[test]
    fn the_reference_shows_the_defaults() {
        let (_folder, path) = written(DEFAULT);
        let config = Config::load(&path).expect("the default file is a configuration");
        let bare: Config = toml::from_str(
            "[keyring]\nsource = 'file:keyring.toml'\nmac_source = 'file:keyring-mac.key'\n[store]\nurl = 'sqlite:bulla.db'\n",
        )
        .expect("the least configuration");
        assert_eq!(format!("{:?}", config.server), format!("{:?}", bare.server));
        assert_eq!(format!("{:?}", config.keyring), format!("{:?}", bare.keyring));
        assert_eq!(format!("{:?}", config.rotation), format!("{:?}", bare.rotation));
        assert_eq!(config.store, bare.store);
        assert_eq!(config.secret, bare.secret);
        assert_eq!(config.last_used, bare.last_used);
        assert_eq!(config.imported, bare.imported);
        assert_eq!(config.assertion, bare.assertion);
        assert_eq!(config.introspection, bare.introspection);
        assert_eq!(config.feed.valid_for, bare.feed.valid_for);
        assert_eq!(config.fleet, bare.fleet);
        assert_eq!(format!("{:?}", config.log), format!("{:?}", bare.log));
        assert_eq!(config.data, bare.data);
        assert_eq!(config.admin.listen, bare.admin.listen);
        assert_eq!(config.metrics.listen, bare.metrics.listen);
        assert_eq!(config.all_realms().iter().map(Realm::as_str).collect::<Vec<_>>(), ["bulla", "live", "test"]);
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_line() {
        let (_folder, path) = written(&DEFAULT.replace("allow_plaintext", "allow_plain"));
        let error = Config::load(&path).expect_err("an unknown field").to_string();
        let line = 1 + DEFAULT.lines().position(|line| line.starts_with("allow_plaintext")).expect("the field");
        assert!(error.contains(&format!("line {line}")) && error.contains("allow_plain"), "{error}");
    }

    #[test]
    fn what_others_reach_needs_a_word() {
        for (listen, allowed) in
            [("0.0.0.0:8181", false), ("[::1]:0", true), ("unix:/run/bulla.sock", true), ("192.0.2.1:1", false)]
        {
            let (_folder, path) = written(&DEFAULT.replace("127.0.0.1:8181", listen));
            assert_eq!(Config::load(&path).is_ok(), allowed, "{listen}");
            let (_folder, path) = written(
                &DEFAULT.replace("127.0.0.1:8181", listen).replace("allow_plaintext = false", "allow_plaintext = true"),
            );
            assert!(Config::load(&path).is_ok(), "{listen} with allow_plaintext");
            let tls = "\n[data.tls]\ncertificate = \"tls.crt\"\nkey = \"tls.key\"\n";
            let (folder, path) = written(&(DEFAULT.replace("127.0.0.1:8181", listen) + tls));
            let config = Config::load(&path).expect("with TLS");
            assert_eq!(config.data.tls.map(|tls| tls.key), Some(folder.path().join("tls.key")), "{listen} with TLS");
        }
    }
}
