//! Parses a request for a new API key.

use std::collections::BTreeMap;

use bulla::{
    IssueRequest, Realm,
    claims::{Cidr, CidrError, Claims},
};
use jiff::Timestamp;
use uuid::Uuid;

use super::{ActionError, check_note, check_text, invalid, policy, seconds};
use crate::{
    api::issue::{NEVER, NewApiKey, OneOrMany},
    clock::{self, KeyTime},
    config::{RealmConfig, parse_span},
    scope::{Grant, Scope},
    store::Restrictions,
};

/// A request that passed the checks, and may be issued.
pub(super) struct ApprovedKey {
    pub(super) request: IssueRequest,
    pub(super) name: Option<String>,
    pub(super) restrictions: Restrictions,
}

impl ApprovedKey {
    /// The same with a secret half.
    pub(super) fn with_secret(mut self) -> Self {
        self.request.claims = self.request.claims.with_secret();
        self
    }
}

impl NewApiKey {
    /// A key of `realm` for `app_id` with the realm's default lifetime, and without claims.
    pub(crate) fn plain(realm: Realm, app_id: Uuid) -> Self {
        NewApiKey {
            realm: realm.to_string(),
            app_id: app_id.to_string(),
            name: None,
            expires_in: None,
            expires_at: None,
            scopes: Vec::new(),
            audience: OneOrMany::None,
            cidr: Vec::new(),
            meta: BTreeMap::new(),
            secret: false,
        }
    }

    /// Parses the request, and checks it against the policy of its realm, and the scopes of an administrator's key
    /// against the realms that there are.
    pub(super) fn approve(
        self,
        policy: &RealmConfig,
        is_realm: impl Fn(&str) -> bool,
        now: Timestamp,
    ) -> Result<ApprovedKey, ActionError> {
        let noted = self.name.iter().chain(self.meta.keys()).chain(self.meta.values()).chain(&self.scopes);
        noted.into_iter().try_for_each(|text| check_note("name, scopes and meta", text))?;
        let audience = self.audience.into_vec();
        audience.iter().try_for_each(|text| check_text("audience", text))?;
        let realm = self.realm.parse().map_err(|error| invalid("realm", error))?;
        let app_id = self.app_id.parse().map_err(|_| invalid("app_id", "it must be a UUID"))?;
        let expires_at = match expiry(self.expires_in.as_deref(), self.expires_at.as_deref(), now)? {
            Lifetime::Unsaid => policy::default_expiry(policy, now),
            Lifetime::Endless => None,
            Lifetime::Until(at) => Some(at),
        };
        if realm == Realm::ADMIN {
            check_administrator(&self.scopes, is_realm)?;
        }
        policy::check(policy, &policy::PolicyRequest { app_id, expires_at, scopes: &self.scopes }, now)?;
        let cidr: Result<Vec<Cidr>, CidrError> = self.cidr.iter().map(|block| block.parse()).collect();
        let claims = Claims::new()
            .with_scopes(self.scopes)
            .with_audience(audience)
            .with_cidr(cidr.map_err(|error| invalid("cidr", error))?)
            .with_meta(self.meta);
        let restrictions = Restrictions {
            audience: claims.audience().to_vec(),
            cidr: claims.cidr().iter().map(ToString::to_string).collect(),
        };
        let request = IssueRequest { realm, app_id, expires_at: expires_at.map(seconds), claims };
        let approved = ApprovedKey { request, name: self.name.filter(|name| !name.is_empty()), restrictions };
        Ok(if self.secret { approved.with_secret() } else { approved })
    }
}

/// Refuses a key of the administrators that would grant nothing, or has a text that grants nothing: a typing error.
fn check_administrator(scopes: &[String], is_realm: impl Fn(&str) -> bool) -> Result<(), ActionError> {
    if scopes.is_empty() {
        let message =
            format!("a key of the realm `bulla` needs a scope: use {}, each also for one realm", Scope::names());
        return Err(invalid("scopes", message));
    }
    scopes.iter().try_for_each(|scope| Grant::check(scope, &is_realm)).map_err(|message| invalid("scopes", message))
}

/// The lifetime that was requested.
enum Lifetime {
    Unsaid,
    Endless,
    Until(Timestamp),
}

fn expiry(within: Option<&str>, at: Option<&str>, now: Timestamp) -> Result<Lifetime, ActionError> {
    let field = if at.is_some() { "expires_at" } else { "expires_in" };
    let at = match (within, at) {
        (None, None) => return Ok(Lifetime::Unsaid),
        (Some(_), Some(_)) => return Err(invalid("expires_in", "give `expires_in` or `expires_at`, not both")),
        (Some(NEVER), None) => return Ok(Lifetime::Endless),
        (Some(within), None) => {
            let span = parse_span(within).map_err(|error| invalid("expires_in", error))?;
            now.checked_add(span.0).map_err(|_| invalid("expires_in", "that is later than an API key can hold"))?
        }
        (None, Some(at)) => clock::parse_time(at)
            .ok_or_else(|| invalid("expires_at", "it must be an RFC 3339 time such as 2030-01-31T12:00:00Z"))?,
    };
    KeyTime::up(at).map_err(|error| invalid(field, error))?;
    // A key expires in a whole second: never later than was asked for.
    if seconds(at) <= seconds(now) {
        return Err(invalid(field, "the expiry is not after now"));
    }
    Ok(Lifetime::Until(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::hard_values::{Hard, SEED, spans, times};

    const NOW: i128 = 1_795_000_000;
    const SECOND: i128 = 1_000_000_000;

    fn is_realm(name: &str) -> bool {
        ["live", "test"].contains(&name)
    }

    /// The second in which a key would expire.
    fn expiry(within: Option<&str>, at: Option<&str>) -> Result<i128, String> {
        let now = Timestamp::from_nanosecond(NOW * SECOND).expect("a time");
        let realm = "live".parse().expect("a realm");
        let asked = NewApiKey {
            expires_in: within.map(str::to_owned),
            expires_at: at.map(str::to_owned),
            ..NewApiKey::plain(realm, Uuid::from_u128(7))
        };
        let approved = asked.approve(&RealmConfig::default(), is_realm, now).map_err(|error| error.to_string())?;
        Ok(approved.request.expires_at.expect("it expires").into())
    }

    /// What is wrong with these scopes of a key of this realm.
    fn refused(realm: &str, scopes: &[&str]) -> Option<String> {
        let asked = NewApiKey {
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
            ..NewApiKey::plain(realm.parse().expect("a realm"), Uuid::from_u128(7))
        };
        let now = Timestamp::from_nanosecond(NOW * SECOND).expect("a time");
        asked.approve(&RealmConfig::default(), is_realm, now).err().map(|error| error.to_string())
    }

    #[test]
    fn a_key_of_the_administrators_has_scopes_of_which_each_grants_something() {
        for (scopes, told) in [
            (&[][..], "needs a scope: use admin, issue,"),
            (&["isue"], "`isue` is not a scope: use admin, issue,"),
            (&["read", "orders.read"], "`orders.read` is not a scope"),
            (&["issue:No Realm"], "`issue:No Realm` is for no realm"),
            (&["issue:nope"], "`issue:nope`: there is no [realms.nope]"),
            (&["issue:bulla"], "`issue:bulla` allows nothing"),
        ] {
            let error = refused("bulla", scopes).expect("refused");
            assert!(error.starts_with("scopes: ") && error.contains(told), "{scopes:?}: {error}");
        }
        assert_eq!(refused("bulla", &["issue:live", "read"]), None);
        assert_eq!((refused("live", &[]), refused("live", &["isue"])), (None, None), "these are programs' own");
    }

    #[test]
    fn a_lifetime_or_expiry_is_kept_in_whole_seconds_or_refused_with_its_name() {
        let mut taken = 0;
        for Hard { text, means } in spans() {
            match expiry(Some(&text), None) {
                Ok(second) => {
                    let means = means.unwrap_or_else(|| panic!("{text:?} is taken"));
                    assert_eq!(second, NOW + means.div_euclid(SECOND), "{text:?} (seed {SEED:#x})");
                    taken += 1;
                }
                Err(error) => assert!(error.starts_with("expires_in: "), "{text:?}: {error}"),
            }
        }
        for Hard { text, means } in times() {
            match expiry(None, Some(&text)) {
                Ok(second) => {
                    let means = means.unwrap_or_else(|| panic!("{text:?} is taken"));
                    assert_eq!(second, means.div_euclid(SECOND), "{text:?} (seed {SEED:#x})");
                    taken += 1;
                }
                Err(error) => assert!(error.starts_with("expires_at: "), "{text:?}: {error}"),
            }
        }
        assert!(taken > 15, "{taken} of them fit");
    }
}
