//! Asks the key sources at the start, and waits for them if that is wanted.

use std::{sync::Arc, time::Duration};

use bulla::keyring::{Keyring, KeyringDocument, MacKey};

use crate::{
    deployment::{Deployment, DeploymentError},
    secret::Peppers,
    store::Store,
};

/// The longest retry delay.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(30);

/// The keys of the sources.
pub(super) struct Started {
    pub(super) document: KeyringDocument,
    pub(super) mac_key: Arc<MacKey>,
    pub(super) keyring: Keyring,
    pub(super) peppers: Option<Peppers>,
}

/// Asks the sources of keyring and pepper. With `wait` it asks again while one does not answer, and keeps keys already
/// loaded; errors that waiting cannot fix are returned at once.
pub(super) fn ask(deployment: &Deployment, store: &dyn Store, wait: bool) -> Result<Started, DeploymentError> {
    let mut delay = Duration::from_secs(1);
    let mut loaded = None;
    loop {
        match try_once(deployment, store, &mut loaded) {
            Err(DeploymentError::Keyring(error)) if wait && error.is_unreachable() => {
                tracing::warn!(%error, retry_in = ?delay, "waiting for a key source");
                std::thread::sleep(delay);
                delay = (delay * 2).min(MAX_RETRY_DELAY);
            }
            asked => return asked,
        }
    }
}

fn try_once(
    deployment: &Deployment,
    store: &dyn Store,
    loaded: &mut Option<Keyring>,
) -> Result<Started, DeploymentError> {
    let (document, mac_key) = deployment.document_and_key(store)?;
    let before = loaded.take().unwrap_or_else(|| Keyring::empty(document.id()));
    let realms = deployment.config.all_realms();
    let (keyring, mut failed) = before.reload(&document, &deployment.sources, &realms, bulla::keyring::Reload::Missing);
    if let Some(last) = failed.pop() {
        *loaded = Some(keyring);
        // An error that waiting cannot fix comes first.
        let worst = failed.into_iter().find(|error| !error.is_unreachable());
        return Err(worst.unwrap_or(last).into());
    }
    let peppers = deployment.peppers(&document);
    if peppers.is_err() {
        *loaded = Some(keyring.clone());
    }
    Ok(Started { peppers: peppers?, document, mac_key, keyring })
}
