//! Secret halves: the pepper, their hashes, and the check of a presented one. Hashing may take long; the service limits
//! it.

mod check;
mod new;
mod pepper_rotation;
mod peppers;
mod scrub;

use bulla::{Realm, secret::SecretScheme};

pub(crate) use self::{
    check::{Altered, Found, Stored, intact},
    new::{NewHash, rerolled},
    pepper_rotation::rehash,
    peppers::Peppers,
    scrub::ScrubFindings,
};
use crate::config::{Config, SecretPolicy};

/// The scheme of a realm's secret halves. The administrators' is always fast, so that attackers cannot delay them by
/// guessing.
pub(crate) fn scheme_of(config: &Config, realm: Realm) -> SecretScheme {
    if realm == Realm::ADMIN {
        return SecretScheme::HmacSha256;
    }
    let own = config.realms.get(realm.as_str()).and_then(|policy| policy.secret_scheme);
    own.unwrap_or(config.secret.scheme).setting()
}

/// Returns whether keys of a realm have secret halves.
pub(crate) fn policy_of(config: &Config, realm: Realm) -> SecretPolicy {
    if realm == Realm::ADMIN {
        return SecretPolicy::Required;
    }
    config.realms.get(realm.as_str()).map_or(SecretPolicy::default(), |policy| policy.secret)
}

/// The realms that accept only keys with a secret half.
pub(crate) fn requiring(config: &Config) -> Vec<Realm> {
    config.all_realms().into_iter().filter(|realm| policy_of(config, *realm) == SecretPolicy::Required).collect()
}
