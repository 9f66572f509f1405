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
    #[error(
        "`{0}` is not a place to publish in: write a folder, or s3://BUCKET/PREFIX; a folder whose name has a colon \
         begins with `./`"
    )]
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

/// The place that `text` names: a folder, or a bucket. What begins like an address is no folder: one named `file:`
/// would be made, and followers read another one.
pub(crate) fn open(text: &str) -> Result<Box<dyn Place>, PlaceError> {
    let scheme = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme));
    match scheme.map(|(scheme, rest)| (scheme, rest.strip_prefix("//"))) {
        Some(("s3", Some(rest))) => Ok(Box::new(Bucket::open(text, rest)?)),
        None if !text.is_empty() => Ok(Box::new(Folder::open(text.as_ref())?)),
        _ => Err(PlaceError::Uri(text.to_owned())),
    }
}

fn is_scheme(text: &str) -> bool {
    let rest = |char: char| char.is_ascii_alphanumeric() || "+-.".contains(char);
    text.starts_with(|char: char| char.is_ascii_alphabetic()) && text.chars().all(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_like_an_address_is_no_folder() {
        for text in
            ["", "file:/srv/feed", "file:///srv/feed", "File:feed", "s3:/feeds/x", "s3:feeds", "https://a/b", "a:"]
        {
            let refused = open(text).err();
            assert!(matches!(&refused, Some(PlaceError::Uri(told)) if told == text), "{text}: {refused:?}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["feed", "a:b", "file:"] {
            let path = folder.path().join(name);
            let place = open(path.to_str().expect("UTF-8")).expect("a folder");
            assert!(place.read("head").expect("read").is_none(), "{name}");
        }
    }
}
