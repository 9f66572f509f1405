//! The publisher: asks for what is new, writes it, and replaces the head object. It goes on from what it finds in
//! place, so that it may be stopped at any moment, and two may run.

use std::{
    thread,
    time::{Duration, Instant},
};

use bulla::{
    CLOCK_DIFFERENCE, Realm,
    feed::{
        Answer, FeedError, FollowError, Head, LogId, Message, Question, Snapshot, VerifyingKey,
        static_feed::{BodyName, FILES, FileName, HEAD, HeadObject, HeadObjectError, SnapshotName, read_base},
    },
    keyring::KeyringId,
};

use super::{
    PublisherMetrics,
    draft::Draft,
    origin::Origin,
    place::{Caching, Place, PlaceError, Replaced, Tag},
    unused_files::Unused,
};
use crate::clock;

/// The shortest time between two head objects: what is revoked meanwhile goes into one file.
const SHORTEST: Duration = Duration::from_millis(250);

/// The time until a snapshot is asked for again, where there was none.
const SNAPSHOT_RETRY: Duration = Duration::from_secs(600);

/// Whose messages are published.
pub(crate) struct Trusted {
    pub(crate) keyring_id: KeyringId,
    pub(crate) key: VerifyingKey,
    pub(crate) realm: Option<Realm>,
}

/// How it is published.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// The longest time between two head objects.
    pub(crate) interval: Duration,
    /// How long a file stays that no head object names any more.
    pub(crate) keep: Duration,
    /// Interval at which all files are made again, without events that no longer count.
    pub(crate) renew: Duration,
}

/// Nothing could be published this time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    #[error(transparent)]
    Source(#[from] FollowError),
    #[error("the feed's newest message is refused: {0}")]
    Refused(#[from] FeedError),
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error("`{name}` in {place} is not the head of a feed ({error}): publish in another place, or remove it")]
    Foreign { place: String, name: String, error: HeadObjectError },
    #[error(
        "{place} has the feed of another keyring, or one that another key signed ({error}): publish in another place"
    )]
    OtherFeed { place: String, error: FeedError },
    #[error("{place} has the feed of {found}, and this is the one of {wanted}: publish in another place")]
    OtherRealm { place: String, found: String, wanted: String },
    #[error(
        "the log ends at {seq}, and up to {published} is published already: the node is behind, and is asked again"
    )]
    Behind { seq: u64, published: u64 },
    #[error("the newest message was signed at {signed}, before the published one at {published}: a clock is behind")]
    Older { signed: u64, published: u64 },
    #[error("another publisher was first: its head object counts, and this one goes on from there")]
    Conflict,
}

/// Publishes one feed in one place.
pub(crate) struct Publisher {
    source: Box<dyn Origin>,
    place: Box<dyn Place>,
    trusted: Trusted,
    settings: Settings,
    metrics: PublisherMetrics,
    published: Option<(Draft, Tag)>,
    unused: Unused,
    /// A file is missing that the head object names.
    broken: bool,
    /// When a snapshot was asked for in vain.
    no_snapshot: Option<Instant>,
}

/// What is published now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) log_id: LogId,
    pub(crate) seq: u64,
    pub(crate) this_update: u64,
    pub(crate) next_update: u64,
    pub(crate) files: usize,
    pub(crate) bytes: usize,
    /// The place of the snapshot, if there is one.
    pub(crate) snapshot: Option<u64>,
}

impl Publisher {
    pub(crate) fn new(
        source: Box<dyn Origin>,
        place: Box<dyn Place>,
        trusted: Trusted,
        settings: Settings,
        metrics: PublisherMetrics,
    ) -> Self {
        let unused = Unused::new(settings.keep);
        Publisher {
            source,
            place,
            trusted,
            settings,
            metrics,
            published: None,
            unused,
            broken: false,
            no_snapshot: None,
        }
    }

    /// Where it publishes, for people.
    pub(crate) fn shown(&self) -> String {
        self.place.shown()
    }

    /// Publishes again and again.
    pub(crate) fn run(mut self) -> ! {
        let (mut delay, mut place) = (SHORTEST, 0);
        loop {
            let began = Instant::now();
            match self.publish(self.settings.interval).and_then(|published| self.tidy().map(|_| published)) {
                Ok(published) => {
                    // A source that does not wait for news is not asked more often for that.
                    let rest = self.settings.interval.saturating_sub(began.elapsed());
                    delay = if published.seq == place { rest.max(SHORTEST) } else { SHORTEST };
                    place = published.seq;
                }
                Err(error) => {
                    delay =
                        (delay * 2).clamp(Duration::from_secs(1), self.settings.interval.max(Duration::from_secs(1)));
                    match error {
                        PublishError::Conflict => tracing::info!("another publisher was first"),
                        error => tracing::warn!(%error, retry_in = ?delay, "publishing the feed failed"),
                    }
                }
            }
            thread::sleep(delay);
        }
    }

    /// Publishes once, after waiting for news for up to `wait`.
    pub(crate) fn publish(&mut self, wait: Duration) -> Result<Published, PublishError> {
        let published = self.publish_once(wait);
        self.metrics.tried(published.as_ref());
        published
    }

    /// Removes files that nobody can need any more, and finds out whether those are there that somebody needs. If one
    /// is not, all are made anew the next time.
    pub(crate) fn tidy(&mut self) -> Result<bool, PublishError> {
        let Some((draft, _)) = &self.published else { return Ok(true) };
        if let Some(missing) = self.unused.tidy(&*self.place, draft, clock::now_seconds())? {
            tracing::warn!(missing, "a published file is gone, publishing all files anew");
            self.broken = true;
        }
        Ok(!self.broken)
    }

    fn publish_once(&mut self, wait: Duration) -> Result<Published, PublishError> {
        if self.published.is_none() {
            self.published = self.read()?;
        }
        let now = clock::now_seconds();
        let due = |draft: &Draft| draft.base_since.saturating_add(clock::seconds_up(self.settings.renew)) <= now;
        let mut draft = match &self.published {
            Some((draft, _)) if !self.broken && !due(draft) => self.go_on(draft.clone(), wait)?,
            Some((draft, _)) => self.renew(draft)?,
            None => self.begin()?,
        };
        if draft.lacks_snapshot() && self.no_snapshot.is_none_or(|at| at.elapsed() > SNAPSHOT_RETRY) {
            let before = draft.snapshot;
            draft = match self.with_snapshot(draft.clone()) {
                Ok(draft) => draft,
                // Revocations do not wait for it: followers read the log.
                Err(error) => {
                    tracing::warn!(%error, "no snapshot could be published");
                    draft
                }
            };
            self.no_snapshot = (draft.snapshot == before).then(Instant::now);
        }
        draft.settle();
        self.put(draft, now)
    }

    /// What is in place.
    fn read(&self) -> Result<Option<(Draft, Tag)>, PublishError> {
        let Some((bytes, tag)) = self.place.read(HEAD)? else { return Ok(None) };
        let foreign = |name: &str, error| PublishError::Foreign { place: self.shown(), name: name.to_owned(), error };
        let HeadObject { base, base_since, snapshot, files, newest } =
            HeadObject::read(&bytes).map_err(|error| foreign(HEAD, error))?;
        let message = Message::read(&newest, self.trusted.keyring_id, &self.trusted.key)
            .map_err(|error| PublishError::OtherFeed { place: self.shown(), error })?;
        let head = message.head().clone();
        if head.realm != self.trusted.realm {
            let (found, wanted) = (about(head.realm), about(self.trusted.realm));
            return Err(PublishError::OtherRealm { place: self.shown(), found, wanted });
        }
        let mut draft =
            Draft { files, newest: Some((newest, head.clone())), ..Draft::new(head.log_id, base_since.unwrap_or(0)) };
        if let Some(base) = base {
            let name = format!("{FILES}/{base}");
            match self.place.read(&name)? {
                Some((bytes, _)) if base.names(&bytes) => {
                    draft.base = read_base(&bytes).map_err(|error| foreign(&name, error))?;
                }
                // All is made anew.
                _ => draft.base_since = 0,
            }
        }
        draft.snapshot = snapshot.map(|name| self.body_of(name)).transpose()?.flatten();
        Ok(Some((draft, tag)))
    }

    /// A snapshot that is in place, and its body; none where the manifest is gone, so that another one is made.
    fn body_of(&self, name: SnapshotName) -> Result<Option<(SnapshotName, BodyName)>, PublishError> {
        let manifest = self.place.read(&format!("{FILES}/{name}"))?.filter(|(bytes, _)| name.names(bytes));
        let read = manifest.map(|(bytes, _)| Snapshot::read(&bytes, self.trusted.keyring_id, &self.trusted.key));
        Ok(read.and_then(Result::ok).map(|snapshot| (name, BodyName::of(&snapshot))))
    }

    /// The same with a snapshot of about its place, if the source has one.
    fn with_snapshot(&self, mut draft: Draft) -> Result<Draft, PublishError> {
        let by = (self.trusted.keyring_id, &self.trusted.key);
        let Some(made) = self.source.snapshot_bytes(by)? else { return Ok(draft) };
        let (head, seq) = (made.snapshot.head(), made.snapshot.seq());
        if (head.log_id, head.realm) != (draft.log_id, self.trusted.realm) {
            return Ok(draft);
        }
        if seq > draft.place() {
            // The log has gone on meanwhile. From its snapshot a follower has to find its way.
            draft = self.poll(draft, Duration::ZERO)?;
        }
        if seq > draft.place() {
            return Ok(draft);
        }
        let (name, body) = (SnapshotName::of(seq, &made.manifest), BodyName::of(&made.snapshot));
        self.place.create(&format!("{FILES}/{body}"), &made.body)?;
        self.place.create(&format!("{FILES}/{name}"), &made.manifest)?;
        self.metrics.wrote(made.body.len() + made.manifest.len());
        draft.snapshot = Some((name, body));
        Ok(draft)
    }

    /// Everything from the beginning of the log.
    fn begin(&self) -> Result<Draft, PublishError> {
        let (_, head) = self.ask(None, 0, Duration::ZERO)?;
        self.poll(Draft::new(head.log_id, clock::now_seconds()), Duration::ZERO)
    }

    /// Everything from the beginning of the log, without the events that no longer count.
    fn renew(&self, before: &Draft) -> Result<Draft, PublishError> {
        let all = self.begin()?;
        if all.log_id != before.log_id || self.broken {
            return Ok(all);
        }
        // The newest of the old files stay beside it: most followers are somewhere in these.
        let draft = Draft { files: before.tail(), base: all.files, ..all };
        self.poll(draft, Duration::ZERO)
    }

    /// The messages after that, and the files in a better order.
    fn go_on(&self, draft: Draft, wait: Duration) -> Result<Draft, PublishError> {
        let (log_id, place) = (draft.log_id, draft.place());
        let mut draft = match self.poll(draft, wait) {
            // The node is behind, or has another log by now.
            Err(PublishError::Source(FollowError::Status(409))) => {
                let (_, head) = self.ask(None, 0, Duration::ZERO)?;
                if head.log_id == log_id {
                    return Err(PublishError::Behind { seq: head.head, published: place });
                }
                return self.begin_another(log_id);
            }
            Err(PublishError::Refused(FeedError::OtherLog { .. })) => return self.begin_another(log_id),
            read => read?,
        };
        while draft.drop_mergeable() {
            draft = self.poll(draft, Duration::ZERO)?;
        }
        Ok(draft)
    }

    fn begin_another(&self, before: LogId) -> Result<Draft, PublishError> {
        let draft = self.begin()?;
        tracing::warn!(%before, now = %draft.log_id, "the server began a new log, publishing all files anew");
        Ok(draft)
    }

    /// Reads on to the end of the log, and writes the new messages as files.
    fn poll(&self, mut draft: Draft, mut wait: Duration) -> Result<Draft, PublishError> {
        loop {
            let (bytes, head) = self.ask(Some(draft.log_id), draft.place(), wait)?;
            wait = Duration::ZERO;
            if head.seq == head.after {
                draft.newest = Some((bytes, head));
                return Ok(draft);
            }
            let name = FileName::of(head.after, head.seq, &bytes);
            self.place.create(&format!("{FILES}/{name}"), &bytes)?;
            self.metrics.wrote(bytes.len());
            draft.files.push(name);
        }
    }

    /// The message that goes on from `after`.
    fn ask(&self, log_id: Option<LogId>, after: u64, wait: Duration) -> Result<(Vec<u8>, Head), PublishError> {
        let Answer::Next(bytes) = self.source.ask(&Question { after, log_id, wait: wait.as_secs() })? else {
            return Err(FeedError::NotNext { after, seq: after }.into());
        };
        let message = Message::read(&bytes, self.trusted.keyring_id, &self.trusted.key)?;
        let head = message.head().clone();
        if head.realm != self.trusted.realm {
            return Err(FeedError::OtherRealm { found: head.realm, expected: self.trusted.realm }.into());
        }
        if let Some(expected) = log_id.filter(|expected| *expected != head.log_id) {
            return Err(FeedError::OtherLog { found: head.log_id, expected }.into());
        }
        if head.after != after {
            return Err(FeedError::NotNext { after: head.after, seq: after }.into());
        }
        Ok((bytes, head))
    }

    /// Puts the head object in place, if nobody else has done so meanwhile and nothing goes back by it.
    fn put(&mut self, draft: Draft, now: u64) -> Result<Published, PublishError> {
        let Some((object, (_, head))) = draft.head_object().zip(draft.newest.clone()) else {
            return Err(PublishError::Conflict);
        };
        let before = self.published.as_ref();
        if let Some((_, known)) = before.and_then(|(draft, _)| draft.newest.as_ref()) {
            if head.log_id == known.log_id && head.seq < known.seq {
                return Err(PublishError::Behind { seq: head.seq, published: known.seq });
            }
            let published = known.this_update;
            if head.this_update < published && published <= now.saturating_add(CLOCK_DIFFERENCE) {
                return Err(PublishError::Older { signed: head.this_update, published });
            }
        }
        let known = before.and_then(|(draft, _)| draft.list());
        if let Some((name, bytes)) = draft.list().filter(|list| known.as_ref() != Some(list)) {
            self.place.create(&format!("{FILES}/{name}"), &bytes)?;
        }
        let bytes = object.write();
        match self.place.replace(HEAD, &bytes, Caching::Briefly, before.map(|(_, tag)| tag))? {
            Replaced::Done(tag) => {
                let files = draft.base.iter().chain(&draft.files);
                let (files, bytes) = files.fold((0, 0), |(files, bytes), file| (files + 1, bytes + file.bytes()));
                let Head { log_id, seq, this_update, next_update, .. } = head;
                let snapshot = draft.snapshot.map(|(name, _)| name.seq);
                self.published = Some((draft, tag));
                self.broken = false;
                Ok(Published { log_id, seq, this_update, next_update, files, bytes, snapshot })
            }
            Replaced::Changed => {
                self.published = None;
                Err(PublishError::Conflict)
            }
        }
    }
}

fn about(realm: Option<Realm>) -> String {
    realm.map_or_else(|| "every realm".to_owned(), |realm| format!("the realm {realm}"))
}

#[cfg(test)]
mod tests;
