//! `[realms.NAME]`: the issuing policy of one realm, and which of its keys are accepted.

use serde::Deserialize;

use super::{KeyHeaders, OldSystemConfig, Span, secret::Scheme};

/// The issuing policy of one realm.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RealmConfig {
    /// The lifetime of a key whose request names no expiry.
    pub(crate) default_ttl: Option<Span>,
    /// The longest lifetime of a key.
    pub(crate) max_ttl: Option<Span>,
    pub(crate) allow_forever: Option<bool>,
    /// The scopes that a key may have; an entry that ends in `*` allows every scope that begins with it.
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) app_ids: Option<Vec<uuid::Uuid>>,
    pub(crate) secret: SecretPolicy,
    /// The scheme of this realm's secret halves, if it differs from the default.
    pub(crate) secret_scheme: Option<Scheme>,
    /// Whether imported keys are accepted; by default, unless secret halves are required.
    pub(crate) accept_imported: Option<bool>,
    /// Whether a sealed key is issued for an imported one, once, when that is verified.
    pub(crate) replace_imported: bool,
    /// Where gateways' clients send its keys; in the usual headers by default.
    pub(crate) headers: Option<KeyHeaders>,
    /// The check of an old system, which is asked about keys that nobody imported.
    pub(crate) old_system: Option<OldSystemConfig>,
    /// The recipient that new keys are encrypted to; the module `escrow` parses it. Its errors do not quote the text,
    /// which may be an identity.
    pub(crate) escrow: Option<String>,
}

impl RealmConfig {
    /// Returns whether a key may have no expiry; by default, unless there is a maximum.
    pub(crate) fn may_live_for_ever(&self) -> bool {
        self.allow_forever.unwrap_or(self.max_ttl.is_none())
    }

    /// Returns whether imported keys are accepted: where secret halves are required, write access to the store must not
    /// suffice to make a key.
    pub(crate) fn accepts_imported(&self) -> bool {
        self.accept_imported.unwrap_or(self.secret != SecretPolicy::Required)
    }

    /// Refuses a policy that contradicts itself.
    pub(super) fn check(&self) -> Result<(), String> {
        for (name, life) in [("default_ttl", self.default_ttl), ("max_ttl", self.max_ttl)] {
            if life.is_some_and(|life| life < Span::seconds(1)) {
                return Err(format!("{name} must be at least 1s: API keys expire in whole seconds"));
            }
        }
        if let Some(old) = &self.old_system {
            old.check().map_err(|message| format!("old_system: {message}"))?;
        }
        match (self.default_ttl, self.max_ttl) {
            (Some(usual), Some(most)) if usual.0 > most.0 => {
                Err("default_ttl must not be longer than max_ttl: keys with the default lifetime would be refused"
                    .to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// Whether the keys of a realm have secret halves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SecretPolicy {
    /// No key gets one.
    Off,
    /// A key gets one on request.
    #[default]
    Optional,
    /// Every key gets one, and no other key is accepted.
    Required,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_at_least_a_second() {
        for (life, good) in [("0s", false), ("1ns", false), ("500ms", false), ("1s", true), ("1500ms", true)] {
            let span = Some(crate::config::parse_span(life).expect("a length of time"));
            for (name, policy) in [
                ("default_ttl", RealmConfig { default_ttl: span, ..RealmConfig::default() }),
                ("max_ttl", RealmConfig { max_ttl: span, ..RealmConfig::default() }),
            ] {
                let checked = policy.check();
                assert_eq!(checked.is_ok(), good, "{name} = {life}");
                assert!(checked.err().is_none_or(|error| error.starts_with(&format!("{name} must be"))), "{name}");
            }
        }
    }
}
