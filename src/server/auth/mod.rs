//! Authentication and authorization of administrators, on both planes: an API key of the realm `bulla`, or on the admin
//! plane a client certificate, and the scopes that either has.

pub(super) mod browser;
pub(super) mod certificate;
mod introspection;

use std::{sync::Arc, time::Instant};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};
use bulla::{
    Realm, VerifyError,
    layer::{Credential, CredentialRules, Presented},
};
use uuid::Uuid;

use super::{
    App,
    core::{CoreParts, Door},
    listener::Peer,
    problem::Problem,
    rejection,
    snapshot::Snapshot,
    stream_credential::RECHECK_INTERVAL,
};
use crate::{
    action::Actor,
    scope::{Grant, Scope},
    verification::{Stale, Wanted},
};

/// What a request needs: a scope, for all realms or for one.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Permission {
    scope: Scope,
    realm: Option<Realm>,
}

/// An authenticated caller. Its request goes by the state that its credential was accepted in.
#[derive(Clone)]
pub(in crate::server) struct Caller {
    snapshot: Arc<Snapshot>,
    actor: Actor,
    /// The app of its API key.
    app_id: Option<Uuid>,
    grants: Vec<Grant>,
    accepted: Instant,
}

impl Permission {
    /// `scope` for all realms.
    pub(in crate::server) fn anywhere(scope: Scope) -> Self {
        Permission { scope, realm: None }
    }

    /// `scope` for one realm, or for all. In the administrators' realm only `admin` counts: to issue there makes
    /// administrators.
    pub(in crate::server) fn in_realm(scope: Scope, realm: Realm) -> Self {
        Permission { scope: if realm == Realm::ADMIN { Scope::Admin } else { scope }, realm: Some(realm) }
    }

    /// Returns whether an API key may use it by these revocations. Where the log has lost its end, the key may be
    /// revoked: it may read the feed, and end other keys, and nothing that makes or shows keys.
    fn holds_for(&self, stale: &Stale) -> bool {
        *stale != Stale::LostEnd || matches!(self.scope, Scope::Feed | Scope::Revoke)
    }

    /// Returns whether one of the grants allows it. No grant is for the administrators' realm.
    fn granted_to(&self, grants: &[Grant]) -> bool {
        let held = |grant: &Grant| grant.realm.is_none() || grant.realm == self.realm;
        grants.iter().any(|grant| [self.scope, Scope::Admin].contains(&grant.scope) && held(grant))
    }
}

/// Identifies the caller by the one API key of the request.
pub(in crate::server) async fn identify(
    core: &CoreParts,
    snapshot: Arc<Snapshot>,
    headers: &HeaderMap,
    peer: Peer,
) -> Result<Caller, Problem> {
    let refuse = |problem: Problem| {
        core.metrics.admin_refused.inc();
        problem
    };
    if browser::may_use_a_login(headers) {
        return Err(refuse(Problem::login_of_a_page()));
    }
    let text = presented(headers).map_err(refuse)?;
    identify_by(core, snapshot, text.expose(), peer).await
}

/// Identifies the caller by its API key.
async fn identify_by(core: &CoreParts, snapshot: Arc<Snapshot>, text: &str, peer: Peer) -> Result<Caller, Problem> {
    let refuse = |problem: Problem| {
        core.metrics.admin_refused.inc();
        problem
    };
    let address = peer.0.map(|peer| peer.ip());
    match core.verification.verify(&snapshot, text, &wanted(peer)).await {
        Ok(accepted) => Ok(Caller {
            app_id: Some(accepted.app_id()),
            ..Caller::new(snapshot, Actor::api_key(accepted.id(), address), accepted.scopes())
        }),
        Err(error @ VerifyError::Rejected(_)) => Err(refuse(rejection::of_administrator(error, &core.health))),
        Err(error) => Err(rejection::of_administrator(error, &core.health)),
    }
}

/// The one credential of a request.
pub(in crate::server) fn presented(headers: &HeaderMap) -> Result<Presented<'_>, Problem> {
    match Credential::read(headers, CredentialRules::usual()) {
        Credential::One(text) => Ok(text),
        Credential::None => Err(Problem::unauthorized()),
        Credential::Several => Err(Problem::several_credentials()),
    }
}

/// The expectations: an API key of an administrator, presented from this address.
pub(in crate::server) fn wanted(peer: Peer) -> Wanted {
    Wanted { realms: vec![Realm::ADMIN], address: peer.0.map(|peer| peer.ip()), ..Wanted::default() }
}

/// On the admin plane the middleware has identified the caller.
impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        match parts.extensions.remove::<Caller>() {
            Some(caller) => Ok(caller),
            None => {
                let peer = Peer::from_request_parts(parts, app).await?;
                identify(app, Door::of(&app.core).enter(), &parts.headers, peer).await
            }
        }
    }
}

impl Caller {
    /// A caller that was accepted in this state, with these scopes.
    pub(in crate::server) fn new(snapshot: Arc<Snapshot>, actor: Actor, scopes: &[String]) -> Self {
        Caller { snapshot, actor, app_id: None, grants: grants(scopes), accepted: Instant::now() }
    }

    /// The caller once its body is here, by the API key in `headers`. While the body was on its way the key may have ended.
    pub(in crate::server) async fn after_body(
        self,
        app: &App,
        headers: &HeaderMap,
        peer: Peer,
    ) -> Result<Self, Problem> {
        let snapshot = Door::of(&app.core).enter();
        match self.was_accepted_in(&snapshot) && self.accepted.elapsed() < RECHECK_INTERVAL {
            true => Ok(self),
            false => identify(app, snapshot, headers, peer).await,
        }
    }

    /// The state that the request goes by.
    pub(in crate::server) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Returns whether it was accepted in this very state.
    pub(in crate::server) fn was_accepted_in(&self, snapshot: &Arc<Snapshot>) -> bool {
        Arc::ptr_eq(&self.snapshot, snapshot)
    }

    /// The caller as the audit names it.
    pub(in crate::server) fn actor(&self) -> Actor {
        self.actor.clone()
    }

    /// What the configuration calls it: the id of its API key, or the name of its token or certificate.
    pub(in crate::server) fn name(&self) -> String {
        let name = &self.actor.name;
        ["caller:", "cert:"].into_iter().find_map(|kind| name.strip_prefix(kind)).unwrap_or(name).to_owned()
    }

    /// The app of the caller's API key; none of one with a certificate.
    pub(in crate::server) fn app_id(&self) -> Option<Uuid> {
        self.app_id
    }

    /// The realm that the caller has the scope for, if it is exactly one.
    pub(in crate::server) fn only_realm(&self, scope: Scope) -> Option<Realm> {
        only_realm(&self.grants, scope)
    }

    /// Returns whether the caller lacks the permission.
    pub(in crate::server) fn lacks(&self, permission: Permission) -> bool {
        !permission.granted_to(&self.grants)
    }

    /// Refuses a caller that has none of the scopes, neither for all realms nor for one.
    pub(in crate::server) fn needs_for_some_realm(&self, core: &CoreParts, scopes: &[Scope]) -> Result<(), Problem> {
        let held = |scope| self.grants.iter().find(|grant| grant.scope == scope).and_then(|grant| grant.realm);
        let permissions: Vec<_> =
            scopes.iter().map(|scope| Permission { scope: *scope, realm: held(*scope) }).collect();
        self.needs_one_of(core, &permissions)
    }

    /// Refuses a caller without the permission.
    pub(in crate::server) fn needs(&self, core: &CoreParts, permission: Permission) -> Result<(), Problem> {
        self.needs_one_of(core, &[permission])
    }

    /// Refuses a caller without any of the permissions.
    pub(in crate::server) fn needs_one_of(&self, core: &CoreParts, permissions: &[Permission]) -> Result<(), Problem> {
        let mut granted = permissions.iter().filter(|permission| permission.granted_to(&self.grants)).peekable();
        if granted.peek().is_some() {
            let may = self.app_id.is_none() || granted.any(|one| one.holds_for(self.snapshot.stale()));
            return if may { Ok(()) } else { Err(Problem::lost_end()) };
        }
        core.metrics.admin_refused.inc();
        Err(Problem::forbidden(&sufficient(permissions).join("` or `")))
    }
}

/// The scopes of which each would have been enough. Of one for many realms it is that for all of them.
fn sufficient(permissions: &[Permission]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for one in permissions {
        if names.iter().any(|name| name == one.scope.name()) {
            continue;
        }
        let realms: Vec<Realm> =
            permissions.iter().filter(|other| other.scope == one.scope).filter_map(|other| other.realm).collect();
        let narrow = match realms[..] {
            // No scope is for the administrators' realm.
            [realm] if realm != Realm::ADMIN => Some(format!("{}:{realm}", one.scope)),
            _ => None,
        };
        names.extend([Some(one.scope.to_string()), narrow].into_iter().flatten());
    }
    names
}

/// What these scopes grant. Other texts grant nothing.
fn grants<T: AsRef<str>>(scopes: &[T]) -> Vec<Grant> {
    scopes.iter().filter_map(|scope| scope.as_ref().parse().ok()).collect()
}

/// The realm that the scope is granted for, if it is exactly one.
fn only_realm(grants: &[Grant], scope: Scope) -> Option<Realm> {
    let mut realms = grants.iter().filter(|grant| grant.scope == scope).filter_map(|grant| grant.realm);
    let only = realms.next().filter(|_| realms.next().is_none());
    only.filter(|_| !Permission::anywhere(scope).granted_to(grants))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(scope: &str, permission: Permission) -> bool {
        permission.granted_to(&grants(&[scope]))
    }

    #[test]
    fn scopes_grant_what_they_say_and_nothing_more() {
        let live: Realm = "live".parse().expect("a realm");
        let issue_live = Permission::in_realm(Scope::Issue, live);
        for scope in ["admin", "issue", "issue:live", "admin:live"] {
            assert!(may(scope, issue_live), "{scope}");
        }
        for scope in ["read", "issue:test", "admin:test", "issue:", "issuer", "revoke"] {
            assert!(!may(scope, issue_live), "{scope}");
        }
        for scope in Scope::ALL {
            let administrators = Permission::in_realm(scope, Realm::ADMIN);
            assert!(may("admin", administrators));
            for held in Scope::ALL {
                let narrow = held != Scope::Admin && may(held.name(), administrators);
                assert!(!narrow && !may(&format!("{held}:bulla"), administrators), "{held} would make administrators");
            }
            assert!(may(scope.name(), Permission::anywhere(scope)));
            let narrowed = may(&format!("{scope}:live"), Permission::anywhere(scope));
            assert!(!narrowed, "what concerns all realms needs {scope} for all");
        }
    }

    #[test]
    fn a_refusal_names_the_scope_for_the_realm_too() {
        let [live, test]: [Realm; 2] = ["live", "test"].map(|name| name.parse().expect("a realm"));
        let issue = |realm| Permission::in_realm(Scope::Issue, realm);
        for (permissions, names) in [
            (&[issue(live)][..], &["issue", "issue:live"][..]),
            (&[issue(live), issue(test)], &["issue"]),
            (&[issue(Realm::ADMIN)], &["admin"]),
            (&[Permission::anywhere(Scope::Read), Permission::anywhere(Scope::Keyring)], &["read", "keyring"]),
            (
                &[Permission::in_realm(Scope::Read, live), Permission::in_realm(Scope::Feed, live)],
                &["read", "read:live", "feed", "feed:live"],
            ),
        ] {
            assert_eq!(sufficient(permissions), names);
        }
    }

    #[test]
    fn a_key_that_may_have_been_revoked_reads_the_feed_and_ends_keys_and_nothing_else() {
        for scope in Scope::ALL {
            let permission = Permission::anywhere(scope);
            assert!(permission.holds_for(&Stale::Nothing), "{scope}");
            assert_eq!(permission.holds_for(&Stale::LostEnd), ["feed", "revoke"].contains(&scope.name()), "{scope}");
        }
        assert!(!Permission::in_realm(Scope::Revoke, Realm::ADMIN).holds_for(&Stale::LostEnd), "administrators' keys");
    }

    #[test]
    fn a_caller_with_a_scope_for_one_realm_alone_has_that_realm() {
        let only = |scopes: &[&str]| only_realm(&grants(scopes), Scope::Feed).map(|realm| realm.to_string());
        assert_eq!(only(&["feed:live", "read:test"]).as_deref(), Some("live"));
        for scopes in [
            &["feed:live", "feed:test"][..],
            &["feed:live", "feed"],
            &["feed:live", "admin"],
            &["feed:bulla"],
            &["feed"],
        ] {
            assert_eq!(only(scopes), None, "{scopes:?}");
        }
    }
}
