//! `[store]`: where the store is, and how a PostgreSQL server is reached.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{ConfigError, PostgresUrl, SHORTEST, Span};

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreConfig {
    pub(crate) url: String,
    /// Where notifications come from, if not from `url`: the server itself, where a pooler stands before it.
    pub(crate) listen_url: Option<String>,
    /// Where the password is: `file:PATH`, `env:NAME` or `credential:NAME`.
    pub(crate) password: Option<String>,
    pub(crate) tls: Option<StoreTls>,
    /// The most connections of one process.
    #[serde(default = "connections")]
    pub(crate) connections: usize,
    /// How long a connection may take to come up.
    #[serde(default = "connect_timeout")]
    pub(crate) connect_timeout: Span,
    /// How long one statement may take.
    #[serde(default = "statement_timeout")]
    pub(crate) statement_timeout: Span,
    /// Whether statements are prepared once for each connection, which no pooler in transaction mode may stand between.
    #[serde(default)]
    pub(crate) statement_cache: bool,
}

/// TLS to the server.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StoreTls {
    /// Who issues the server's certificate; without it, the system's authorities.
    pub(crate) ca: Option<PathBuf>,
    /// The certificate that is shown to the server, and its key.
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

fn connections() -> usize {
    8
}

fn connect_timeout() -> Span {
    Span::seconds(5)
}

fn statement_timeout() -> Span {
    Span::seconds(10)
}

/// Where a store is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum StoreUrl {
    /// A file, as it is written.
    Sqlite(PathBuf),
    Postgres(Box<PostgresUrl>),
}

/// The least number of connections: to write, to read, to follow the log, to count.
const LEAST_CONNECTIONS: usize = 4;

impl StoreConfig {
    /// The store at `url`, with nothing else said of it.
    pub(crate) fn at(url: &str) -> Self {
        StoreConfig {
            url: url.to_owned(),
            listen_url: None,
            password: None,
            tls: None,
            connections: connections(),
            connect_timeout: connect_timeout(),
            statement_timeout: statement_timeout(),
            statement_cache: false,
        }
    }

    /// Where the store is. An error does not quote the URL, which may hold a password.
    pub(crate) fn parsed(&self) -> Result<StoreUrl, String> {
        match self.url.split_once(':') {
            Some(("sqlite", path)) => Ok(StoreUrl::Sqlite(PathBuf::from(path))),
            Some(("postgres" | "postgresql", _)) => {
                let url = PostgresUrl::parse(&self.url).map_err(|wrong| format!("store.url: {wrong}"))?;
                Ok(StoreUrl::Postgres(Box::new(url)))
            }
            _ => Err("store.url must be sqlite:PATH or postgres://ROLE@HOST/DATABASE".to_owned()),
        }
    }

    /// Where notifications come from, if not from `url`. An error does not quote the URL, which may hold a password.
    pub(crate) fn listens_at(&self) -> Result<Option<PostgresUrl>, String> {
        let url = self.listen_url.as_deref().map(PostgresUrl::parse).transpose();
        url.map_err(|wrong| format!("store.listen_url: {wrong}"))
    }

    /// The paths of TLS start at `folder`.
    pub(super) fn start_at(&mut self, folder: &Path) {
        let Some(tls) = &mut self.tls else { return };
        for path in [&mut tls.ca, &mut tls.certificate, &mut tls.key].into_iter().flatten() {
            *path = folder.join(&*path);
        }
    }

    /// Refuses what contradicts itself; `origin` is where it was written.
    pub(crate) fn check(&self, origin: &str) -> Result<(), ConfigError> {
        self.contradiction().map_err(|message| ConfigError::check(origin, &message))
    }

    pub(super) fn contradiction(&self) -> Result<(), String> {
        let url = match self.parsed()? {
            StoreUrl::Postgres(url) => url,
            StoreUrl::Sqlite(_) if self.password.is_some() || self.tls.is_some() || self.listen_url.is_some() => {
                return Err("store.listen_url, store.password and [store.tls] are for a postgres:// URL: remove them"
                    .to_owned());
            }
            StoreUrl::Sqlite(_) => return Ok(()),
        };
        self.listens_at()?;
        let pointer = |text: &String| matches!(text.split_once(':'), Some(("file" | "env" | "credential", _)));
        if self.password.as_ref().is_some_and(|password| !pointer(password)) {
            // This may be the password itself.
            return Err(
                "store.password must say where the password is: file:PATH, env:NAME or credential:NAME".to_owned()
            );
        }
        if let Some(tls) = &self.tls {
            if !url.tls() {
                return Err(
                    "store.url says sslmode=disable, and there is a [store.tls]: remove one of the two".to_owned()
                );
            }
            if tls.certificate.is_some() != tls.key.is_some() {
                return Err("[store.tls]: certificate and key belong together: write both, or neither".to_owned());
            }
        }
        if self.connections < LEAST_CONNECTIONS {
            return Err(format!("store.connections must be at least {LEAST_CONNECTIONS}"));
        }
        self.connect_timeout.at_least(SHORTEST, "store.connect_timeout")?;
        self.statement_timeout.at_least(SHORTEST, "store.statement_timeout")
    }
}
