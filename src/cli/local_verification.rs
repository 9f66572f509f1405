//! Verification by the keyring and store of a deployment, on the command's own thread.

use std::sync::Arc;

use bulla::{ApiKey, SecretCheck, Verifier, keyring::KeyringDocument, secret::HashMemory};

use super::output;
use crate::{
    clock,
    deployment::{Deployment, DeploymentError},
    imported::ImportedKeys,
    secret::{self, Found, Peppers, Stored},
    store::{LogTail, Store, StoreError},
    verification::{
        Checked, Learned, OldSystem, Pending, Question, Stale, Step, Verdict, VerifierState, Wanted, decide,
        importing_realms, read_imported_keys,
    },
};

/// The hashes that a verification asks for.
struct Hashes<'d> {
    deployment: &'d Deployment,
    store: &'d dyn Store,
    document: KeyringDocument,
}

/// Verifies `text` as a service with this configuration does. It reads the revocation log itself, so it is never stale.
pub(super) fn verify(deployment: &Deployment, text: &str, wanted: &Wanted) -> Result<Verdict, DeploymentError> {
    let store = &*deployment.store()?;
    let (document, keyring) = deployment.keyring(store)?;
    let imported = ImportedKeys::default();
    // A store may hold millions of imported keys, so they are read only for a text that is not one of bulla's own keys.
    // The log is read after them: it has what came with their rows.
    if text.parse::<ApiKey>().is_err() {
        read_imported_keys(&imported, store, &deployment.config, &|| Ok(()))?;
    }
    let mut log = LogTail::default();
    log.poll(store, clock::now_seconds())?;
    if let Some(damage) = log.damage() {
        output::note(&damage);
    }
    let verifier = Verifier::new(&keyring)
        .requiring_secrets(&secret::requiring(&deployment.config))
        .with_revocations(Arc::new(log.log.revocations().clone()));
    let (importing, old_systems) = (importing_realms(&deployment.config), OldSystem::all(&deployment.config));
    let state = VerifierState {
        verifier: &verifier,
        stale: &Stale::Nothing,
        imported: &imported,
        importing: &importing,
        old_systems: &old_systems,
        missing: &[],
    };
    let hashes = Hashes { deployment, store, document };
    let mut step = decide(&state, text, wanted, clock::now_seconds());
    loop {
        step = match step {
            Step::Done(verdict) => return Ok(verdict),
            Step::Ask(Pending::Hash(pending)) => {
                let checked = hashes.check(pending.question())?;
                pending.resume(checked, &state, wanted, clock::now_seconds())
            }
            Step::Ask(Pending::Digest(pending)) => {
                let digest = pending.search().text().digest();
                pending.resume(digest.as_deref(), &state, wanted, clock::now_seconds())
            }
            // The answer would put the key on record, and a command that verifies changes nothing.
            Step::Ask(Pending::OldSystem(pending)) => {
                pending.resume(Learned::Unknown, &state, text, wanted, clock::now_seconds())
            }
        }
    }
}

impl Hashes<'_> {
    fn check(&self, question: Question<'_>) -> Result<Checked, DeploymentError> {
        let candidate = match question {
            Question::SecretHalf(check) => {
                let peppers = self.deployment.peppers(&self.document)?;
                let checked = peppers.map(|peppers| self.find(&peppers, check)).transpose()?;
                return Ok(checked.unwrap_or(Checked::CouldNotTell));
            }
            Question::Imported(candidate) | Question::EndedImported(candidate) => candidate,
        };
        Ok(match candidate.matches() {
            Ok(true) => Checked::Right,
            Ok(false) => Checked::Wrong,
            Err(error) => {
                output::note(&error);
                Checked::CouldNotTell
            }
        })
    }

    /// Returns whether the secret half is right by one of the stored hashes.
    fn find(&self, peppers: &Peppers, check: &SecretCheck) -> Result<Checked, StoreError> {
        let id = check.id();
        let stored = Stored::read(&id, self.store.secret_hashes(&id, clock::now())?, peppers);
        let scheme = secret::scheme_of(&self.deployment.config, id.realm());
        let active = peppers.active().version();
        Ok(match stored.find(&peppers.digests(check), &mut HashMemory::default(), scheme, active) {
            Found::Right { .. } => Checked::Right,
            Found::Wrong => Checked::Wrong,
            Found::CouldNotTell(error) => {
                output::note(&error);
                Checked::CouldNotTell
            }
        })
    }
}
