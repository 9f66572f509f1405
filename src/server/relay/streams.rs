//! The streams of a relay: one for each realm that somebody reads, and one for all realms.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bulla::{
    Realm,
    feed::{FollowError, Format, MessageSource},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
/// The most streams that have a message.
const MAX_STREAMS: usize = 64;
/// The most streams that wait for their first message beside those: a follower waits for its turn. A realm that no
/// source knows keeps its place for no longer than the source takes to refuse it.
const MAX_BEGINNING: usize = 16;
/// How long a stream goes on after it was last read, as a snapshot is kept.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// What a stream is about.
type About = (Option<Realm>, Format);
type All = HashMap<About, Arc<Stream>>;
/// Opens what a stream asks. It reads files.
type OpenSources = Box<dyn Fn(About) -> Result<Vec<Arc<dyn MessageSource>>, EdgeError> + Send + Sync>;

pub(super) struct Streams {
    follow: FollowConfig,
    open_sources: OpenSources,
    all: Mutex<All>,
    pub(super) refusals: Arc<Refusals>,
    /// A permit is held while sources are opened, and until the first message: files that hang hold up new streams
    /// alone.
    beginning: Arc<Semaphore>,
}

impl Streams {
    pub(super) fn new(follow: FollowConfig) -> Self {
        let of = follow.clone();
        let open_sources = move |(realm, format): About| {
            let opened = edge::open_sources(&FollowConfig { realm, ..of.clone() })?;
            let nodes = opened.into_iter().filter_map(|opened| opened.node);
            Ok(nodes.map(|node| Arc::new((*node).clone().format(format)) as Arc<dyn MessageSource>).collect())
        };
        Self::with(follow, Box::new(open_sources))
    }

    fn with(follow: FollowConfig, open_sources: OpenSources) -> Self {
        Streams {
            follow,
            open_sources,
            all: Mutex::default(),
            refusals: Arc::default(),
            beginning: Arc::new(Semaphore::new(MAX_BEGINNING)),
        }
    }

    /// The stream of a realm, or of all, once its first message is there.
    pub(super) async fn of(
        self: &Arc<Self>,
        realm: Option<Realm>,
        format: Format,
    ) -> Result<(Arc<Stream>, Newest), Problem> {
        // As a node does for an API key of one realm.
        let about = (realm.or(self.follow.realm), format);
        let first = async {
            if let Some(stream) = self.known(about) {
                return first_of(about, stream).await;
            }
            let permit = Arc::clone(&self.beginning).acquire_owned().await.map_err(|_| no_message())?;
            // It outlives the request, so that a stream without a reader and a message does not stay.
            let begun = tokio::spawn(Arc::clone(self).begin(about, permit));
            begun.await.map_err(|_| Problem::internal())?
        };
        tokio::time::timeout(FIRST_MESSAGE, first).await.map_err(|_| no_message())?
    }

    /// Begins with the stream that the configuration names.
    pub(super) fn start(&self) -> Result<(), EdgeError> {
        self.open(self.configured()).map(drop)
    }

    /// Begins a stream, which does not stay without a message.
    async fn begin(
        self: Arc<Self>,
        about: About,
        _until_the_first_message: OwnedSemaphorePermit,
    ) -> Result<(Arc<Stream>, Newest), Problem> {
        let streams = Arc::clone(&self);
        let stream = blocking::run(move || streams.open(about)).await?.map_err(|error| {
            tracing::error!(%error, "a stream of the feed cannot be followed");
            match error {
                EdgeError::TooManyStreams => Problem::unavailable(error.to_string()),
                _ => Problem::unavailable("this relay cannot follow the feed"),
            }
        })?;
        let first = tokio::time::timeout(FIRST_MESSAGE, first_of(about, Arc::clone(&stream))).await;
        let first = first.unwrap_or_else(|_| Err(no_message()));
        if first.is_err() {
            self.forget(about, &stream);
        }
        first
    }
}

/// A stream and its first message, or why the sources refuse what it asks.
async fn first_of(about: About, stream: Arc<Stream>) -> Result<(Arc<Stream>, Newest), Problem> {
    match stream.first().await {
        Ok(newest) => Ok((stream, newest)),
        Err(error) => Err(refused(about, &error)),
    }
}

fn no_message() -> Problem {
    Problem::unavailable("this relay has no message of its source yet")
}

/// What a follower hears of a question that the sources refuse.
fn refused((realm, _): About, error: &FollowError) -> Problem {
    match (error, realm) {
        (FollowError::Status(401 | 403), _) => {
            Problem::unavailable("this relay's own API key does not open the feed of that realm")
        }
        (FollowError::Status(400), Some(realm)) => Problem::bad_request(format!(
            "`realm`: the source of this relay refuses the realm `{realm}`: ask for a realm that its nodes have"
        )),
        (FollowError::Status(400), None) => Problem::bad_request(
            "the source of this relay does not understand the question: it may be too old for this format of the feed",
        ),
        _ => Problem::unavailable(format!("the source of this relay refuses the question: {error}")),
    }
}

impl Streams {
    /// Returns whether the stream that the configuration names has a message that still counts.
    pub(super) fn is_fresh(&self) -> bool {
        self.newest().is_some_and(|newest| newest.is_fresh())
    }

    /// What does not work, one sentence for each stream.
    pub(super) fn trouble(&self) -> Option<String> {
        let messages = |(about, stream): (&About, &Arc<Stream>)| {
            // A new one may be for a realm that no source knows, and its follower hears of that.
            let trouble = stream.trouble().filter(|_| *about == self.configured() || stream.has_message())?;
            let realm = about.0.map_or_else(|| "every realm".to_owned(), |realm| format!("the realm {realm}"));
            Some(format!("the feed of {realm}: {trouble}"))
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
        let stream = self.known(self.configured())?;
        stream.newest().borrow().clone()
    }

    /// Ends the streams that nobody has read lately, and those that the sources refuse by now and whose last message
    /// does not count any more.
    pub(super) fn forget_unread(&self) {
        self.forget_unread_for(KEPT_FOR);
    }

    fn forget_unread_for(&self, kept_for: Duration) {
        let is_over = |stream: &Stream| stream.unread_for() >= kept_for || stream.is_refused();
        self.lock().retain(|about, stream| *about == self.configured() || !is_over(stream));
    }

    /// What the stream is about that the configuration names. It goes on as long as the relay.
    fn configured(&self) -> About {
        (self.follow.realm, Format::NEWEST)
    }

    fn known(&self, about: About) -> Option<Arc<Stream>> {
        self.lock().get(&about).cloned()
    }

    /// The stream, which is begun where there is none yet. Reads files, and not under the lock, which requests take.
    fn open(&self, about: About) -> Result<Arc<Stream>, EdgeError> {
        if let Some(stream) = self.known(about) {
            return Ok(stream);
        }
        if self.lock().values().filter(|stream| stream.has_message()).count() >= MAX_STREAMS {
            return Err(EdgeError::TooManyStreams);
        }
        let trusted = (self.follow.keyring_id, self.follow.public_key);
        let upstream = Upstream::new((self.open_sources)(about)?, trusted, about.0, Arc::clone(&self.refusals));
        let stream = Stream::start(upstream).map_err(EdgeError::Thread)?;
        // Another request may have been faster.
        Ok(Arc::clone(self.lock().entry(about).or_insert(stream)))
    }

    fn forget(&self, about: About, stream: &Arc<Stream>) {
        let mut all = self.lock();
        if about != self.configured() && all.get(&about).is_some_and(|known| Arc::ptr_eq(known, stream)) {
            all.remove(&about);
        }
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
