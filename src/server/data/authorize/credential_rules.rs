//! Where a route's keys are read from.

use std::borrow::Cow;

use bulla::{gateway::Required, layer::CredentialRules};

use crate::server::snapshot::Snapshot;

/// Where the key is read from; if a route names no realm, as for the default ones.
pub(super) fn take_rules<'s>(required: &mut Required, snapshot: &'s Snapshot) -> Cow<'s, CredentialRules> {
    match required.from.take() {
        Some(rules) => Cow::Owned(rules),
        None if required.realms.is_empty() => Cow::Borrowed(&snapshot.default_rules),
        None => snapshot.config.credential_rules(&required.realms),
    }
}
