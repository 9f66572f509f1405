//! The deployment's own log as a source of messages, signed with the key of its feed, as a node would.

use std::{
    fmt,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bulla::{
    Realm,
    feed::{
        Answer, FollowError, Format, Head, Message, MessageSource, Question, SigningKey, Snapshot, SnapshotBytes,
        SnapshotHead, VerifyingKey,
    },
    keyring::{KeyVersion, KeyringDocument, KeyringId, MacKey, VersionState},
};

use super::origin::Origin;

use crate::{
    clock,
    deployment::{Deployment, DeploymentError},
    store::{LogTail, Store},
};

/// The time between two looks at the log, as for a node.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

pub(crate) struct LocalLog {
    deployment: Deployment,
    store: Arc<dyn Store>,
    mac_key: Arc<MacKey>,
    key: SigningKey,
    realm: Option<Realm>,
}

impl LocalLog {
    /// The log of a deployment, of one realm or of all. None where the deployment signs no feed.
    pub(crate) fn open(deployment: Deployment, realm: Option<Realm>) -> Result<Option<Self>, DeploymentError> {
        let Some(key) = deployment.feed_key()? else { return Ok(None) };
        let store = deployment.store()?;
        let (_, mac_key) = deployment.document_and_key(&*store)?;
        Ok(Some(LocalLog { deployment, store, mac_key, key, realm }))
    }

    /// The keyring's id.
    pub(crate) fn keyring_id(&self) -> Result<KeyringId, DeploymentError> {
        Ok(self.deployment.document_with(&*self.store, &self.mac_key)?.id())
    }

    /// The public key of the feed.
    pub(crate) fn public_key(&self) -> VerifyingKey {
        self.key.verifying_key()
    }

    fn message(&self, question: &Question) -> Result<Vec<u8>, FollowError> {
        let until = Instant::now() + Duration::from_secs(question.wait);
        let part = loop {
            let part = self.store.revocations_after(question.after, Message::MAX_EVENTS as u32).map_err(failed)?;
            let same_log = question.log_id.is_none_or(|log_id| log_id.to_string() == part.log_id);
            if question.after > part.end {
                return Err(FollowError::BEHIND);
            }
            if part.end > question.after || !same_log || Instant::now() >= until {
                break part;
            }
            thread::sleep(POLL_INTERVAL);
        };
        let document = self.document()?;
        let concerns =
            |realm: Realm| part.events.iter().filter(move |event| event.change.concerns(realm)).copied().collect();
        let events = self.realm.map_or_else(|| part.events.clone(), concerns);
        let now = clock::now_seconds();
        let head = Head {
            format: Format::V1,
            keyring_id: document.id(),
            log_id: part.log_id.parse().map_err(failed)?,
            realm: self.realm,
            after: question.after,
            seq: part.through,
            head: part.end,
            this_update: now,
            next_update: now + self.deployment.config.feed.valid_for.0.as_secs(),
            keyring_serial: document.serial(),
            versions: versions(&document),
            live: None,
        };
        Ok(Message::write(&head, &events, &self.key)?)
    }

    fn document(&self) -> Result<KeyringDocument, FollowError> {
        self.deployment.document_with(&*self.store, &self.mac_key).map_err(failed)
    }
}

impl Origin for LocalLog {
    /// Reads the whole log. One with damaged rows says less than it did, and is not written down.
    fn snapshot_bytes(
        &self,
        (keyring_id, key): (KeyringId, &VerifyingKey),
    ) -> Result<Option<SnapshotBytes>, FollowError> {
        let (mut log, now) = (LogTail::default(), clock::now_seconds());
        log.poll(&*self.store, now).map_err(failed)?;
        let Some(log_id) = log.log_id().filter(|_| log.damaged() == 0) else { return Ok(None) };
        let document = self.document()?;
        let head = SnapshotHead {
            keyring_id,
            log_id: log_id.parse().map_err(failed)?,
            realm: self.realm,
            this_update: now,
            keyring_serial: document.serial(),
            versions: versions(&document),
        };
        let (manifest, body) = Snapshot::write(&head, &log.log, &self.key)?;
        let snapshot = Snapshot::read(&manifest, keyring_id, key)?;
        Ok(Some(SnapshotBytes { snapshot, manifest, body }))
    }
}

fn versions(document: &KeyringDocument) -> Vec<(KeyVersion, VersionState)> {
    document.versions().iter().map(|record| (record.number, record.state)).collect()
}

impl MessageSource for LocalLog {
    fn name(&self) -> &str {
        &self.deployment.config.store.url
    }

    fn ask(&self, question: &Question) -> Result<Answer, FollowError> {
        self.message(question).map(Answer::Next)
    }
}

fn failed(error: impl fmt::Display) -> FollowError {
    FollowError::Unreachable(error.to_string().into())
}
