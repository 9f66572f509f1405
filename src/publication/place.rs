//! Where a feed is published: objects with names, in a folder or a bucket.

use std::{io, path::PathBuf};

use bulla::feed::static_feed::Objects;

use super::{folder::Folder, s3::Bucket};

/// One state of an object. It changes whenever the object does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag(pub(super) String);

/// Whether an object was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Replaced {
    /// It was, and has this state now.
    Done(Tag),
    /// Another process was first.
    Changed,
}

/// How long caches may keep an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caching {
    /// For ever: it never changes.
    Forever,
    /// For a second, and for some more while they ask again.
    Briefly,
    /// Not at all: it is for publishers alone.
    Never,
}

impl Caching {
    /// The value of `Cache-Control`.
    pub(crate) const fn header(self) -> &'static str {
        match self {
            Caching::Forever => "public, max-age=31536000, immutable",
            Caching::Briefly => "public, max-age=1, stale-while-revalidate=5",
            Caching::Never => "no-store",
        }
    }
}

/// Objects that others read. Names are relative, with `/` between their parts.
pub(crate) trait Place: Send {
    /// Where it is, for people.
    fn shown(&self) -> String;

    /// An object and its state; none where there is none.
    fn read(&self, name: &str) -> Result<Option<(Vec<u8>, Tag)>, PlaceError>;

    /// Writes an object that never changes, whole or not at all, and durably. Where there is one of this name it stays.
    fn create(&self, name: &str, bytes: &[u8]) -> Result<(), PlaceError>;

    /// Replaces an object that is in the state `from`; none where the object must not exist. Others see the old one or
    /// the new one.
    fn replace(&self, name: &str, bytes: &[u8], caching: Caching, from: Option<&Tag>) -> Result<Replaced, PlaceError>;

    /// The names of the objects in a folder.
    fn list(&self, folder: &str) -> Result<Vec<String>, PlaceError>;

    /// Removes an object, if there is one.
    fn remove(&self, name: &str) -> Result<(), PlaceError>;
}

/// An object cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    #[error("cannot {what} {path}: {error}")]
    Folder { what: &'static str, path: PathBuf, error: io::Error },
    #[error("another process has locked {0} for ten seconds: see which (`fuser {0}`), and end it if it hangs")]
    Locked(PathBuf),
    #[error("`{0}` is not a place to publish in: write a folder, or s3://BUCKET/PREFIX")]
    Uri(String),
    #[error("`{uri}`: {fault}")]
    Bucket { uri: String, fault: String },
    #[error("{object}: {fault}")]
    Object { object: String, fault: String },
}

/// The bucket that `text` names, for followers, and its name.
pub(crate) fn open_bucket(text: &str) -> Result<(String, Box<dyn Objects>), PlaceError> {
    let rest = text.strip_prefix("s3://").ok_or_else(|| PlaceError::Uri(text.to_owned()))?;
    let bucket = Bucket::open(text, rest)?;
    Ok((bucket.shown(), Box::new(bucket)))
}

/// The place that `text` names: a folder, or a bucket.
pub(crate) fn open(text: &str) -> Result<Box<dyn Place>, PlaceError> {
    match text.split_once("://") {
        None if !text.is_empty() => Ok(Box::new(Folder::open(text.as_ref())?)),
        Some(("s3", rest)) => Ok(Box::new(Bucket::open(text, rest)?)),
        _ => Err(PlaceError::Uri(text.to_owned())),
    }
}
