//! The deployment's own log as a source of messages, signed with the key of its feed, as a node would.

use std::{
    fmt,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bulla::{
    Realm,
    feed::{Answer, FollowError, Format, Head, Message, MessageSource, Question, SigningKey},
    keyring::MacKey,
};

use crate::{
    clock,
    deployment::{Deployment, DeploymentError},
    store::Store,
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
    pub(crate) fn keyring_id(&self) -> Result<bulla::keyring::KeyringId, DeploymentError> {
        Ok(self.deployment.document_with(&*self.store, &self.mac_key)?.id())
    }

    /// The public key of the feed.
    pub(crate) fn public_key(&self) -> bulla::feed::VerifyingKey {
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
        let document = self.deployment.document_with(&*self.store, &self.mac_key).map_err(failed)?;
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
            versions: document.versions().iter().map(|record| (record.number, record.state)).collect(),
            live: None,
        };
        Ok(Message::write(&head, &events, &self.key)?)
    }
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
