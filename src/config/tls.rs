//! `[data.tls]`, `[admin.tls]`, `[metrics.tls]`: the certificate that a listener shows, and those that open the admin
//! plane.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::Plane;
use crate::scope::Grant;

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsConfig {
    /// A chain in PEM, the listener's own certificate first.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    #[serde(default)]
    pub(crate) min_version: TlsVersion,
    /// Who issues client certificates; the admin plane alone asks for them.
    pub(crate) client_ca: Option<PathBuf>,
    /// The scopes of a client certificate, by its name.
    #[serde(default)]
    pub(crate) clients: Clients,
}

/// Scopes by the name of a client certificate.
pub(crate) type Clients = BTreeMap<String, Vec<String>>;

/// The lowest version that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) enum TlsVersion {
    V1_2,
    #[default]
    V1_3,
}

/// From the environment a version arrives as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Number(f64),
}

impl TryFrom<Written> for TlsVersion {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let text = match written {
            Written::Text(text) => text,
            Written::Number(number) => number.to_string(),
        };
        match text.as_str() {
            "1.2" => Ok(TlsVersion::V1_2),
            "1.3" => Ok(TlsVersion::V1_3),
            _ => Err("it must be a supported version of TLS: write \"1.3\", or \"1.2\"".to_owned()),
        }
    }
}

impl TlsConfig {
    /// Lets relative paths start at `folder`.
    pub(super) fn start_at(&mut self, folder: &Path) {
        for path in [&mut self.certificate, &mut self.key].into_iter().chain(&mut self.client_ca) {
            *path = folder.join(&*path);
        }
    }

    /// The files whose content counts.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.certificate, &self.key].into_iter().chain(&self.client_ca).map(PathBuf::as_path)
    }

    /// Refuses what cannot take effect, and a name that does not tell one client from another.
    pub(super) fn check(&self, plane: Plane, is_edge: bool, is_realm: impl Fn(&str) -> bool) -> Result<(), String> {
        // An edge has no administrators; those who introspect there may have certificates.
        let knows_clients = if is_edge { Plane::Data } else { Plane::Admin };
        if plane != knows_clients && (self.client_ca.is_some() || !self.clients.is_empty()) {
            return Err(format!(
                "client_ca and clients belong under [{knows_clients}.tls]: no other listener knows clients"
            ));
        }
        if self.client_ca.is_none() && !self.clients.is_empty() {
            return Err("clients needs client_ca: the file with who issues their certificates".to_owned());
        }
        let mut seen: Vec<String> = Vec::new();
        for (name, scopes) in &self.clients {
            if name.is_empty() || name.contains(|char: char| char == '*' || char.is_control()) {
                return Err(format!("clients names `{}`: names are compared as they stand", name.escape_debug()));
            }
            let folded = name.to_ascii_lowercase();
            if seen.contains(&folded) {
                return Err(format!("clients names `{name}` twice, in different letters"));
            }
            seen.push(folded);
            for scope in scopes {
                Grant::check(scope, &is_realm).map_err(|wrong| format!("clients.\"{name}\": {wrong}"))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Scope;

    fn checked(plane: Plane, more: &str) -> Result<(), String> {
        let text = format!("certificate = 'c'\nkey = 'k'\n{more}");
        let config: TlsConfig = toml::from_str(&text).map_err(|error| error.to_string())?;
        config.check(plane, false, |realm| ["live", "test"].contains(&realm))
    }

    #[test]
    fn versions_that_are_spoken() {
        for (version, good) in [("'1.2'", true), ("'1.3'", true), ("1.2", true), ("'1.1'", false), ("'TLS'", false)] {
            assert_eq!(checked(Plane::Data, &format!("min_version = {version}")).is_ok(), good, "{version}");
        }
        let config: TlsConfig = toml::from_str("certificate = 'c'\nkey = 'k'").expect("the least");
        assert_eq!(config.min_version, TlsVersion::V1_3);
    }

    #[test]
    fn what_could_not_take_effect_or_be_told_apart_is_refused() {
        let mapping = |entry: &str| checked(Plane::Admin, &format!("client_ca = 'a'\n[clients]\n{entry}"));
        assert_eq!(mapping("'ops.example' = ['issue:live', 'revoke']\n'spiffe://a/b' = ['admin']"), Ok(()));
        for scope in Scope::ALL {
            assert_eq!(mapping(&format!("'a' = ['{scope}', '{scope}:live']")), Ok(()), "whatever a key may hold");
        }
        for (entry, told) in [
            ("'*.example' = ['read']", "as they stand"),
            ("'' = ['read']", "as they stand"),
            ("'ops.example' = ['read']\n'OPS.example' = ['admin']", "twice"),
            ("'a' = ['isue']", "not a scope"),
            ("'a' = ['issue:prod']", "[realms.prod]"),
            ("'a' = ['issue:bulla']", "allows nothing"),
            ("'a' = ['issue:']", "for no realm"),
        ] {
            let error = mapping(entry).expect_err(entry);
            assert!(error.contains(told), "{entry}: {error}");
        }
        assert!(checked(Plane::Data, "client_ca = 'a'").expect_err("another plane").contains("[admin.tls]"));
        assert!(checked(Plane::Admin, "[clients]\n'a' = ['read']").expect_err("no CA").contains("client_ca"));
    }
}
