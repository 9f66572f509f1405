//! The gate: opened once, shared by all workers, and swapped in place when keyring, exports or revocations change.

use std::{
    fmt,
    net::IpAddr,
    path::PathBuf,
    process,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Instant,
};

use super::{
    Answer, Counters, GateError, Presented, Required, Requirements,
    counts::Counts,
    decision::{Decision, Refused},
    keys::{KeyFileStamps, Keys},
    now,
    settings::Follow,
    settings::Settings,
};
use crate::{
    expectations::Expectations,
    feed::{
        FeedState, FollowerError, OpenedSource, SourceAccess, StateFolder,
        follower_state::{FollowerState, Moment, StalePolicy},
    },
    keyring::EdgeMac,
    layer::Credential,
    realm::Realm,
    rejection::{Rejection, VerifyError},
    shared::SharedVerifier,
    verifier::Accepted,
};

/// What a process with a gateway in it needs to verify. Its clones are handles on the same one.
#[derive(Clone)]
pub struct Gate(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) settings: Settings,
    pub(super) keys: Keys,
    /// The files of the keys as they were when they were read for the first time.
    pub(super) seen: KeyFileStamps,
    pub(super) verifier: SharedVerifier,
    pub(super) feed: Option<Feed>,
    counts: Counts,
    pub(super) errors: Mutex<Errors>,
    /// The process in which the threads run; 0 for none.
    pub(super) started_in: AtomicU32,
    /// Whether this process was forked after the start, so that the threads are not here.
    forked: AtomicBool,
    /// The second in which that was looked at.
    looked_at: AtomicU64,
}

/// What is known of the feed, and how it is asked.
pub(super) struct Feed {
    pub(super) state: Arc<Mutex<FollowerState>>,
    pub(super) began: Instant,
    /// Read while the process may read it.
    pub(super) access: SourceAccess,
    /// The folder of the last good state, and what authenticates it.
    pub(super) kept: Option<(PathBuf, EdgeMac)>,
    trouble: Option<String>,
}

/// The last failures. The gate goes on after each.
#[derive(Default)]
pub(super) struct Errors {
    pub(super) reload: Option<String>,
    pub(super) state: Option<String>,
    pub(super) report: Option<String>,
}

impl Gate {
    /// Reads everything that the settings name, and asks key sources and no feed. It starts no thread that goes on, so
    /// that a process may fork afterwards.
    pub fn open(settings: &Settings) -> Result<Self, GateError> {
        let keys = Keys::open(settings)?;
        // Before they are read: what changes from here on is read once more.
        let seen = keys.look(settings);
        let (verifier, failed) = keys.load(settings)?;
        let verifier = SharedVerifier::new(verifier);
        let follow = settings.follow.as_ref();
        let feed = follow.map(|follow| Feed::open(settings, (follow, &keys), &verifier)).transpose()?;
        let state_error = feed.as_ref().and_then(|feed| feed.trouble.clone());
        Ok(Gate(Arc::new(Inner {
            settings: settings.clone(),
            keys,
            seen,
            verifier,
            feed,
            counts: Counts::default(),
            errors: Mutex::new(Errors { reload: failed, state: state_error, report: None }),
            started_in: AtomicU32::new(0),
            forked: AtomicBool::new(false),
            looked_at: AtomicU64::new(0),
        })))
    }

    /// Loads keyring or exports anew, and swaps them in place; requests go on meanwhile. A part that fails stays as it
    /// was. The states of a changed keyring count before any key source is asked, and a version whose source fails is
    /// an error that takes no other key away.
    pub fn reload(&self) -> Result<(), GateError> {
        if self.read_keys()? { self.ask_sources(|| false) } else { Ok(()) }
    }

    /// The first part of a reload, which asks no key source. Returns whether they have to be asked.
    pub(super) fn read_keys(&self) -> Result<bool, GateError> {
        let read = self.0.keys.read(&self.0.settings, &self.0.verifier);
        self.0.errors().reload = match &read {
            Ok(read) => read.failed.clone(),
            Err(error) => Some(error.to_string()),
        };
        Ok(read?.wants_sources)
    }

    /// The second part, which may take long. Once `is_stopped` it changes nothing.
    pub(super) fn ask_sources(&self, is_stopped: impl Fn() -> bool) -> Result<(), GateError> {
        let note = |failed| self.0.errors().reload = failed;
        self.0.keys.ask(&self.0.settings, &self.0.verifier, is_stopped, note)
    }

    /// Reads the requirements of a route, in the syntax of `/v1/authorize/`:
    /// `realm:live,scope:orders.read,aud:shop,from:x-api-key`, or `-` for the defaults.
    pub fn requirements(&self, text: &str) -> Result<Requirements, GateError> {
        let Inner { settings, .. } = &*self.0;
        let mut required = Required::parse(text)?;
        if let Some(unknown) = required.realms.iter().find(|realm| settings.realms().all(|one| one != **realm)) {
            return Err(GateError::UnknownRealm(*unknown));
        }
        let named = std::mem::take(&mut required.realms);
        let realms: Vec<Realm> = if named.is_empty() { settings.default_realms.clone() } else { named };
        if realms.is_empty() {
            return Err(GateError::NoRealm);
        }
        let rules = required.from.take().unwrap_or_else(|| settings.rules(&realms));
        Ok(Requirements::new(required, realms, rules))
    }

    /// Answers a request: may it go on? `address` is the client's, `now` is in Unix seconds. It takes no lock, and
    /// allocates nothing.
    pub fn check(
        &self,
        wanted: &Requirements,
        presented: &Presented<'_>,
        address: Option<IpAddr>,
        now: u64,
        answer: &mut Answer,
    ) {
        answer.begin();
        let decision = self.decide(wanted, presented, address, now, |key| answer.accept(key));
        answer.end(decision, wanted);
    }

    /// The same for a text that is the API key already.
    pub fn verify(
        &self,
        wanted: &Requirements,
        api_key: &[u8],
        address: Option<IpAddr>,
        now: u64,
        answer: &mut Answer,
    ) {
        answer.begin();
        let decision = self.decide_key(wanted, api_key, address, now, |key| answer.accept(key));
        answer.end(decision, wanted);
    }

    /// Decides about a request, and lets `accept` read the key if it may go on.
    #[inline]
    pub(crate) fn decide<R>(
        &self,
        wanted: &Requirements,
        presented: &Presented<'_>,
        address: Option<IpAddr>,
        now: u64,
        accept: impl FnOnce(&Accepted<'_>) -> R,
    ) -> Decision<R> {
        let several = match presented.credential() {
            Credential::One(text) => {
                return self.decide_key(wanted, text.bytes(), address, now, accept);
            }
            Credential::None => false,
            Credential::Several => true,
        };
        self.0.counts.unpresented(several);
        Decision::Refused(Refused::unpresented(several))
    }

    /// The same for what may be an API key.
    #[inline]
    pub(crate) fn decide_key<R>(
        &self,
        wanted: &Requirements,
        api_key: &[u8],
        address: Option<IpAddr>,
        now: u64,
        accept: impl FnOnce(&Accepted<'_>) -> R,
    ) -> Decision<R> {
        let expected = Expectations { address, ..wanted.expected() };
        let unless_forked = |key: &Accepted<'_>| if self.0.has_forked(now) { None } else { Some(accept(key)) };
        match self.0.verifier.verify_in_place(api_key, &expected, now, unless_forked) {
            Ok(Some(done)) => {
                self.0.counts.accepted();
                Decision::Accepted(done)
            }
            Ok(None) => {
                self.0.counts.untold("forked");
                Decision::Refused(Refused::FORKED)
            }
            Err(error) => Decision::Refused(self.refuse(error, api_key)),
        }
    }

    /// The same for many; `each` hears of every one, in their order, and reads those that may go on.
    #[cfg(feature = "capi")]
    pub(crate) fn decide_batch<'k>(
        &self,
        wanted: &Requirements,
        api_keys: impl Iterator<Item = &'k [u8]>,
        address: Option<IpAddr>,
        now: u64,
        mut each: impl FnMut(Result<&Accepted<'_>, Refused>),
    ) {
        let expected = Expectations { address, ..wanted.expected() };
        self.0.verifier.verify_batch_in_place(api_keys, &expected, now, |api_key, key| match key {
            Ok(_) if self.0.has_forked(now) => {
                self.0.counts.untold("forked");
                each(Err(Refused::FORKED));
            }
            Ok(key) => {
                self.0.counts.accepted();
                each(Ok(key));
            }
            Err(error) => each(Err(self.refuse(error, api_key))),
        });
    }

    #[cold]
    fn refuse(&self, error: VerifyError, api_key: &[u8]) -> Refused {
        // Accepted keys are ASCII, so it makes a difference only here.
        let error = if std::str::from_utf8(api_key).is_ok() { error } else { Rejection::Malformed.into() };
        match error {
            VerifyError::Rejected(rejection) => self.0.counts.rejected(rejection),
            VerifyError::SecretUnchecked | VerifyError::Stale => self.0.counts.untold(error.code()),
        }
        Refused::by(error)
    }

    /// Applies a message of the feed that the host fetched itself: no thread is needed, and
    /// [`question`](Self::question) says what to fetch. Returns whether there is more to fetch at once.
    pub fn apply(&self, message: &[u8], now: u64) -> Result<bool, GateError> {
        let feed = self.0.feed.as_ref().ok_or(GateError::NoFeed)?;
        let mut state = feed.state();
        state.apply_message(message, feed.moment(now))?;
        let more = !state.status(feed.moment(now)).complete;
        Ok(more)
    }

    /// The path and query of the feed's next message, which a node or a relay answers within `wait` seconds.
    pub fn question(&self, wait: u64) -> Result<String, GateError> {
        let feed = self.0.feed.as_ref().ok_or(GateError::NoFeed)?;
        let after = feed.state().status(feed.moment(now())).seq;
        let realm = feed.access.realm.map(|realm| format!("&realm={realm}")).unwrap_or_default();
        let wait = if wait > 0 { format!("&wait={wait}s") } else { String::new() };
        Ok(format!("/v1/revocations?after={after}{wait}{realm}"))
    }

    /// Revokes what is due. A host that applies messages itself calls it once a second; the threads do it by
    /// themselves.
    pub fn tick(&self, now: u64) {
        if let Some(feed) = &self.0.feed {
            feed.state().tick(feed.moment(now));
        }
    }

    /// The gate's numbers.
    pub fn counters(&self, now: u64) -> Counters {
        let mut counters = self.0.counts.read();
        let errors = self.0.errors();
        (counters.reload_error, counters.state_error) = (errors.reload.clone(), errors.state.clone());
        counters.report_error.clone_from(&errors.report);
        drop(errors);
        counters.started_in = Some(self.0.started_in.load(Ordering::Relaxed)).filter(|pid| *pid != 0);
        counters.forked = counters.started_in.is_some_and(|pid| pid != process::id());
        // A lock that a thread of the process held at the fork is held for ever.
        if let Some(feed) = self.0.feed.as_ref().filter(|_| !counters.forked) {
            let (state, at) = (feed.state(), feed.moment(now));
            let status = state.status(at);
            counters.feed_age = state.age(at);
            (counters.seq, counters.revocations) = (status.seq, status.revocations);
            (counters.keyring_serial, counters.refused_messages) = (status.keyring_serial, status.refused);
            (counters.failures, counters.last_error) =
                (status.failures, status.last_error.map(|error| error.to_string()));
        }
        counters
    }
}

impl Inner {
    pub(super) fn errors(&self) -> MutexGuard<'_, Errors> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the process forked after the start, so that nothing keeps the revocations current here. It is
    /// looked at once in a second.
    fn has_forked(&self, now: u64) -> bool {
        let started_in = self.started_in.load(Ordering::Relaxed);
        if started_in != 0 && self.looked_at.load(Ordering::Relaxed) != now {
            self.looked_at.store(now, Ordering::Relaxed);
            self.forked.store(started_in != process::id(), Ordering::Relaxed);
        }
        self.forked.load(Ordering::Relaxed)
    }
}

impl Feed {
    fn open(
        settings: &Settings,
        (follow, keys): (&Follow, &Keys),
        verifier: &SharedVerifier,
    ) -> Result<Self, GateError> {
        let regular = |name: &String| {
            let read = settings.files.regular(&settings.folder, name, 1 << 20);
            read.map_err(|error| GateError::Read { path: settings.folder.join(name), error })
        };
        let secret = |name: &String| settings.files.secret(&settings.folder, name);
        let identity = match (&follow.client_certificate, &follow.client_key) {
            (Some(chain), Some(key)) => Some((regular(chain)?, secret(key)?)),
            _ => None,
        };
        let access = SourceAccess::new(follow.keyring_id, follow.public_key)
            .realm(follow.realm)
            .credential(follow.api_key.as_ref().map(secret).transpose()?)
            .roots(follow.roots.as_ref().map(regular).transpose()?)
            .identity(identity);
        // A wrong address is an error now, and not on a thread.
        open_sources(follow, &access).try_for_each(|opened| opened.map(drop))?;
        let (began, policy) = (Instant::now(), StalePolicy::Realms(settings.staleness(follow)));
        let (mut feed, mut trouble, mut kept) = (None, None, None);
        if let Some(name) = &follow.state {
            let folder = StateFolder::to_read(settings.folder.join(name), keys.mac(settings, follow)?);
            let found = folder.load(follow.realm, (follow.keyring_id, &follow.public_key), now());
            (feed, trouble) = (found.state, found.trouble);
            kept = Some((settings.folder.join(name), keys.mac(settings, follow)?));
        }
        let (feed, trusted) =
            (feed.unwrap_or_else(|| FeedState::new(follow.realm)), (follow.keyring_id, follow.public_key));
        let state = FollowerState::new(feed, trusted, (verifier.clone(), policy), Moment::first(now()));
        Ok(Feed { state: state.shared(), began, access, kept, trouble })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, FollowerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn moment(&self, now: u64) -> Moment {
        Moment { now, ran: self.began.elapsed() }
    }
}

/// Opens the sources of the feed. An error names an address by its number: it may hold a password.
pub(super) fn open_sources(
    follow: &Follow,
    access: &SourceAccess,
) -> impl Iterator<Item = Result<OpenedSource, GateError>> {
    let wrong = |at: usize, what: &str| GateError::Settings(format!("address {} of follow.sources {what}", at + 1));
    follow.sources.iter().enumerate().map(move |(at, address)| {
        access.open(address).map_err(|error| match error {
            FollowerError::Address { fault, .. } => wrong(at, fault),
            FollowerError::NoCredential(_) => wrong(
                at,
                "is asked with an API key: issue one with the scope feed, and name its file in follow.api_key",
            ),
            error => error.into(),
        })
    })
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}
