//! A realm's issuing policy: lifetimes, scopes and apps of its keys.

use jiff::Timestamp;
use uuid::Uuid;

use super::ActionError;
use crate::config::RealmConfig;

/// The parts of a request that the policy checks.
pub(super) struct PolicyRequest<'a> {
    pub(super) app_id: Uuid,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) scopes: &'a [String],
}

/// The expiry of a key whose request names none.
pub(super) fn default_expiry(policy: &RealmConfig, now: Timestamp) -> Option<Timestamp> {
    policy.default_ttl.and_then(|ttl| now.checked_add(ttl.0).ok())
}

/// Refuses what the policy does not allow.
pub(super) fn check(policy: &RealmConfig, asked: &PolicyRequest<'_>, now: Timestamp) -> Result<(), ActionError> {
    let refused = |field: &str, message: String| Err(ActionError::Policy { field: field.to_owned(), message });
    match (asked.expires_at, policy.max_ttl) {
        (None, _) if !policy.may_live_for_ever() => {
            return refused("expires_in", "keys of this realm must expire: name when".to_owned());
        }
        (Some(at), Some(most)) if now.checked_add(most.0).is_ok_and(|latest| at > latest) => {
            return refused("expires_in", format!("keys of this realm live {most} at most"));
        }
        _ => {}
    }
    if let Some(apps) = &policy.app_ids
        && !apps.contains(&asked.app_id)
    {
        return refused("app_id", "the policy of this realm does not list this app".to_owned());
    }
    if let Some(allowed) = &policy.scopes
        && let Some(scope) = asked.scopes.iter().find(|scope| !allowed.iter().any(|allowed| allows(allowed, scope)))
    {
        let known =
            if allowed.is_empty() { "no scope at all".to_owned() } else { format!("`{}`", allowed.join("`, `")) };
        return refused("scopes", format!("the policy of this realm allows {known}, and not `{scope}`"));
    }
    Ok(())
}

/// `orders.*` allows every scope that begins with `orders.`; any other entry allows itself.
fn allows(allowed: &str, scope: &str) -> bool {
    allowed.strip_suffix('*').map_or(allowed == scope, |beginning| scope.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Span;

    const APP: Uuid = Uuid::from_u128(7);
    const NOW: i64 = 1_795_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(NOW + seconds).expect("a time")
    }

    fn refused(policy: &RealmConfig, expires_in: Option<i64>, scopes: &[&str]) -> Option<String> {
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let asked = PolicyRequest { app_id: APP, expires_at: expires_in.map(at), scopes: &scopes };
        match check(policy, &asked, at(0)) {
            Err(ActionError::Policy { field, .. }) => Some(field),
            Err(error) => panic!("{error}"),
            Ok(()) => None,
        }
    }

    #[test]
    fn lifetimes_are_bounded() {
        let free = RealmConfig::default();
        assert_eq!(refused(&free, None, &[]), None);
        assert_eq!(default_expiry(&free, at(0)), None);
        let bounded = RealmConfig { max_ttl: Some(Span::seconds(60)), ..RealmConfig::default() };
        assert_eq!(refused(&bounded, Some(60), &[]), None);
        assert_eq!(refused(&bounded, Some(61), &[]).as_deref(), Some("expires_in"));
        assert_eq!(refused(&bounded, None, &[]).as_deref(), Some("expires_in"), "for ever is longer than any maximum");
        let both = RealmConfig { allow_forever: Some(true), ..bounded };
        assert_eq!(refused(&both, None, &[]), None, "unless it is said to be allowed beside it");
        let mortal = RealmConfig { allow_forever: Some(false), ..RealmConfig::default() };
        assert_eq!(refused(&mortal, None, &[]).as_deref(), Some("expires_in"));
        assert_eq!(refused(&mortal, Some(1 << 31), &[]), None);
        let usual = RealmConfig { default_ttl: Some(Span::seconds(60)), ..RealmConfig::default() };
        assert_eq!(default_expiry(&usual, at(0)), Some(at(60)));
    }

    #[test]
    fn scopes_and_apps_are_held_to_lists() {
        let allowed = |scopes: &[&str]| RealmConfig {
            scopes: Some(scopes.iter().map(|scope| (*scope).to_owned()).collect()),
            ..RealmConfig::default()
        };
        let orders = allowed(&["orders.*", "read"]);
        assert_eq!(refused(&orders, None, &["orders.read", "orders.write", "read"]), None);
        for scope in ["orders", "reads", "rea", "write", "*"] {
            assert_eq!(refused(&orders, None, &["read", scope]).as_deref(), Some("scopes"), "{scope}");
        }
        assert_eq!(refused(&allowed(&[]), None, &[]), None);
        assert_eq!(refused(&allowed(&[]), None, &["read"]).as_deref(), Some("scopes"));
        let apps = |apps: Vec<Uuid>| RealmConfig { app_ids: Some(apps), ..RealmConfig::default() };
        assert_eq!(refused(&apps(vec![APP]), None, &[]), None);
        assert_eq!(refused(&apps(vec![Uuid::nil()]), None, &[]).as_deref(), Some("app_id"));
    }
}
