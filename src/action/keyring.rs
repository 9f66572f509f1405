//! Changes of the keyring, by the command and over the admin plane.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bulla::{
    keyring::{KeyVersion, KeyringDocument, KeyringError, SourceRecord, VersionRecord, VersionState},
    source::{EncryptionContext, SourceUri, Sources},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Actor, fleet, rotation};
use crate::{
    api::keyring::{Activate, Changed, Compromise, Stage},
    clock,
    deployment::{Deployment, DeploymentError},
    store::Store,
};

/// One change.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Stage(Stage),
    Activate(KeyVersion, Activate),
    Compromise(KeyVersion, Compromise),
    Destroy(KeyVersion),
    Rewrap(KeyVersion, Rewrap),
    Limit(KeyVersion, Limit),
}

#[derive(Clone, Debug)]
pub(crate) struct Rewrap {
    pub(crate) add: Vec<SourceUri>,
    pub(crate) remove: Vec<SourceUri>,
}

#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) seal_until: Setting,
    pub(crate) verify_until: Setting,
}

/// The change of one of a version's limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Setting {
    Keep,
    /// In Unix seconds.
    Set(u64),
    Remove,
}

/// A time that a keyring cannot hold as a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} does not fit: a keyring holds limits in whole seconds, from 1970-01-01T00:00:00Z on")]
pub(crate) struct LimitError(Timestamp);

impl Setting {
    /// Sets the limit to this time.
    pub(crate) fn to(at: Timestamp) -> Result<Self, LimitError> {
        match u64::try_from(at.as_second()) {
            Ok(seconds) if at.subsec_nanosecond() == 0 => Ok(Setting::Set(seconds)),
            _ => Err(LimitError(at)),
        }
    }

    /// The limit that was `before` with the setting applied, in Unix seconds.
    fn after(self, before: Option<u64>) -> Option<u64> {
        match self {
            Setting::Keep => before,
            Setting::Set(at) => Some(at),
            Setting::Remove => None,
        }
    }
}

impl Change {
    /// Applies the change to the deployment's keyring at `now`.
    pub(crate) fn apply(
        &self,
        deployment: &Deployment,
        store: &dyn Store,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Changed, DeploymentError> {
        let sources = &deployment.sources;
        let change = |document: &mut KeyringDocument| {
            let early = self.not_everywhere(deployment, document, now)?;
            let lacking = self.not_loaded(deployment, store, now)?;
            let mut warnings: Vec<String> = early.into_iter().chain(lacking).collect();
            let version = match self {
                Change::Stage(stage) => {
                    let version = stage.apply(document, sources, now)?;
                    warnings.extend(deployment.refuse_shared_key(document, version)?);
                    version
                }
                Change::Activate(version, activate) => {
                    match activate.rollback {
                        true => document.roll_back(*version, clock::seconds(now))?,
                        false => document.activate(*version, clock::seconds(now))?,
                    }
                    *version
                }
                Change::Compromise(version, compromise) => {
                    document.compromise(*version, compromise.successor, clock::seconds(now))?;
                    *version
                }
                Change::Destroy(version) => {
                    document.destroy(*version)?;
                    *version
                }
                Change::Rewrap(version, rewrap) => {
                    rewrap.apply(*version, document, sources)?;
                    // A source may be removed whatever the key is.
                    if !rewrap.add.is_empty() {
                        warnings.extend(deployment.refuse_shared_key(document, *version)?);
                    }
                    *version
                }
                Change::Limit(version, limit) => {
                    let record = document.version(*version).ok_or(KeyringError::Unknown(*version))?;
                    let (seal, verify) = (record.seal_until, record.verify_until);
                    document.limit(*version, limit.seal_until.after(seal), limit.verify_until.after(verify))?;
                    *version
                }
            };
            Ok((version, warnings))
        };
        let record = |document: &KeyringDocument, (version, _): &(KeyVersion, Vec<String>)| {
            actor.record(now, self.name(), Some(version.to_string()), self.detail(document))
        };
        let (document, (version, warnings)) = deployment.change_keyring(store, self.asks_sources(), change, record)?;
        let state = document.version(version).map_or(VersionState::Destroyed, |record| record.state);
        tracing::info!(%version, %state, serial = document.serial(), "keyring changed");
        let mut changed = Changed { version, state, serial: document.serial(), warning: None, propagation: None };
        changed.warn(warnings);
        changed.warn(self.remarks(version, &document, deployment));
        Ok(changed)
    }

    /// Remarks of the added sources about their keys.
    fn remarks(&self, version: KeyVersion, document: &KeyringDocument, deployment: &Deployment) -> Vec<String> {
        let new = match self {
            Change::Stage(stage) => stage.sources.as_slice(),
            Change::Rewrap(_, rewrap) => rewrap.add.as_slice(),
            _ => &[],
        };
        remarks(new, version, document, &deployment.sources)
    }

    /// Returns whether the result depends on answers of key sources.
    fn asks_sources(&self) -> bool {
        matches!(self, Change::Stage(_) | Change::Rewrap(..))
    }

    /// Returns whether a version must be loaded here before the change is acknowledged.
    pub(crate) fn loads(&self) -> bool {
        matches!(self, Change::Stage(_) | Change::Activate(..) | Change::Rewrap(..))
    }

    /// Its name in the audit.
    fn name(&self) -> &'static str {
        match self {
            Change::Stage(_) => "keyring.stage",
            Change::Activate(..) => "keyring.activate",
            Change::Compromise(..) => "keyring.compromise",
            Change::Destroy(_) => "keyring.destroy",
            Change::Rewrap(..) => "keyring.rewrap",
            Change::Limit(..) => "keyring.limit",
        }
    }

    /// The audit's detail beside the version.
    fn detail(&self, document: &KeyringDocument) -> Value {
        let mut detail = json!({"keyring_id": document.id().to_string(), "serial": document.serial()});
        let (name, value) = match self {
            Change::Stage(stage) => ("sources", json!(stage.sources)),
            Change::Activate(_, activate) => ("rollback", json!(activate.rollback)),
            Change::Compromise(_, compromise) => ("successor", json!(compromise.successor)),
            Change::Destroy(_) => return detail,
            Change::Rewrap(_, rewrap) => ("sources", json!({"added": rewrap.add, "removed": rewrap.remove})),
            Change::Limit(version, _) => {
                let record = document.version(*version);
                let until = |limit: fn(&VersionRecord) -> Option<u64>| record.and_then(limit).map(clock::timestamp);
                let (seal, verify) = (until(|record| record.seal_until), until(|record| record.verify_until));
                ("until", json!({"seal": seal, "verify": verify}))
            }
        };
        if let Some(detail) = detail.as_object_mut() {
            detail.insert(name.to_owned(), value);
        }
        detail
    }

    /// Refuses, or warns of, an activation before every verifier must have the version.
    fn not_everywhere(
        &self,
        deployment: &Deployment,
        document: &KeyringDocument,
        now: Timestamp,
    ) -> Result<Option<String>, DeploymentError> {
        let Change::Activate(version, activate @ Activate { rollback: false, .. }) = self else { return Ok(None) };
        let interval = deployment.config.keyring.refresh_interval;
        let Some(record) = document.version(*version).filter(|record| record.state == VersionState::Staged) else {
            return Ok(None);
        };
        let (version, staged_at) = (*version, clock::timestamp(record.created_at));
        if rotation::is_everywhere(staged_at, interval, now) {
            return Ok(None);
        }
        let reject = "verifiers that have not loaded it yet reject its API keys until they have";
        match (staged_at > now, activate.force && !activate.require_loaded) {
            (true, false) => Err(DeploymentError::StagedAhead { version, staged_at, now }),
            (false, false) => Err(DeploymentError::NotEverywhere { version, staged_at, interval }),
            (true, true) => Ok(Some(format!(
                "version {version} was staged at {staged_at}, and it is {now} here: one of the two clocks is wrong, and {reject}; \
                 compare `keyring_serial` in the /readyz of all services"
            ))),
            (false, true) => Ok(Some(format!(
                "version {version} was staged at {staged_at}, less than the refresh interval of {interval} ago: {reject}"
            ))),
        }
    }

    /// Refuses, or warns of, an activation while a registered node or follower reports that it has not loaded the
    /// version.
    fn not_loaded(
        &self,
        deployment: &Deployment,
        store: &dyn Store,
        now: Timestamp,
    ) -> Result<Option<String>, DeploymentError> {
        let Change::Activate(version, activate) = self else { return Ok(None) };
        match fleet::lacking(store, *version, &deployment.config.fleet, now) {
            Ok(None) => Ok(None),
            Ok(Some(names)) => {
                let error = DeploymentError::NotLoaded { version: *version, names };
                if activate.require_loaded { Err(error) } else { Ok(Some(error.to_string())) }
            }
            Err(error) if activate.require_loaded => Err(error.into()),
            // It is a remark alone.
            Err(_) => Ok(None),
        }
    }
}

impl Stage {
    /// Adds the version to `document`.
    pub(crate) fn apply(
        &self,
        document: &mut KeyringDocument,
        sources: &Sources,
        now: Timestamp,
    ) -> Result<KeyVersion, KeyringError> {
        let version = document.next_version()?;
        let binding = EncryptionContext { keyring: document.id(), version: Some(version), wrapped: None };
        let failed = |error| KeyringError::Source { version, error };
        let mut records: Vec<SourceRecord> = Vec::new();
        for uri in &self.sources {
            // The first source that wraps makes the key, the others wrap that one.
            let wrapped = match records.first() {
                None => sources.wrap_new_key(uri, binding).map_err(failed)?,
                Some(first) => wrap_from(first, binding, uri, sources).map_err(failed)?,
            };
            records.push(SourceRecord { uri: uri.clone(), wrapped: wrapped.map(|wrapped| BASE64.encode(wrapped)) });
        }
        document.stage(self.suite, records, sources, clock::seconds(now))
    }
}

impl Stage {
    /// Remarks of its sources about their keys, once it is applied.
    pub(crate) fn remarks(&self, version: KeyVersion, document: &KeyringDocument, sources: &Sources) -> Vec<String> {
        remarks(&self.sources, version, document, sources)
    }
}

impl Rewrap {
    fn apply(
        &self,
        version: KeyVersion,
        document: &mut KeyringDocument,
        sources: &Sources,
    ) -> Result<(), KeyringError> {
        for uri in &self.add {
            let record = document.version(version).ok_or(KeyringError::Unknown(version))?;
            let binding = EncryptionContext { keyring: document.id(), version: Some(version), wrapped: None };
            // The version's first sources may no longer work.
            let mut wrapped = Err(KeyringError::NoSource(version));
            for first in &record.sources {
                wrapped =
                    wrap_from(first, binding, uri, sources).map_err(|error| KeyringError::Source { version, error });
                if wrapped.is_ok() {
                    break;
                }
            }
            let wrapped = wrapped?.map(|wrapped| BASE64.encode(wrapped));
            document.add_source(version, SourceRecord { uri: uri.clone(), wrapped }, sources)?;
        }
        for uri in &self.remove {
            document.remove_source(version, uri, sources)?;
        }
        Ok(())
    }
}

fn wrap_from(
    first: &SourceRecord,
    binding: EncryptionContext<'_>,
    to: &SourceUri,
    sources: &Sources,
) -> Result<Option<Vec<u8>>, bulla::source::SourceError> {
    let wrapped = first.wrapped.as_ref().and_then(|text| BASE64.decode(text).ok());
    sources.wrap_same_key(&first.uri, EncryptionContext { wrapped: wrapped.as_deref(), ..binding }, to)
}

/// Remarks of these sources of a version about their keys.
fn remarks(of: &[SourceUri], version: KeyVersion, document: &KeyringDocument, sources: &Sources) -> Vec<String> {
    let of_one = |uri| {
        // It served a moment ago; if it fails now, the next load tells.
        let remarks = document.remarks(version, uri, sources).unwrap_or_default();
        remarks.into_iter().map(move |remark| format!("{uri}: {remark}"))
    };
    of.iter().flat_map(of_one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_kept_as_it_was_given_or_refused() {
        let set = |text: &str| Setting::to(text.parse().expect("a time")).ok().and_then(|set| set.after(None));
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2030-01-31T12:00:00Z", Some(1_896_091_200)),
            ("9999-12-30T22:00:00Z", Some(253_402_207_200)),
            ("2030-01-31T12:00:00.5Z", None),
            ("1970-01-01T00:00:00.000000001Z", None),
            ("1969-12-31T23:59:59.5Z", None),
            ("1969-12-31T23:59:59Z", None),
            ("-009999-01-02T02:00:00Z", None),
        ] {
            assert_eq!(set(text), seconds, "{text}");
        }
    }
}
