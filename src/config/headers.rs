//! Where the API keys of a realm are read from, as a route's `from:` and `like:` say it.

use std::borrow::Cow;

use bulla::{Realm, layer::CredentialRules};
use serde::Deserialize;

use super::Config;

/// The headers of a realm's keys.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub(crate) struct KeyHeaders(CredentialRules);

impl TryFrom<Vec<String>> for KeyHeaders {
    type Error = String;

    fn try_from(parts: Vec<String>) -> Result<Self, String> {
        let mut rules = CredentialRules::none();
        for part in &parts {
            let (name, value) = part.split_once(':').unwrap_or((part, ""));
            rules.add(name, value).map_err(|error| {
                format!("`{part}` {error}: write from:HEADER, from:HEADER=SCHEME or like:SYSTEM (docs/HEADERS.md)")
            })?;
        }
        if parts.is_empty() {
            Err("it must name a header; leave it out for the usual ones".to_owned())
        } else {
            Ok(KeyHeaders(rules))
        }
    }
}

impl Config {
    /// Where keys of these realms are read from: in the headers of any of them.
    pub(crate) fn credential_rules(&self, realms: &[Realm]) -> Cow<'_, CredentialRules> {
        let own = |realm: &Realm| Some(&self.realms.get(realm.as_str())?.headers.as_ref()?.0);
        let usual = CredentialRules::usual();
        match realms {
            [only] => Cow::Borrowed(own(only).unwrap_or(usual)),
            realms if realms.iter().all(|realm| own(realm).is_none()) => Cow::Borrowed(usual),
            realms => {
                let mut all = CredentialRules::none();
                realms.iter().for_each(|realm| all.merge(own(realm).unwrap_or(usual)));
                Cow::Owned(all)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parts: &[&str]) -> Result<KeyHeaders, String> {
        parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>().try_into()
    }

    #[test]
    fn a_mistake_is_named_with_what_is_expected() {
        assert!(read(&["from:x-api-key", "from:authorization=token", "like:django-rest-knox"]).is_ok());
        for (parts, told) in [
            (&["x-api-key"][..], "`x-api-key` is neither from nor like"),
            (&["from:"], "`from:` names no header"),
            (&["from:a b"], "`from:a b` names no header"),
            (&["from:authorization=a  b"], "names no scheme"),
            (&["like:nothing"], "names no known system"),
            (&[], "must name a header"),
        ] {
            let error = read(parts).expect_err(told);
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn realms_without_headers_have_the_usual_ones() {
        let text =
            super::super::DEFAULT.replace("[realms.live]", "[realms.live]\nheaders = [\"like:django-rest-knox\"]");
        let config: Config = toml::from_str(&text).expect("a configuration");
        let [live, test] = ["live", "test"].map(|name| name.parse::<Realm>().expect("a realm"));
        assert_eq!(*config.credential_rules(&[test]), *CredentialRules::usual());
        assert_eq!(*config.credential_rules(&[test, Realm::ADMIN]), *CredentialRules::usual());
        assert_eq!(config.credential_rules(&[live]).headers().collect::<Vec<_>>(), ["authorization"]);
        assert_eq!(config.credential_rules(&[live, test]).headers().count(), 2);
    }
}
