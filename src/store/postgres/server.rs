//! The server as it is configured: address, role, password, TLS and limits.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use zeroize::Zeroizing;

use super::tls::Connector;
use crate::{
    config::{PostgresUrl, StoreConfig, StoreTls},
    store::StoreError,
};

/// What a connection needs.
pub(super) struct Server {
    pub(super) url: PostgresUrl,
    pub(super) tls: Connector,
    password: Option<String>,
    /// The folder that relative paths start from.
    folder: PathBuf,
    pub(super) connect_timeout: Duration,
    pub(super) statement_timeout: Duration,
    pub(super) statement_cache: bool,
}

impl Server {
    /// The server of the configuration in `folder`.
    pub(super) fn new(url: PostgresUrl, config: &StoreConfig, folder: &Path) -> Result<Self, StoreError> {
        let files = config.tls.clone().unwrap_or_default();
        let absolute = |path: Option<PathBuf>| path.map(|path| folder.join(path));
        let files =
            StoreTls { ca: absolute(files.ca), certificate: absolute(files.certificate), key: absolute(files.key) };
        let tls =
            Connector::new(url.tls(), &files).map_err(|error| StoreError::Failed(format!("[store.tls]: {error}")))?;
        Ok(Server {
            url,
            tls,
            password: config.password.clone(),
            folder: folder.to_owned(),
            connect_timeout: config.connect_timeout.0,
            statement_timeout: config.statement_timeout.0,
            statement_cache: config.statement_cache,
        })
    }

    /// What the driver connects with. The password is read each time, so that a new one counts at once.
    pub(super) fn config(&self) -> Result<tokio_postgres::Config, StoreError> {
        let mut config = self.url.config().clone();
        if let Some(pointer) = &self.password {
            let password =
                self.read(pointer).map_err(|wrong| StoreError::Failed(format!("store.password: {wrong}")))?;
            config.password(password.trim_end_matches(['\r', '\n']));
        }
        config.connect_timeout(self.connect_timeout);
        // Without these a lost connection is noticed only after two hours where nothing is sent, and after fifteen
        // minutes otherwise.
        config.keepalives(true).keepalives_idle(Duration::from_secs(10));
        config.keepalives_interval(Duration::from_secs(5)).keepalives_retries(3);
        config.tcp_user_timeout(Duration::from_secs(20));
        Ok(config)
    }

    fn read(&self, pointer: &str) -> Result<Zeroizing<String>, String> {
        let file = |path: &Path| bulla::source::read_secret_file(path).map_err(|error| error.to_string());
        match pointer.split_once(':') {
            Some(("file", path)) => file(&self.folder.join(path)),
            Some(("env", name)) => {
                // It may be the password itself.
                env::var(name).map(Zeroizing::new).map_err(|_| {
                    "env: names an environment variable that is not set: write its name there, not the password"
                        .to_owned()
                })
            }
            Some(("credential", name)) => {
                if name.is_empty() || name.contains('/') || matches!(name, "." | "..") {
                    return Err(
                        "credential: has no name of a systemd credential: write the ID of LoadCredential=, which has no `/`"
                            .to_owned(),
                    );
                }
                let folder = env::var_os("CREDENTIALS_DIRECTORY")
                    .ok_or("systemd hands over no credentials: write LoadCredential= with this ID into the unit")?;
                file(&Path::new(&folder).join(name))
            }
            _ => Err("it must be file:PATH, env:NAME or credential:NAME".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StoreUrl;

    #[test]
    fn a_connection_that_is_lost_is_noticed_in_half_a_minute() {
        let config = StoreConfig::at("postgres://bulla@localhost/bulla");
        let Ok(StoreUrl::Postgres(url)) = config.parsed() else { panic!("it is a URL of PostgreSQL") };
        let server = Server::new(*url, &config, Path::new("/")).expect("a server");
        let config = server.config().expect("what the driver connects with");
        let seconds = Duration::from_secs;
        // Where nothing is sent: ten seconds, and then three times five.
        assert!(config.get_keepalives());
        assert_eq!(config.get_keepalives_idle(), seconds(10));
        assert_eq!((config.get_keepalives_interval(), config.get_keepalives_retries()), (Some(seconds(5)), Some(3)));
        assert_eq!(config.get_tcp_user_timeout(), Some(&seconds(20)), "where something is");
    }

    #[test]
    fn a_credential_is_a_name_and_not_a_path() {
        let config = StoreConfig::at("postgres://bulla@localhost/bulla");
        let Ok(StoreUrl::Postgres(url)) = config.parsed() else { panic!("it is a URL of PostgreSQL") };
        for name in ["", "a/b", "../b", "/b", "b/", ".", ".."] {
            let password = Some(format!("credential:{name}"));
            let server = Server::new((*url).clone(), &StoreConfig { password, ..config.clone() }, Path::new("/"))
                .expect("a server");
            let error = server.config().expect_err("refused").to_string();
            assert!(error.contains("has no name of a systemd credential"), "{name}: {error}");
        }
    }
}
