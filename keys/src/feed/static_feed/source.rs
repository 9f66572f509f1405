//! The source of a follower that reads the static form: the head object at intervals, and the files that it has not
//! read yet.

use std::{
    fmt,
    io::Read,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rand::{TryRng, rngs::SysRng};
use ureq::http::HeaderValue;

use super::{
    BaseName, BodyName, FILES, FileName, HEAD, HeadObject,
    files::{Files, Objects, unusable},
    read_base,
};
use crate::{
    feed::{
        Answer, FeedState, FollowError, FollowerError, FollowerHandle, LoadedSnapshot, Message, MessageSource,
        Question, Snapshot, SnapshotLoad, VerifyingKey, WhenStale,
        follower_state::{FollowerState, Moment},
        handle, snapshot,
    },
    keyring_id::KeyringId,
    realm::Realm,
    shared::SharedVerifier,
};

/// What a source answers that has no snapshot.
const NONE: u16 = 404;
/// The pause before a body that was cut off goes on.
const PAUSE: Duration = Duration::from_millis(500);
/// The time between two looks at the head object, more or less.
const INTERVAL: Duration = Duration::from_secs(5);

/// The files that `bulla feed publish` writes, from any server, bucket or CDN, or in a folder.
pub struct PublishedSource {
    address: String,
    files: Files,
    trusted: (KeyringId, VerifyingKey),
    interval: Duration,
    /// One asks at a time.
    seen: Mutex<ReadProgress>,
}

/// What was read so far.
#[derive(Default)]
struct ReadProgress {
    newest: Option<Newest>,
    base: Option<(BaseName, Vec<FileName>)>,
    /// The follower is on its way to the end that the newest message names. Until it is there the head object is not
    /// looked at.
    catching_up: bool,
}

/// A head object, and the message in it.
struct Newest {
    object: HeadObject,
    message: Message,
    tag: Option<HeaderValue>,
}

impl PublishedSource {
    /// The files beside the head object at `address`, which ends in `/head`; messages of this keyring that are signed
    /// with this key. The address is https, on this machine, or `file:` and a path.
    pub fn new(address: &str, keyring_id: KeyringId, key: VerifyingKey) -> Result<Self, FollowerError> {
        let (files, seen) = (Files::beside(address, HEAD)?, Mutex::default());
        Ok(PublishedSource { address: address.to_owned(), files, trusted: (keyring_id, key), interval: INTERVAL, seen })
    }

    /// The same, read by the program itself: `name` is for logs.
    pub fn of_objects(name: String, objects: Box<dyn Objects>, keyring_id: KeyringId, key: VerifyingKey) -> Self {
        let (files, seen) = (Files::of(objects), Mutex::default());
        PublishedSource { address: name, files, trusted: (keyring_id, key), interval: INTERVAL, seen }
    }

    /// Looks at the head object that often, in the place of every five seconds.
    #[must_use]
    pub fn interval(self, interval: Duration) -> Self {
        PublishedSource { interval, ..self }
    }

    /// Trusts servers whose certificate comes from one of these, in PEM, in the place of the system's.
    pub fn trusting_roots(self, pem: &[u8]) -> Result<Self, FollowerError> {
        Ok(PublishedSource { files: self.files.trusting_roots(pem)?, ..self })
    }

    /// Begins to follow these files, one realm or all, as [`Follower`](crate::feed::Follower) does a server.
    pub fn start(
        self,
        realm: Option<Realm>,
        verifier: &SharedVerifier,
        when_stale: WhenStale,
        clock: impl Fn() -> u64 + Send + 'static,
    ) -> Result<FollowerHandle, FollowerError> {
        let (trusted, followed) = (self.trusted, (verifier.clone(), when_stale));
        let state = FollowerState::new(FeedState::new(realm), trusted, followed, Moment::first(clock()));
        handle::start(Arc::new(self), state.shared(), None, Instant::now(), clock)
    }

    /// Looks at the head object. One that is older than what is known comes from a cache that is behind, and counts
    /// only where `any` does.
    fn look(&self, seen: &mut ReadProgress, any: bool) -> Result<(), FollowError> {
        let tag = seen.newest.as_ref().and_then(|newest| newest.tag.as_ref());
        let Some((bytes, tag)) = self.files.get(HEAD, tag, HeadObject::MAX_BYTES)? else { return Ok(()) };
        let object = HeadObject::read(&bytes).map_err(|error| unusable(HEAD, error))?;
        let message = Message::read(&object.newest, self.trusted.0, &self.trusted.1)?;
        let known = seen.newest.as_ref().map_or(0, |newest| newest.message.head().this_update);
        if any || message.head().this_update >= known {
            seen.newest = Some(Newest { object, message, tag });
        }
        Ok(())
    }

    fn wait_for_news(&self, seen: &mut ReadProgress, question: &Question) -> Result<(), FollowError> {
        let until = Instant::now() + Duration::from_secs(question.wait);
        self.look(seen, question.wait == 0)?;
        while !seen.newest.as_ref().is_some_and(|newest| newest.is_news(question)) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.files.pause(varied(self.interval).min(left))?;
            self.look(seen, false)?;
        }
        Ok(())
    }

    /// What a follower applies that has reached `place`, on its way to the newest message.
    fn part(&self, seen: &mut ReadProgress, place: u64) -> Result<Answer, FollowError> {
        let Some(newest) = &seen.newest else { return Err(nothing_behind(place)) };
        let answer = |part| Answer::Part { part, newest: newest.object.newest.clone() };
        let read = match newest.object.files.iter().find(|file| file.covers(place)) {
            Some(file) => self.file(file),
            None => Err(nothing_behind(place)),
        };
        let base = newest.object.base.filter(|base| place < base.seq);
        // A file that is missing there may be missing here, too.
        let (Err(error), Some(base)) = (&read, base) else { return read.map(answer) };
        let files = match seen.base.take().filter(|(name, _)| *name == base) {
            Some((_, files)) => files,
            None => self.base(base)?,
        };
        let file = files.iter().find(|file| file.covers(place)).copied();
        seen.base = Some((base, files));
        file.map_or(Err(error.clone()), |file| self.file(&file)).map(answer)
    }

    /// The snapshot that the head object names, loaded.
    fn load(&self, by: (KeyringId, &VerifyingKey)) -> Result<LoadedSnapshot, FollowError> {
        let named = {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.newest.as_ref().and_then(|newest| newest.object.snapshot)
        };
        let name = named.ok_or(FollowError::Status(NONE))?;
        let manifest = self.whole(&name.to_string(), name.bytes(), |bytes| name.names(bytes))?;
        let mut load = SnapshotLoad::new(Snapshot::read(&manifest, by.0, by.1)?);
        let body = BodyAt { files: &self.files, name: format!("{FILES}/{}", BodyName::of(load.snapshot())) };
        snapshot::download(&body, &mut load, |_| {})?;
        Ok(load.finish()?)
    }

    fn base(&self, base: BaseName) -> Result<Vec<FileName>, FollowError> {
        let bytes = self.whole(&base.to_string(), base.bytes(), |bytes| base.names(bytes))?;
        read_base(&bytes).map_err(|error| unusable(&base.to_string(), error))
    }

    fn file(&self, name: &FileName) -> Result<Vec<u8>, FollowError> {
        self.whole(&name.to_string(), name.bytes(), |bytes| name.names(bytes))
    }

    fn whole(&self, name: &str, length: usize, is_it: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>, FollowError> {
        let got = self.files.get(&format!("{FILES}/{name}"), None, length)?;
        let bytes = got.map(|(bytes, _)| bytes).unwrap_or_default();
        if is_it(&bytes) {
            return Ok(bytes);
        }
        Err(unusable(name, "it was cut off or altered: its name has the hash of other bytes"))
    }
}

impl MessageSource for PublishedSource {
    fn name(&self) -> &str {
        &self.address
    }

    fn ask(&self, question: &Question) -> Result<Answer, FollowError> {
        let seen = &mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let ahead = |seen: &ReadProgress| seen.newest.as_ref().is_some_and(|newest| newest.is_ahead(question));
        if !(std::mem::take(&mut seen.catching_up) && ahead(seen)) {
            self.wait_for_news(seen, question)?;
        }
        if ahead(seen) {
            let part = self.part(seen, question.after)?;
            seen.catching_up = true;
            return Ok(part);
        }
        match &seen.newest {
            // Not as a node that is behind: nobody has lost the log's end, and nothing is gained by starting again.
            Some(newest) if newest.is_behind(question) => {
                Err(unusable(HEAD, "a cache has an older one than was seen before"))
            }
            Some(newest) => Ok(Answer::Next(newest.object.newest.clone())),
            None => Err(nothing_behind(question.after)),
        }
    }

    fn snapshot(&self, by: (KeyringId, &VerifyingKey)) -> Result<LoadedSnapshot, FollowError> {
        self.load(by)
    }

    fn stop(&self) {
        self.files.stop();
    }
}

/// The body of a snapshot.
struct BodyAt<'f> {
    files: &'f Files,
    name: String,
}

impl snapshot::Body for BodyAt<'_> {
    fn begin_at(&self, byte: usize) -> Result<(Box<dyn Read + '_>, bool), FollowError> {
        self.files.open(&self.name, byte)
    }

    fn pause(&self) -> Result<(), FollowError> {
        self.files.pause(PAUSE)
    }
}

impl Newest {
    /// Returns whether a follower can learn anything but the time.
    fn is_news(&self, question: &Question) -> bool {
        let head = self.message.head();
        question.log_id != Some(head.log_id) || head.seq > question.after
    }

    /// Returns whether the message goes on from a later place in the follower's log.
    fn is_ahead(&self, question: &Question) -> bool {
        let head = self.message.head();
        question.log_id.is_none_or(|log_id| log_id == head.log_id) && head.after > question.after
    }

    /// Returns whether the message goes on from an earlier place in the follower's log.
    fn is_behind(&self, question: &Question) -> bool {
        let head = self.message.head();
        question.log_id == Some(head.log_id) && head.after < question.after
    }
}

impl fmt::Debug for PublishedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishedSource").field("address", &self.address).finish_non_exhaustive()
    }
}

fn nothing_behind(place: u64) -> FollowError {
    unusable(HEAD, format_args!("it names no file that goes on from {place}"))
}

/// A quarter less to a quarter more, so that followers which began together do not ask together.
fn varied(interval: Duration) -> Duration {
    let random = SysRng.try_next_u32().unwrap_or(u32::MAX / 2);
    interval.mul_f64(0.75 + 0.5 * f64::from(random) / f64::from(u32::MAX))
}
