//! Who calls the admin plane, and what the caller may do: API keys of the realm `bulla`, and scopes, which client certificates
//! have as well.

use std::sync::Arc;

use axum::http::HeaderMap;
use bulla::{
    Realm, VerifyError,
    layer::{Credential, Presented},
};

use super::page;
use crate::{
    action::Actor,
    server::{App, listener::Peer, problem::Problem},
    view::verdict::Wanted,
};

/// May do everything.
const ADMIN: &str = "admin";

/// What a request needs: a scope, for everything or for one realm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Permission {
    scope: &'static str,
    realm: Option<Realm>,
}

/// An authenticated caller.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    actor: Actor,
    scopes: Vec<String>,
}

impl Permission {
    /// `scope`, whichever realm it is for.
    pub(crate) fn anywhere(scope: &'static str) -> Self {
        Permission { scope, realm: None }
    }

    /// `scope` for one realm, or for all.
    pub(crate) fn in_realm(scope: &'static str, realm: Realm) -> Self {
        Permission { scope, realm: Some(realm) }
    }

    /// What has to be held. Who issues for the administrators' realm makes administrators, so that takes one.
    fn granted_to(&self, scopes: &[String]) -> bool {
        let held = |wanted: &str| scopes.iter().any(|scope| scope == wanted);
        match self.realm {
            Some(Realm::ADMIN) => held(ADMIN),
            Some(realm) => {
                let narrowed = |scope: &str| held(&format!("{scope}:{realm}"));
                held(ADMIN) || held(self.scope) || narrowed(ADMIN) || narrowed(self.scope)
            }
            None => held(ADMIN) || held(self.scope),
        }
    }
}

/// Who calls, by the one API key of the request.
pub(crate) async fn identify(app: &Arc<App>, headers: &HeaderMap, peer: Peer) -> Result<Caller, Problem> {
    let refuse = |problem: Problem| {
        app.metrics.admin_refused.inc();
        problem
    };
    if page::may_use_a_login(headers) {
        return Err(refuse(Problem::login_of_a_page()));
    }
    let text = presented(headers).map_err(refuse)?;
    let address = peer.0.map(|peer| peer.ip());
    match app.verify(text.expose(), &wanted(peer)).await {
        Ok(verified) => Ok(Caller::new(Actor::api_key(verified.id(), address), verified.scopes())),
        Err(VerifyError::SecretUnchecked) if app.degraded.since("secret hashes").is_some() => {
            Err(Problem::hashes_do_not_fit())
        }
        Err(VerifyError::SecretUnchecked) => Err(Problem::could_not_tell()),
        Err(VerifyError::Rejected(_)) => Err(refuse(Problem::unauthorized())),
    }
}

/// The one credential of a request.
pub(crate) fn presented(headers: &HeaderMap) -> Result<Presented<'_>, Problem> {
    match Credential::read(headers, None) {
        Credential::One(text) => Ok(text),
        Credential::None => Err(Problem::unauthorized()),
        Credential::Several => Err(Problem::several_credentials()),
    }
}

/// What it has to be: an administrator's, at the address that it is bound to.
pub(crate) fn wanted(peer: Peer) -> Wanted {
    Wanted { realms: vec![Realm::ADMIN], address: peer.0.map(|peer| peer.ip()), ..Wanted::default() }
}

impl Caller {
    pub(super) fn new(actor: Actor, scopes: &[String]) -> Self {
        Caller { actor, scopes: scopes.to_vec() }
    }

    /// The caller as the audit names it.
    pub(crate) fn actor(&self) -> Actor {
        self.actor.clone()
    }

    /// The one realm that the caller has the scope for, if it is for one alone.
    pub(crate) fn only_realm(&self, scope: &str) -> Option<Realm> {
        let held = |scope: &str| self.scopes.iter().any(|held| held == scope);
        let narrowed = |held: &String| held.strip_prefix(scope)?.strip_prefix(':')?.parse::<Realm>().ok();
        let mut realms = self.scopes.iter().filter_map(narrowed);
        realms.next().filter(|_| realms.next().is_none() && !held(scope) && !held(ADMIN))
    }

    /// Whether the caller lacks the permission.
    pub(crate) fn lacks(&self, permission: Permission) -> bool {
        !permission.granted_to(&self.scopes)
    }

    /// Refuses a caller without the permission.
    pub(crate) fn needs(&self, app: &App, permission: Permission) -> Result<(), Problem> {
        self.needs_one_of(app, &[permission])
    }

    /// Refuses a caller without any of the permissions.
    pub(crate) fn needs_one_of(&self, app: &App, permissions: &[Permission]) -> Result<(), Problem> {
        if permissions.iter().any(|permission| permission.granted_to(&self.scopes)) {
            return Ok(());
        }
        app.metrics.admin_refused.inc();
        let names = permissions.iter().map(|one| if one.realm == Some(Realm::ADMIN) { ADMIN } else { one.scope });
        Err(Problem::forbidden(&names.collect::<Vec<_>>().join("` or `")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_grant_what_they_say_and_nothing_more() {
        let live: Realm = "live".parse().expect("a realm");
        let may = |scope: &str, permission: Permission| permission.granted_to(&[scope.to_owned()]);
        let issue_live = Permission::in_realm("issue", live);
        for scope in ["admin", "issue", "issue:live", "admin:live"] {
            assert!(may(scope, issue_live), "{scope}");
        }
        for scope in ["read", "issue:test", "admin:test", "issue:", "issuer", "revoke"] {
            assert!(!may(scope, issue_live), "{scope}");
        }
        let administrators = Permission::in_realm("issue", Realm::ADMIN);
        assert!(may("admin", administrators));
        for scope in ["issue", "issue:bulla", "admin:bulla"] {
            assert!(!may(scope, administrators), "{scope} would make administrators");
        }
        assert!(may("read", Permission::anywhere("read")));
        assert!(!may("read:live", Permission::anywhere("read")), "what concerns all realms needs it for all");
    }
}
