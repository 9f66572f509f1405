//! The URL of a PostgreSQL database: `postgres://ROLE@HOST[:PORT][,HOST…]/DATABASE[?…]`.

use std::fmt;

use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// The parameters that may stand behind the `?`, beside `sslmode`.
const PARAMETERS: &[&str] = &["host", "application_name", "channel_binding", "load_balance_hosts"];

/// A database and the role that works on it, without its password.
#[derive(Clone, PartialEq)]
pub(crate) struct PostgresUrl {
    config: tokio_postgres::Config,
    tls: bool,
    role: String,
    /// Hosts, ports and database: what errors name.
    place: String,
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://{}@{}", self.role, self.place)
    }
}

impl PostgresUrl {
    /// Parses a URL. An error does not quote it: it may hold a password.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let form = "write postgres://ROLE@HOST[:PORT][,HOST…]/DATABASE".to_owned();
        let (place, parameters) = url.split_once('?').unwrap_or((url, ""));
        let (mut kept, mut sslmode) = (Vec::new(), None);
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", mode)) => sslmode = Some(mode),
                Some(("password", _)) => return Err(without_password()),
                Some((name, _)) if PARAMETERS.contains(&name) => kept.push(parameter),
                Some((name, _)) if name.chars().all(|one| one.is_ascii_alphanumeric() || one == '_') => {
                    let known = PARAMETERS.join(", ");
                    return Err(format!("it has the parameter `{name}`: remove it; sslmode, {known} are known"));
                }
                _ => return Err(form),
            }
        }
        let text = format!("{place}?{}", kept.join("&"));
        let mut config: tokio_postgres::Config = text.parse().map_err(|_| form)?;
        if config.get_password().is_some() {
            return Err(without_password());
        }
        let role = config.get_user().filter(|role| !role.is_empty()).map(str::to_owned);
        let role = role.ok_or("it names no role: write postgres://ROLE@HOST/DATABASE")?;
        let database = config.get_dbname().map(str::to_owned);
        let database = database.ok_or("it names no database: write postgres://ROLE@HOST/DATABASE")?;
        if config.get_hosts().is_empty() {
            return Err(
                "it names no host: write a name, an address, or a socket's folder (?host=/run/postgresql)".to_owned()
            );
        }
        let local = config.get_hosts().iter().all(is_local);
        let tls = match sslmode {
            None => !local,
            Some("disable") => false,
            Some("require" | "verify-full") => true,
            Some(_) => {
                return Err(
                    "its sslmode must be verify-full, which `require` means here, too: the certificate is always checked; or \
                     disable, where something else encrypts"
                        .to_owned(),
                );
            }
        };
        config.ssl_mode(if tls { SslMode::Require } else { SslMode::Disable });
        // A standby is not a store: it takes no writes, and may be behind. The store asks one server itself: pgpool
        // lets a standby answer what the driver asks.
        if config.get_hosts().len() > 1 {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        if config.get_application_name().is_none() {
            config.application_name("bulla");
        }
        let place = format!("{}/{database}", hosts(&config));
        Ok(PostgresUrl { config, tls, role, place })
    }

    /// What the driver connects with; the password is missing.
    pub(crate) fn config(&self) -> &tokio_postgres::Config {
        &self.config
    }

    /// Returns whether the connection is encrypted and the server's certificate checked.
    pub(crate) fn tls(&self) -> bool {
        self.tls
    }

    /// The role.
    pub(crate) fn role(&self) -> &str {
        &self.role
    }

    /// The servers and the database.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }
}

fn without_password() -> String {
    "it holds a password, which backups of the configuration would hold, too: take it out, change it, and write where it is \
     into store.password (file:PATH, env:NAME or credential:NAME)"
        .to_owned()
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
        }
    }
}

fn hosts(config: &tokio_postgres::Config) -> String {
    let ports = config.get_ports();
    let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
    let name = |(at, host): (usize, &Host)| match host {
        Host::Tcp(name) if name.contains(':') => format!("[{name}]:{}", port(at)),
        Host::Tcp(name) => format!("{name}:{}", port(at)),
        Host::Unix(folder) => folder.display().to_string(),
    };
    config.get_hosts().iter().enumerate().map(name).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_role_servers_and_database() {
        for (url, shown, tls) in [
            ("postgres://bulla@db.example/keys", "postgres://bulla@db.example:5432/keys", true),
            ("postgresql://b@db1:1,db2:2/k?sslmode=disable", "postgres://b@db1:1,db2:2/k", false),
            ("postgres://b@localhost/k", "postgres://b@localhost:5432/k", false),
            ("postgres://b@[::1]:7/k?sslmode=verify-full", "postgres://b@[::1]:7/k", true),
            ("postgres://b@/k?host=/run/postgresql", "postgres://b@/run/postgresql/k", false),
            ("postgres://b@%2Frun%2Fpostgresql/k", "postgres://b@/run/postgresql/k", false),
        ] {
            let parsed = PostgresUrl::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!((parsed.to_string().as_str(), parsed.tls()), (shown, tls));
        }
    }

    #[test]
    fn what_is_wrong_is_told_and_no_password_shown() {
        for (url, told) in [
            ("postgres://b:hunter2@db/k", "store.password"),
            ("postgres://b@db/k?password=hunter2", "store.password"),
            ("postgres://db/k", "no role"),
            ("postgres://b@db", "no database"),
            ("postgres://b@/k", "no host"),
            ("postgres://b@db/k?sslmode=prefer", "verify-full"),
            ("postgres://b@db/k?options=-csearch_path", "`options`"),
            ("postgres://b@db:port/k", "ROLE@HOST"),
            ("postgres:hunter2", "ROLE@HOST"),
        ] {
            let error = PostgresUrl::parse(url).expect_err(url);
            assert!(error.contains(told) && !error.contains("hunter2"), "{url}: {error}");
        }
    }
}
