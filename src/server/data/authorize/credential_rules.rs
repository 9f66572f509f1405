//! Where a route's keys are read from.

use std::borrow::Cow;

use bulla::{Realm, gateway::Required, layer::CredentialRules};

use crate::config::Config;

/// Where the key is read from; if a route names no realm, as for one of these.
pub(super) fn take_rules<'c>(
    required: &mut Required,
    config: &'c Config,
    default_realms: &[Realm],
) -> Cow<'c, CredentialRules> {
    let realms = if required.realms.is_empty() { default_realms } else { &required.realms };
    required.from.take().map_or_else(|| config.credential_rules(realms), Cow::Owned)
}
