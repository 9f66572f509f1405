//! The streams of a relay: one for each realm that somebody asked for, and one for all realms.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bulla::{
    Realm,
    feed::{FollowError, Format, MessageSource},
};

use super::{
    refusals::Refusals,
    stream::{Newest, Stream},
    upstream::Upstream,
};
use crate::{
    config::FollowConfig,
    server::{
        blocking,
        edge::{self, EdgeError},
        problem::Problem,
    },
};

/// How long a follower waits for the first message of its stream.
const FIRST_MESSAGE: Duration = Duration::from_secs(10);
/// The most streams. Those that are refused upstream do not stay.
const MAX_STREAMS: usize = 64;

/// What each is about.
type All = HashMap<(Option<Realm>, Format), Arc<Stream>>;

pub(super) struct Streams {
    follow: FollowConfig,
    all: Mutex<All>,
    pub(super) refusals: Arc<Refusals>,
    /// Held while sources are opened, which reads files: one that hangs holds up new streams alone.
    opening: Arc<tokio::sync::Mutex<()>>,
}

impl Streams {
    pub(super) fn new(follow: FollowConfig) -> Self {
        Streams { follow, all: Mutex::default(), refusals: Arc::default(), opening: Arc::default() }
    }

    /// The stream of a realm, or of all, once its first message is there.
    pub(super) async fn of(
        self: &Arc<Self>,
        realm: Option<Realm>,
        format: Format,
    ) -> Result<(Arc<Stream>, Newest), Problem> {
        // As a node does for an API key of one realm.
        let realm = realm.or(self.follow.realm);
        let stream = self.get((realm, format)).await?;
        let mut newest = stream.newest();
        let first = tokio::time::timeout(FIRST_MESSAGE, newest.wait_for(Option::is_some)).await;
        if let Ok(Ok(newest)) = first
            && let Some(newest) = newest.clone()
        {
            return Ok((stream, newest));
        }
        match stream.error() {
            Some(FollowError::Status(401 | 403)) => {
                self.forget((realm, format));
                Err(Problem::unavailable("this relay's own API key does not open the feed of that realm"))
            }
            _ => Err(Problem::unavailable("this relay has no message of its source yet")),
        }
    }

    /// Begins with the stream that the configuration names.
    pub(super) fn start(&self) -> Result<(), EdgeError> {
        self.open((self.follow.realm, Format::NEWEST)).map(drop)
    }

    async fn get(self: &Arc<Self>, about: (Option<Realm>, Format)) -> Result<Arc<Stream>, Problem> {
        if let Some(stream) = self.known(about) {
            return Ok(stream);
        }
        let cannot = || Problem::unavailable("this relay cannot follow the feed");
        let streams = Arc::clone(self);
        let opened = async move {
            // It stays with the work, which may outlive the request.
            let one_at_a_time = Arc::clone(&streams.opening).lock_owned().await;
            blocking::run(move || {
                let _one_at_a_time = one_at_a_time;
                streams.open(about)
            })
            .await
        };
        let opened = tokio::time::timeout(FIRST_MESSAGE, opened).await.map_err(|_| cannot())??;
        opened.map_err(|error| {
            tracing::error!(%error, "a stream of the feed cannot be followed");
            cannot()
        })
    }
}

impl Streams {
    /// Returns whether the stream that the configuration names has a message that still counts.
    pub(super) fn is_fresh(&self) -> bool {
        self.newest().is_some_and(|newest| newest.is_fresh())
    }

    /// What does not work, one sentence for each stream.
    pub(super) fn trouble(&self) -> Option<String> {
        let messages = |((realm, _), stream): (&(Option<Realm>, Format), &Arc<Stream>)| {
            let about = realm.map_or_else(|| "every realm".to_owned(), |realm| format!("the realm {realm}"));
            stream.trouble().map(|trouble| format!("the feed of {about}: {trouble}"))
        };
        let messages: Vec<String> = self.lock().iter().filter_map(messages).collect();
        (!messages.is_empty()).then(|| messages.join("; "))
    }

    /// Age and place of the stream that the configuration names.
    pub(super) fn place(&self, now: u64) -> (Option<u64>, u64) {
        let newest = self.newest();
        let age = newest.as_ref().map(|newest| now.saturating_sub(newest.this_update));
        (age, newest.map_or(0, |newest| newest.seq))
    }

    /// The newest message of that stream.
    pub(super) fn newest(&self) -> Option<Newest> {
        let stream = self.lock().get(&(self.follow.realm, Format::NEWEST)).cloned()?;
        stream.newest().borrow().clone()
    }

    fn known(&self, about: (Option<Realm>, Format)) -> Option<Arc<Stream>> {
        self.lock().get(&about).cloned()
    }

    /// The stream, which is begun where there is none yet. Reads files, and not under the lock, which requests take.
    fn open(&self, (realm, format): (Option<Realm>, Format)) -> Result<Arc<Stream>, EdgeError> {
        if let Some(stream) = self.known((realm, format)) {
            return Ok(stream);
        }
        if self.lock().len() >= MAX_STREAMS {
            return Err(EdgeError::TooManyStreams);
        }
        let opened = edge::open_sources(&FollowConfig { realm, ..self.follow.clone() })?;
        let nodes = opened.into_iter().filter_map(|opened| opened.node);
        let sources = nodes.map(|node| Arc::new((*node).clone().format(format)) as Arc<dyn MessageSource>).collect();
        let trusted = (self.follow.keyring_id, self.follow.public_key);
        let upstream = Upstream::new(sources, trusted, realm, Arc::clone(&self.refusals));
        let stream = Stream::start(upstream).map_err(EdgeError::Thread)?;
        self.lock().insert((realm, format), Arc::clone(&stream));
        Ok(stream)
    }

    fn forget(&self, (realm, format): (Option<Realm>, Format)) {
        if realm != self.follow.realm {
            self.lock().remove(&(realm, format));
        }
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
