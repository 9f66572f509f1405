//! A key that was accepted: one of bulla's own, or one that was imported.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use bulla::{ApiKey, ApiKeyId, Verified, claims::Claims};
use uuid::Uuid;

use crate::imported::Key;

/// An accepted API key.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "in a box an accepted key would be allocated")]
pub(crate) enum Accepted {
    Sealed(Verified),
    Imported(Arc<Key>),
}

impl Accepted {
    pub(crate) fn id(&self) -> ApiKeyId {
        match self {
            Accepted::Sealed(verified) => verified.id(),
            Accepted::Imported(key) => key.id,
        }
    }

    /// None of an imported key.
    pub(crate) fn version(&self) -> Option<u32> {
        match self {
            Accepted::Sealed(verified) => Some(verified.id().version()),
            Accepted::Imported(_) => None,
        }
    }

    pub(crate) fn app_id(&self) -> Uuid {
        match self {
            Accepted::Sealed(verified) => verified.app_id(),
            Accepted::Imported(key) => key.app_id,
        }
    }

    /// In Unix seconds.
    pub(crate) fn issued_at(&self) -> u64 {
        match self {
            Accepted::Sealed(verified) => verified.issued_at(),
            Accepted::Imported(key) => key.issued_at.into(),
        }
    }

    /// In Unix seconds; `None` is never.
    pub(crate) fn expires_at(&self) -> Option<u64> {
        match self {
            Accepted::Sealed(verified) => verified.expires_at(),
            Accepted::Imported(key) => key.expires_at.map(u64::from),
        }
    }

    pub(crate) fn claims(&self) -> Option<&Claims> {
        match self {
            Accepted::Sealed(verified) => verified.claims(),
            Accepted::Imported(key) => key.claims(),
        }
    }

    pub(crate) fn scopes(&self) -> &[String] {
        self.claims().map_or(&[], Claims::scopes)
    }

    /// The scopes as one text, joined by spaces.
    pub(crate) fn scopes_text(&self) -> Cow<'_, str> {
        match self {
            Accepted::Sealed(verified) => Cow::Borrowed(verified.scopes_text()),
            Accepted::Imported(_) => Cow::Owned(self.scopes().join(" ")),
        }
    }

    /// Hands on each scope, in their order. Nothing is allocated for it.
    pub(crate) fn each_scope(&self, mut each: impl FnMut(&str)) {
        match self {
            Accepted::Sealed(verified) => {
                verified.scopes_text().split(' ').filter(|scope| !scope.is_empty()).for_each(each);
            }
            Accepted::Imported(key) => {
                key.claims().into_iter().flat_map(Claims::scopes).for_each(|scope| each(scope));
            }
        }
    }

    /// Hands on each note, name and value, ordered by name. Nothing is allocated where there are none.
    pub(crate) fn each_note(&self, mut each: impl FnMut(&str, &str)) {
        match self {
            Accepted::Sealed(verified) => {
                let mut notes: Vec<_> = verified.meta().collect();
                notes.sort_unstable();
                notes.into_iter().for_each(|(name, value)| each(name, value));
            }
            Accepted::Imported(key) => {
                key.claims().into_iter().flat_map(Claims::meta).for_each(|(name, value)| each(name, value));
            }
        }
    }

    pub(crate) fn meta(&self) -> BTreeMap<String, String> {
        self.claims().map(|claims| claims.meta().clone()).unwrap_or_default()
    }

    /// Its metadata `username`, unless that is the name of an app or a key: those who may choose metadata may not
    /// choose every app, and nobody chooses another one's key.
    pub(crate) fn username(&self) -> Option<&str> {
        self.claims()?.meta().get("username").map(String::as_str).filter(|name| !names_app_or_key(name))
    }
}

fn names_app_or_key(name: &str) -> bool {
    let name = name.trim();
    name.parse::<Uuid>().is_ok() || name.parse::<ApiKeyId>().is_ok() || ApiKey::is_within(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_username_is_the_name_of_an_app_or_a_key() {
        let app = "3f2b8c1e-9a7d-4d52-8a55-0123456789ab";
        let id = "acme_live_00000XzbyFf5rOyRXQyt8V";
        for name in [app, &app.to_uppercase(), &app.replace('-', ""), &format!("{{{app}}}"), &format!(" {app}"), id] {
            assert!(names_app_or_key(name), "{name}");
        }
        for name in ["alice", "", "bob@example.com", &app[1..], &id[1..31], &format!("{app}-alice")] {
            assert!(!names_app_or_key(name), "{name}");
        }
    }
}
