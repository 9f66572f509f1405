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
    clock::KeyTime,
    config::{RealmConfig, parse_span},
    scope::{Grant, GrantError},
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

    pub(super) fn approve(self, policy: &RealmConfig, now: Timestamp) -> Result<ApprovedKey, ActionError> {
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
            check_administrator(&self.scopes)?;
        }
        policy::check(policy, &policy::Asked { app_id, expires_at, scopes: &self.scopes }, now)?;
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

/// Refuses a word that looks like a scope of the administrators and grants nothing. Other words may be scopes of
/// programs.
fn check_administrator(scopes: &[String]) -> Result<(), ActionError> {
    let wrong = |scope: &String| match scope.parse::<Grant>() {
        Err(error @ GrantError::Administrators) => Some(invalid("scopes", format!("`{scope}` {error}"))),
        _ => None,
    };
    scopes.iter().find_map(wrong).map_or(Ok(()), Err)
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
        (None, Some(at)) => at
            .parse::<Timestamp>()
            .map_err(|_| invalid("expires_at", "it must be an RFC 3339 time such as 2030-01-31T12:00:00Z"))?,
    };
    KeyTime::up(at).map_err(|error| invalid(field, error))?;
    Ok(Lifetime::Until(at))
}
