//! The static form of the revocation feed, written: signed messages as files in a folder or a bucket, for followers
//! that ask no node. `docs/FEED.md`, section "Static form", is the format.
//!
//! Nothing here signs more than a node would: messages come from a node as they are, or from the deployment's own log
//! under the key of its feed.

mod compaction;
mod draft;
mod folder;
mod local;
mod metrics;
mod origin;
mod place;
mod publisher;
mod s3;
mod unused_files;

pub(crate) use self::{
    local::LocalLog,
    metrics::PublisherMetrics,
    origin::Origin,
    place::{PlaceError, open, open_bucket},
    publisher::{PublishError, Publisher, Settings, Trusted},
};
