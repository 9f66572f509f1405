//! Why a message is refused, and what to do about it.

use super::LogId;
use crate::{key_version::KeyVersion, keyring_id::KeyringId, realm::Realm};

/// A message that is refused as a whole: nothing of it counts, and a follower keeps what it has. Lines count from 1,
/// the head.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// More bytes than a message may have.
    #[error(
        "a message of {0} bytes is too long, the limit is 4194304: this is not a feed, or fetch fewer events at a time"
    )]
    TooLong(usize),
    /// No signature in the last line.
    #[error("the last line of the message is not a signature: it was cut off, or this is not a feed; fetch it again")]
    Unsigned,
    /// The signature does not fit message, keyring and key.
    #[error(
        "the message's signature is wrong: it was altered, is of another keyring, or the server signs with another key; \
         compare keyring id and public key with the server's"
    )]
    Signature,
    /// A line that is not a JSON object.
    #[error("line {line} of the message is not one JSON object and its line feed: the server is broken")]
    NotAnObject {
        /// The line.
        line: usize,
    },
    /// Two values for one field.
    #[error("line {line} of the message has the field {field:?} twice: the server is broken")]
    DuplicateField {
        /// The line.
        line: usize,
        /// The field.
        field: String,
    },
    /// Another format than this version knows.
    #[error("the message has the format {0:?}, and this version knows \"feed/1\" and \"feed/2\": use a newer version")]
    Format(String),
    /// A required field is missing.
    #[error("line {line} of the message lacks the field `{field}`: the server is broken")]
    MissingField {
        /// The line.
        line: usize,
        /// The field.
        field: &'static str,
    },
    /// A field that this version does not know.
    #[error("line {line} of the message has the unknown field {field:?}: use a newer version")]
    UnknownField {
        /// The line.
        line: usize,
        /// The field.
        field: String,
    },
    /// A field of another kind, or out of its range.
    #[error("line {line} of the message: `{field}` must be {expected}; use a newer version, or fix the server")]
    WrongValue {
        /// The line.
        line: usize,
        /// The field.
        field: &'static str,
        /// What belongs there.
        expected: &'static str,
    },
    /// The message says that it is of another keyring.
    #[error("the message is of the keyring {found}, and {expected} is followed: point the follower at its own server")]
    OtherKeyring {
        /// The keyring that the message names.
        found: KeyringId,
        /// The follower's.
        expected: KeyringId,
    },
    /// Not `after <= seq <= head`.
    #[error("the message goes from {after} to {seq} of a log that ends at {head}: the server is broken")]
    Range {
        /// The place that it goes on from.
        after: u64,
        /// The place that it goes to.
        seq: u64,
        /// The end of the log.
        head: u64,
    },
    /// Stale before it was made.
    #[error("the message was made at {this_update} and is stale from {next_update} on: the server is broken")]
    Times {
        /// When it was signed, in Unix seconds.
        this_update: u64,
        /// When it is stale, in Unix seconds.
        next_update: u64,
    },
    /// Versions that are not in the order of their numbers, each of them once.
    #[error("the message has version {0} out of order: the server is broken")]
    VersionOrder(KeyVersion),
    /// More events than a message may have.
    #[error("a message of {0} events is too long, the limit is 10000: the server is broken")]
    TooManyEvents(usize),
    /// An event of no known kind, or of several.
    #[error("line {line} of the message is not an event that this version knows: use a newer version")]
    UnknownEvent {
        /// The line.
        line: usize,
    },
    /// Numbers that do not increase.
    #[error("the message has event {seq} behind event {before}: the server is broken")]
    EventOrder {
        /// The event's number.
        seq: u64,
        /// The number before it.
        before: u64,
    },
    /// A number outside of what the message says it covers.
    #[error("the message has event {seq} and goes from {after} to {through}: the server is broken")]
    EventOutside {
        /// The event's number.
        seq: u64,
        /// The place that the message goes on from.
        after: u64,
        /// The place that it goes to.
        through: u64,
    },
    /// An event that does not concern the one realm that the message is about.
    #[error("the message is about the realm {realm}, and its event {seq} about another one: the server is broken")]
    EventRealm {
        /// The event's number.
        seq: u64,
        /// The message's realm.
        realm: Realm,
    },
    /// A change that feeds do not carry.
    #[error(
        "event {seq} cannot stand in a feed: only the revocation of one key waits for a time, and of versions the head tells"
    )]
    NoEvent {
        /// The event's number.
        seq: u64,
    },
    /// About another realm than the one that is followed, or about one where all are followed.
    #[error(
        "the message is about {}, and {} followed: use an API key with the scope `feed`, or one with `feed:REALM` \
         and follow that realm alone (follow.realm)",
        about(found),
        are(expected)
    )]
    OtherRealm {
        /// The message's realm; `None` is every realm.
        found: Option<Realm>,
        /// The followed realm.
        expected: Option<Realm>,
    },
    /// Of another log: the follower's place means nothing in it.
    #[error(
        "the message is of the log {found}, and {expected} was followed: the server began a new one; start again from 0, and \
         keep what is revoked"
    )]
    OtherLog {
        /// The message's log.
        found: LogId,
        /// The log that was followed.
        expected: LogId,
    },
    /// It goes on from another place than the one that was reached.
    #[error("the message goes on from {after}, and {seq} was reached: ask for what came after {seq}")]
    NotNext {
        /// The place that the message goes on from.
        after: u64,
        /// The place that was reached.
        seq: u64,
    },
    /// Made long before one that was seen.
    #[error(
        "the message was made at {this_update}, long before {seen}, when one was made that was seen already: it is an old one \
         replayed, or the server's clock is behind"
    )]
    Older {
        /// When it was made, in Unix seconds.
        this_update: u64,
        /// When the newest was made.
        seen: u64,
    },
    /// A chunk of a snapshot that is not the one whose hash the manifest has.
    #[error("chunk {chunk} of the snapshot is not what its manifest says: it was cut off or altered; fetch it again")]
    Chunk {
        /// The chunk; 0 is the first.
        chunk: usize,
    },
    /// A chunk that the server made wrong.
    #[error("chunk {chunk} of the snapshot does not consist of groups that this version knows: use a newer version")]
    Group {
        /// The chunk; 0 is the first.
        chunk: usize,
    },
    /// A snapshot that does not come to what its manifest says.
    #[error("the snapshot does not match the count and digest of its manifest: the server is broken")]
    Live,
    /// Made in the future.
    #[error("the message is dated {this_update}, and the follower's clock says {now}: set that clock, or the server's")]
    Future {
        /// When it was made, in Unix seconds.
        this_update: u64,
        /// The follower's time.
        now: u64,
    },
}

fn about(realm: &Option<Realm>) -> String {
    realm.map_or_else(|| "every realm".to_owned(), |realm| format!("the realm {realm}"))
}

fn are(realm: &Option<Realm>) -> String {
    about(realm) + " is"
}

impl FeedError {
    /// The stable name of the reason, for logs, metrics and machines.
    pub const fn code(&self) -> &'static str {
        match self {
            FeedError::TooLong(_) => "too_long",
            FeedError::Unsigned => "unsigned",
            FeedError::Signature => "signature",
            FeedError::NotAnObject { .. } => "not_an_object",
            FeedError::DuplicateField { .. } => "duplicate_field",
            FeedError::Format(_) => "format",
            FeedError::MissingField { .. } => "missing_field",
            FeedError::UnknownField { .. } => "unknown_field",
            FeedError::WrongValue { .. } => "wrong_value",
            FeedError::OtherKeyring { .. } => "other_keyring",
            FeedError::Range { .. } => "range",
            FeedError::Times { .. } => "times",
            FeedError::VersionOrder(_) => "version_order",
            FeedError::TooManyEvents(_) => "too_many_events",
            FeedError::UnknownEvent { .. } => "unknown_event",
            FeedError::EventOrder { .. } => "event_order",
            FeedError::EventOutside { .. } => "event_outside",
            FeedError::EventRealm { .. } => "event_realm",
            FeedError::NoEvent { .. } => "no_event",
            FeedError::OtherRealm { .. } => "other_realm",
            FeedError::OtherLog { .. } => "other_log",
            FeedError::NotNext { .. } => "not_next",
            FeedError::Older { .. } => "older",
            FeedError::Chunk { .. } => "chunk",
            FeedError::Group { .. } => "group",
            FeedError::Live => "live",
            FeedError::Future { .. } => "future",
        }
    }
}
