//! The static form of the feed: signed messages as files that any file server, bucket or CDN can serve. `docs/FEED.md`,
//! section "Static form", is the format; `bulla feed publish` writes it.
//!
//! A follower reads the head object again and again, and each file once. A message counts by its signature
//! alone.

mod file_name;
mod files;
mod head_object;
mod local_folder;
mod source;

pub use self::{
    file_name::{BaseName, BodyName, FileName, FileNameError, SnapshotName},
    files::{Objects, TaggedObject},
    head_object::{HeadObject, HeadObjectError, read_base, write_base},
    source::PublishedSource,
};

/// The name of the head object.
pub const HEAD: &str = "head";

/// The folder of all other files.
pub const FILES: &str = "files";

#[cfg(test)]
mod tests;
