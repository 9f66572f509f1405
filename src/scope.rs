//! The scopes of administrators: what an API key of the realm `bulla`, or a client certificate, may do.

use std::fmt;

use bulla::Realm;

/// The word that a scope begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Admin,
    Issue,
    Revoke,
    Reveal,
    Read,
    Keyring,
    Feed,
}

/// A granted scope: for all realms, or for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) scope: Scope,
    pub(crate) realm: Option<Realm>,
}

/// A text that grants nothing. The message follows the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GrantError {
    #[error("is not a scope: use {}, each also for one realm", Scope::names())]
    Unknown,
    #[error("is for no realm")]
    NoRealm,
    #[error("allows nothing: what concerns the realm `bulla` takes `{}`", Scope::Admin)]
    Administrators,
}

impl Scope {
    /// All of them.
    pub(crate) const ALL: [Scope; 7] =
        [Scope::Admin, Scope::Issue, Scope::Revoke, Scope::Reveal, Scope::Read, Scope::Keyring, Scope::Feed];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Scope::Admin => "admin",
            Scope::Issue => "issue",
            Scope::Revoke => "revoke",
            Scope::Reveal => "reveal",
            Scope::Read => "read",
            Scope::Keyring => "keyring",
            Scope::Feed => "feed",
        }
    }

    /// All names, for a message.
    pub(crate) fn names() -> String {
        Self::ALL.map(Scope::name).join(", ")
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Grant {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Self, GrantError> {
        let (word, realm) = text.split_once(':').map_or((text, None), |(word, realm)| (word, Some(realm)));
        let scope = Scope::ALL.into_iter().find(|scope| scope.name() == word).ok_or(GrantError::Unknown)?;
        match realm.map(str::parse::<Realm>).transpose() {
            Err(_) => Err(GrantError::NoRealm),
            Ok(Some(Realm::ADMIN)) => Err(GrantError::Administrators),
            Ok(realm) => Ok(Grant { scope, realm }),
        }
    }
}

impl Grant {
    /// Refuses a text that grants nothing where these are the realms: a typing error. The message quotes it.
    pub(crate) fn check(text: &str, is_realm: impl Fn(&str) -> bool) -> Result<(), String> {
        let grant: Grant = text.parse().map_err(|error| format!("`{text}` {error}"))?;
        match grant.realm {
            Some(realm) if !is_realm(realm.as_str()) => Err(format!("`{text}`: there is no [realms.{realm}]")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_a_word_and_perhaps_a_realm_that_is_not_the_administrators() {
        let live: Realm = "live".parse().expect("a realm");
        for scope in Scope::ALL {
            assert_eq!(scope.name().parse(), Ok(Grant { scope, realm: None }));
            assert_eq!(format!("{scope}:live").parse(), Ok(Grant { scope, realm: Some(live) }));
            assert_eq!(format!("{scope}:bulla").parse::<Grant>(), Err(GrantError::Administrators));
            assert_eq!(format!("{scope}:").parse::<Grant>(), Err(GrantError::NoRealm));
        }
        for text in ["", "issuer", "Issue", "issue ", ":live"] {
            assert_eq!(text.parse::<Grant>(), Err(GrantError::Unknown), "{text}");
        }
    }

    #[test]
    fn the_page_for_administrators_lists_every_scope_and_no_other() {
        let page = include_str!("../docs/ADMIN.md");
        let table =
            page.split("| scope | allows |\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a table");
        let first_cells = table.lines().skip(1).filter_map(|line| line.split('|').nth(1));
        let mut listed: Vec<Scope> = first_cells
            .flat_map(|cell| cell.split('`').skip(1).step_by(2))
            .map(|text| {
                text.replace("REALM", "live").parse::<Grant>().unwrap_or_else(|error| panic!("{text}: {error}")).scope
            })
            .collect();
        listed.dedup();
        assert!(Scope::ALL.iter().all(|scope| listed.contains(scope)), "{listed:?}");
    }
}
