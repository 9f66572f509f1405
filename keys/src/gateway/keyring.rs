//! The keyring of a gate that has the keyring itself. The states of a changed document count at once, with the keys
//! that are loaded; then the key sources are asked for what is missing.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    GateError, Settings,
    keys::Read,
    settings::{Follow, KeyringTable},
};
use crate::{
    keyring::{EdgeMac, Keyring, KeyringDocument, KeyringError, MacKey, Reload},
    labels,
    realm::Realm,
    shared::SharedVerifier,
    source::{EncryptionContext, Sources},
    verifier::Verifier,
};

/// More than a keyring of ten thousand versions has.
const MAX_DOCUMENT: u64 = 8 * 1024 * 1024;

pub(super) struct GateKeyring {
    table: KeyringTable,
    /// None before the first load. Held while a document is put in force, and never while a key source is asked.
    in_force: Mutex<Option<InForce>>,
}

struct InForce {
    mac_key: Arc<MacKey>,
    document: KeyringDocument,
    keyring: Keyring,
    /// What the key sources said last, where they did not serve.
    failed: Option<String>,
}

impl GateKeyring {
    pub(super) fn new(table: KeyringTable) -> Self {
        GateKeyring { table, in_force: Mutex::new(None) }
    }

    /// The file of the document.
    pub(super) fn path(&self, settings: &Settings) -> PathBuf {
        settings.folder.join(self.table.source.rest())
    }

    /// What authenticates the state on disk.
    pub(super) fn state_mac(&self, settings: &Settings, follow: &Follow) -> Result<EdgeMac, GateError> {
        let context = EncryptionContext { keyring: follow.keyring_id, version: None, wrapped: None };
        let source = self.sources(settings).open_configured(&self.table.mac_source, context);
        let key = source.and_then(|source| source.expand(&labels::edge_state(follow.keyring_id)));
        Ok(EdgeMac::of(key.map_err(KeyringError::MacSource)?))
    }

    /// Loads all of it, for the first time.
    pub(super) fn load(&self, settings: &Settings) -> Result<Verifier, GateError> {
        if self.table.source.scheme() != "file" {
            return Err(GateError::Settings("keyring.source must be a file: write `file:keyring.toml`".to_owned()));
        }
        let (sources, text) = (self.sources(settings), self.text(settings)?);
        let mac_key = Arc::new(MacKey::for_document(&text, &self.table.mac_source, &sources)?);
        let document = checked(KeyringDocument::parse_with(&text, &mac_key)?, settings)?;
        let keyring = Keyring::load(&document, &sources, &realms(settings))?;
        let verifier = verifier_of(&keyring, settings);
        *self.in_force() = Some(InForce { mac_key, document, keyring, failed: None });
        Ok(verifier)
    }

    /// Puts the document as it is now in force, with the keys that are loaded.
    pub(super) fn read(&self, settings: &Settings, verifier: &SharedVerifier) -> Result<Read, GateError> {
        // Read under the lock, or an older document could win over a newer one.
        let mut in_force = self.in_force();
        let text = self.text(settings)?;
        let Some(now) = &mut *in_force else { return Ok(Read { failed: None, wants_sources: true }) };
        let document = match KeyringDocument::parse_with(&text, &now.mac_key) {
            // It may be under another MAC key by now, which a source has.
            Err(KeyringError::MacWrong) => {
                let failed = Some("the keyring document is not under the MAC key that is loaded".to_owned());
                return Ok(Read { failed, wants_sources: true });
            }
            document => checked(document?, settings)?,
        };
        now.put(document, &[], settings, verifier);
        let missing: Vec<String> = now.keyring.unloaded().iter().map(ToString::to_string).collect();
        if missing.is_empty() {
            now.failed = None;
            return Ok(Read { failed: None, wants_sources: false });
        }
        let said = now.failed.as_deref().unwrap_or("their sources have to be asked");
        let failed = format!("the keys of these versions are not loaded: {}; {said}", missing.join(", "));
        Ok(Read { failed: Some(failed), wants_sources: true })
    }

    /// Asks the key sources for what is missing. Keys that are loaded stay. `note` hears what failed, or nothing, before
    /// the new keys are in force; once it `is_stopped` it changes nothing.
    pub(super) fn ask(
        &self,
        settings: &Settings,
        verifier: &SharedVerifier,
        is_stopped: impl Fn() -> bool,
        note: impl Fn(Option<String>),
    ) -> Result<(), GateError> {
        self.ask_mac_key(settings, verifier, &is_stopped).inspect_err(|error| {
            if !is_stopped() {
                note(Some(error.to_string()));
            }
        })?;
        let before = self.in_force().as_ref().map(|now| (now.document.clone(), now.keyring.clone()));
        let Some((document, keyring)) = before else { return Ok(()) };
        let (loaded, failed) = keyring.reload(&document, &self.sources(settings), &realms(settings), Reload::Missing);
        let told = failed.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        if let Some(now) = self.in_force().as_mut().filter(|_| !is_stopped()) {
            now.failed = Some(told).filter(|told| !told.is_empty());
            note(now.failed.clone());
            // By now another document may be in force.
            now.put(now.document.clone(), &[&loaded], settings, verifier);
        }
        failed.into_iter().next().map_or(Ok(()), |error| Err(error.into()))
    }

    /// Returns whether a version that opens is without its key.
    pub(super) fn lacks_keys(&self) -> bool {
        self.in_force().as_ref().is_some_and(|now| !now.keyring.unloaded().is_empty())
    }

    /// Asks the source of the MAC key where the document is not under the one that is loaded, and puts it in force.
    fn ask_mac_key(
        &self,
        settings: &Settings,
        verifier: &SharedVerifier,
        is_stopped: impl Fn() -> bool,
    ) -> Result<(), GateError> {
        let (text, loaded) = (self.text(settings)?, self.in_force().as_ref().map(|now| Arc::clone(&now.mac_key)));
        let is_under = |key: &MacKey| !matches!(KeyringDocument::parse_with(&text, key), Err(KeyringError::MacWrong));
        if loaded.is_some_and(|key| is_under(&key)) {
            return Ok(());
        }
        let mac_key = MacKey::for_document(&text, &self.table.mac_source, &self.sources(settings))?;
        // The loaded key is replaced only if the document's MAC is right under the new one.
        let document = checked(KeyringDocument::parse_with(&text, &mac_key)?, settings)?;
        if let Some(now) = self.in_force().as_mut().filter(|_| !is_stopped()) {
            now.mac_key = Arc::new(mac_key);
            now.put(document, &[], settings, verifier);
        }
        Ok(())
    }

    fn sources(&self, settings: &Settings) -> Sources {
        Sources::new(&settings.folder).trusting(&self.table.trusted_sources).handing(settings.files.clone())
    }

    fn text(&self, settings: &Settings) -> Result<String, GateError> {
        let text = settings.files.regular(&settings.folder, self.table.source.rest(), MAX_DOCUMENT);
        let text = text.and_then(|text| String::from_utf8(text).map_err(io::Error::other));
        text.map_err(|error| GateError::Read { path: self.path(settings), error })
    }

    fn in_force(&self) -> MutexGuard<'_, Option<InForce>> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InForce {
    /// Puts a document in force, with the keys that `loaded` and this one have.
    fn put(&mut self, document: KeyringDocument, loaded: &[&Keyring], settings: &Settings, verifier: &SharedVerifier) {
        let loaded: Vec<&Keyring> = loaded.iter().copied().chain([&self.keyring]).collect();
        let keyring = Keyring::follow(&loaded, &document, &realms(settings));
        verifier.store(verifier_of(&keyring, settings));
        (self.document, self.keyring) = (document, keyring);
    }
}

/// The document, if it is that of the keyring whose feed is followed.
fn checked(document: KeyringDocument, settings: &Settings) -> Result<KeyringDocument, GateError> {
    match settings.follow.as_ref().filter(|follow| follow.keyring_id != document.id()) {
        None => Ok(document),
        Some(follow) => Err(GateError::Settings(format!(
            "follow.keyring_id is {}, and the keyring is {}: follow the feed of this one",
            follow.keyring_id,
            document.id()
        ))),
    }
}

fn realms(settings: &Settings) -> Vec<Realm> {
    settings.realms().collect()
}

fn verifier_of(keyring: &Keyring, settings: &Settings) -> Verifier {
    let secret: Vec<Realm> = settings.realms.iter().filter(|one| one.requires_secret).map(|one| one.realm).collect();
    Verifier::new(keyring).requiring_secrets(&secret)
}
