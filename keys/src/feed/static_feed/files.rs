//! Published files: fetched from a server, or read from a folder of this machine.

use std::{
    fmt,
    io::{self, Read},
    sync::OnceLock,
    time::Duration,
};

use ureq::{
    Agent,
    http::{HeaderValue, StatusCode, header},
    tls::Certificate,
};

use super::local_folder::LocalFolder;
use crate::{
    agent,
    feed::{FollowError, FollowerError},
    interrupt::Interrupt,
    source::endpoint,
};

/// The longest time until an answer is complete.
const TIME_LIMIT: Duration = Duration::from_secs(120);
/// The longest time for what a snapshot has; then it goes on in another answer.
const LONGEST_DOWNLOAD: Duration = Duration::from_secs(600);

/// Where the files are.
pub(super) struct Files {
    /// The folder, with the slash at its end.
    folder: String,
    storage: Storage,
    interrupt: Interrupt,
}

/// The bytes of an object, and what tells this state of it from others.
pub type TaggedObject = (Vec<u8>, Option<String>);

/// Objects that the program reads itself, such as those of a bucket that wants signatures. An error says why in a
/// sentence.
pub trait Objects: Send + Sync {
    /// An object of at most so many bytes, or a longer one as far as it likes; `None` where it is still in the state
    /// `known`.
    fn get(&self, name: &str, known: Option<&str>, most: usize) -> Result<Option<TaggedObject>, String>;

    /// A long object from this byte on, or all of it, and whether it is that part.
    fn open(&self, name: &str, byte: usize) -> Result<(Box<dyn Read + '_>, bool), String>;
}

enum Storage {
    Here(LocalFolder),
    Other(Box<dyn Objects>),
    Server {
        /// Made at the first question: the system's roots are read for it.
        agent: OnceLock<Agent>,
        roots: Option<Vec<Certificate<'static>>>,
    },
}

/// An object, and what its server calls this state of it.
pub(super) type Object = (Vec<u8>, Option<HeaderValue>);

impl Files {
    /// The files in the folder of the object `name`, whose address this is.
    pub(super) fn beside(address: &str, name: &str) -> Result<Self, FollowerError> {
        let wrong = |fault| FollowerError::Address { address: address.to_owned(), fault };
        let folder = address.strip_suffix(name).filter(|folder| folder.ends_with('/'));
        let folder = folder.ok_or_else(|| wrong("is not the one of a published feed, which ends in /head"))?.to_owned();
        if let Some(path) = folder.strip_prefix("file:") {
            return Ok(Files {
                storage: Storage::Here(LocalFolder::new(path)),
                folder,
                interrupt: Interrupt::default(),
            });
        }
        match endpoint::fault(address) {
            Some(fault) => Err(wrong(fault)),
            None if address.contains(['?', '#']) => Err(wrong("has a query, and published files have none")),
            None => {
                let storage = Storage::Server { agent: OnceLock::new(), roots: None };
                Ok(Files { folder, storage, interrupt: Interrupt::default() })
            }
        }
    }

    /// What the program reads itself.
    pub(super) fn of(objects: Box<dyn Objects>) -> Self {
        Files { folder: String::new(), storage: Storage::Other(objects), interrupt: Interrupt::default() }
    }

    pub(super) fn trusting_roots(self, pem: &[u8]) -> Result<Self, FollowerError> {
        let Files { storage, folder, interrupt } = self;
        let rest = Files { storage: Storage::Here(LocalFolder::new("")), folder, interrupt };
        match (agent::certificates(pem), storage) {
            (none, _) if none.is_empty() => Err(FollowerError::NoCertificate),
            (roots, Storage::Server { agent, .. }) => {
                Ok(Files { storage: Storage::Server { agent, roots: Some(roots) }, ..rest })
            }
            (_, storage) => Ok(Files { storage, ..rest }),
        }
    }

    /// Waits, unless it is stopped.
    pub(super) fn pause(&self, pause: Duration) -> Result<(), FollowError> {
        self.interrupt.pause(pause).map_err(|error| FollowError::Unreachable(error.to_string().into()))
    }

    pub(super) fn stop(&self) {
        self.interrupt.stop();
    }

    /// An object of at most so many bytes, or one byte more of a longer one; none where it is still as `known`.
    pub(super) fn get(
        &self,
        name: &str,
        known: Option<&HeaderValue>,
        most: usize,
    ) -> Result<Option<Object>, FollowError> {
        match &self.storage {
            Storage::Here(folder) => match folder.read(name, 0, most, &self.interrupt) {
                Ok(bytes) => Ok(Some((bytes, None))),
                Err(error) => Err(unusable(name, error)),
            },
            Storage::Other(objects) => {
                let got = objects.get(name, known.and_then(|known| known.to_str().ok()), most);
                let tagged = |tag: Option<String>| tag.and_then(|tag| HeaderValue::from_str(&tag).ok());
                got.map(|got| got.map(|(bytes, tag)| (bytes, tagged(tag)))).map_err(|why| unusable(name, why))
            }
            Storage::Server { agent, roots } => self.fetch(self.agent(agent, roots), name, known, most),
        }
    }

    /// A long object from this byte on, or all of it, and whether it is that part.
    pub(super) fn open(&self, name: &str, byte: usize) -> Result<(Box<dyn Read + '_>, bool), FollowError> {
        match &self.storage {
            Storage::Other(objects) => objects.open(name, byte).map_err(|why| unusable(name, why)),
            Storage::Here(folder) => match folder.open(name, byte as u64, &self.interrupt) {
                Ok(file) => Ok((Box::new(file), true)),
                Err(error) => Err(unusable(name, error)),
            },
            Storage::Server { agent, roots } => {
                let request = self.agent(agent, roots).get(format!("{}{name}", self.folder));
                let request = request.header(header::RANGE, format!("bytes={byte}-"));
                let asked = request.config().timeout_global(Some(LONGEST_DOWNLOAD)).build().call();
                let response = asked.map_err(|error| FollowError::Unreachable(error.to_string().into()))?;
                let is_part = match response.status() {
                    StatusCode::OK => false,
                    StatusCode::PARTIAL_CONTENT => true,
                    status => return Err(unusable(name, format_args!("the answer is {status}"))),
                };
                Ok((Box::new(response.into_body().into_reader()), is_part))
            }
        }
    }

    fn agent<'a>(&self, agent: &'a OnceLock<Agent>, roots: &Option<Vec<Certificate<'static>>>) -> &'a Agent {
        let new = || agent::build(agent::new(&self.folder, roots.clone(), None).build(), &self.interrupt);
        agent.get_or_init(new)
    }

    fn fetch(
        &self,
        agent: &Agent,
        name: &str,
        known: Option<&HeaderValue>,
        most: usize,
    ) -> Result<Option<Object>, FollowError> {
        let unreachable = |error: &dyn fmt::Display| FollowError::Unreachable(error.to_string().into());
        let mut request = agent.get(format!("{}{name}", self.folder));
        if let Some(known) = known {
            request = request.header(header::IF_NONE_MATCH, known.clone());
        }
        let asked = request.config().timeout_global(Some(TIME_LIMIT)).build().call();
        let mut response = asked.map_err(|error| unreachable(&error))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if known.is_some() => return Ok(None),
            status => return Err(unusable(name, format_args!("the answer is {status}"))),
        }
        let tag = response.headers().get(header::ETAG).cloned();
        let bytes = limited(response.body_mut().as_reader(), most).map_err(|error| unreachable(&error))?;
        Ok(Some((bytes, tag)))
    }
}

/// One more than may be, so that too many are seen to be.
fn limited(from: impl Read, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A published file that is missing or broken.
pub(super) fn unusable(name: &str, why: impl fmt::Display) -> FollowError {
    FollowError::Published { name: name.into(), why: why.to_string().into() }
}
