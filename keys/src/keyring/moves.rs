//! The life of a key version: the legal moves, and no others (NIST SP 800-57 part 1, section 7).

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};

use super::{KeyCheckValue, KeyVersion, KeyringDocument, KeyringError, SourceRecord, VersionRecord, VersionState};
use crate::{
    labels,
    source::{EncryptionContext, KeySource, Sources},
    suite::Suite,
};

impl KeyringDocument {
    /// The number that the next staged version gets.
    pub fn next_version(&self) -> Result<KeyVersion, KeyringError> {
        match self.versions.iter().map(|record| record.number).max() {
            Some(last) => last.next().ok_or(KeyringError::NumbersUsedUp),
            None => Ok(KeyVersion::FIRST),
        }
    }

    /// Adds a version, staged, after its sources were asked: all must hold the same master key, which no other version
    /// may have. Here and below `now` is in Unix seconds.
    pub fn stage(
        &mut self,
        suite: Suite,
        sources: Vec<SourceRecord>,
        opener: &Sources,
        now: u64,
    ) -> Result<KeyVersion, KeyringError> {
        let number = self.next_version()?;
        let mut agreed: Option<(KeyCheckValue, &SourceRecord)> = None;
        for record in &sources {
            let source = self.open(number, record, opener)?;
            let numbers = self.versions.iter().map(|other| other.number).chain([number]);
            let infos: Vec<Vec<u8>> = numbers.map(|number| labels::key_check(self.id, number)).collect();
            let mut values = source
                .expand_all(&infos)
                .map_err(|error| KeyringError::Source { version: number, error })?
                .into_iter()
                .map(|expanded| KeyCheckValue::of(&expanded));
            for (other, value) in self.versions.iter().zip(&mut values) {
                if value == other.key_check_value {
                    return Err(KeyringError::SameMaster { version: other.number, uri: record.uri.to_string() });
                }
            }
            let value = values.next().ok_or(KeyringError::NoSource(number))?;
            match agreed {
                Some((before, first)) if before != value => {
                    return Err(KeyringError::SourcesDiffer(first.uri.to_string(), record.uri.to_string()));
                }
                Some(_) => {}
                None => agreed = Some((value, record)),
            }
        }
        let Some((key_check_value, _)) = agreed else { return Err(KeyringError::NoSource(number)) };
        self.versions.push(VersionRecord {
            number,
            state: VersionState::Staged,
            suite,
            created_at: now,
            activated_at: None,
            seal_until: None,
            verify_until: None,
            key_check_value,
            sources,
        });
        self.serial += 1;
        Ok(number)
    }

    /// Makes a staged version the active one, and deactivates the one before.
    pub fn activate(&mut self, number: KeyVersion, now: u64) -> Result<(), KeyringError> {
        self.make_active(number, &[VersionState::Staged], "activated", now)
    }

    /// Makes a deactivated version active again, and deactivates the one before.
    pub fn roll_back(&mut self, number: KeyVersion, now: u64) -> Result<(), KeyringError> {
        self.make_active(number, &[VersionState::Deactivated], "rolled back to", now)
    }

    /// Takes a version out of use because its key is known to others. Compromising the active version names the staged
    /// or deactivated one that takes its place, or leaves nothing to issue with.
    pub fn compromise(
        &mut self,
        number: KeyVersion,
        successor: Option<KeyVersion>,
        now: u64,
    ) -> Result<(), KeyringError> {
        const ASKED: &str = "compromised";
        self.expect_state(number, &[VersionState::Staged, VersionState::Active, VersionState::Deactivated], ASKED)?;
        let mut next = self.clone();
        if let Some(successor) = successor {
            if successor == number || self.version(number).is_none_or(|record| record.state != VersionState::Active) {
                return Err(KeyringError::NoSuccession(number));
            }
            next.make_active(successor, &[VersionState::Staged, VersionState::Deactivated], "its successor", now)?;
        }
        next.set_state(number, VersionState::Compromised);
        next.serial = self.serial + 1;
        *self = next;
        Ok(())
    }

    /// Puts a version on record as destroyed, and forgets its wrapped keys. The key in the source itself is for its
    /// owner to delete.
    pub fn destroy(&mut self, number: KeyVersion) -> Result<(), KeyringError> {
        self.expect_state(
            number,
            &[VersionState::Staged, VersionState::Deactivated, VersionState::Compromised],
            "destroyed",
        )?;
        self.set_state(number, VersionState::Destroyed);
        for source in self.versions.iter_mut().filter(|record| record.number == number).flat_map(|one| &mut one.sources)
        {
            source.wrapped = None;
        }
        self.serial += 1;
        Ok(())
    }

    /// Sets until when a version seals and until when it verifies, in Unix seconds; `None` for no limit.
    pub fn limit(
        &mut self,
        number: KeyVersion,
        seal_until: Option<u64>,
        verify_until: Option<u64>,
    ) -> Result<(), KeyringError> {
        let record = self.versions.iter_mut().find(|record| record.number == number);
        let record = record.ok_or(KeyringError::Unknown(number))?;
        (record.seal_until, record.verify_until) = (seal_until, verify_until);
        self.serial += 1;
        Ok(())
    }

    fn set_state(&mut self, number: KeyVersion, state: VersionState) {
        for record in self.versions.iter_mut().filter(|record| record.number == number) {
            record.state = state;
        }
    }

    fn make_active(
        &mut self,
        number: KeyVersion,
        from: &[VersionState],
        asked: &'static str,
        now: u64,
    ) -> Result<(), KeyringError> {
        self.expect_state(number, from, asked)?;
        for record in &mut self.versions {
            if record.number == number {
                record.state = VersionState::Active;
                record.activated_at = Some(now);
            } else if record.state == VersionState::Active {
                record.state = VersionState::Deactivated;
            }
        }
        self.serial += 1;
        Ok(())
    }

    fn expect_state(
        &self,
        number: KeyVersion,
        legal: &[VersionState],
        asked: &'static str,
    ) -> Result<(), KeyringError> {
        let record = self.version(number).ok_or(KeyringError::Unknown(number))?;
        if legal.contains(&record.state) {
            return Ok(());
        }
        let legal = legal_moves(record.state);
        Err(KeyringError::IllegalMove { version: number, state: record.state, asked, legal })
    }

    /// Opens one source of a version.
    pub(super) fn open(
        &self,
        version: KeyVersion,
        record: &SourceRecord,
        opener: &Sources,
    ) -> Result<Box<dyn KeySource>, KeyringError> {
        let wrapped = record.wrapped.as_ref().map(|text| BASE64.decode(text)).transpose();
        let wrapped = wrapped.map_err(|_| KeyringError::Wrapped(version))?;
        let context = EncryptionContext { keyring: self.id, version: Some(version), wrapped: wrapped.as_deref() };
        opener.open(&record.uri, context).map_err(|error| KeyringError::Source { version, error })
    }

    /// The key-check value that the source's key has as that of `version`.
    pub(crate) fn check_value(
        &self,
        source: &dyn KeySource,
        version: KeyVersion,
    ) -> Result<KeyCheckValue, KeyringError> {
        let expanded = source.expand(&labels::key_check(self.id, version));
        expanded.map(|expanded| KeyCheckValue::of(&expanded)).map_err(|error| KeyringError::Source { version, error })
    }
}

fn legal_moves(state: VersionState) -> &'static str {
    match state {
        VersionState::Staged => "a staged version can be activated, compromised or destroyed",
        VersionState::Active => "the active version can be compromised; activating another one deactivates it",
        VersionState::Deactivated => "a deactivated version can be rolled back to, compromised or destroyed",
        VersionState::Compromised => "a compromised version can only be destroyed",
        VersionState::Destroyed => "a destroyed version stays as it is",
    }
}
