//! The formats of a message, and how a follower and a server agree on one.

use std::fmt;

use crate::revocation::Change;

/// The media type of a message; its parameter `version` is the number of the format.
const MESSAGES: &str = "application/vnd.bulla.feed+ndjson";
/// The media type of server-sent events, with the same parameter.
const EVENTS: &str = "text/event-stream";

/// The names of the formats that this version reads.
pub const FORMATS: [&str; 2] = [Format::V1.name(), Format::V2.name()];

/// A format of the feed's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Format {
    /// `feed/1`.
    V1,
    /// `feed/2`: the head has the [live set](crate::revocation::LiveSet), and there are snapshots.
    V2,
}

impl Format {
    /// All of them, the oldest first.
    pub const ALL: [Format; 2] = [Format::V1, Format::V2];

    /// The newest.
    pub const NEWEST: Format = Format::V2;

    /// The number.
    pub const fn number(self) -> u32 {
        match self {
            Format::V1 => 1,
            Format::V2 => 2,
        }
    }

    /// What the head's field `bulla` says.
    pub const fn name(self) -> &'static str {
        match self {
            Format::V1 => "feed/1",
            Format::V2 => "feed/2",
        }
    }

    /// The format in which an event of this kind came. Followers that do not read it refuse the event, and all behind
    /// it.
    pub const fn of(change: &Change) -> Format {
        match change {
            Change::Revoke { .. }
            | Change::Suspend { .. }
            | Change::Resume { .. }
            | Change::RevokeApp { .. }
            | Change::RevokeRealm { .. }
            | Change::ForgetVersion { .. } => Format::V1,
        }
    }

    /// The media type of a message.
    pub const fn content_type(self) -> &'static str {
        match self {
            Format::V1 => "application/x-ndjson",
            Format::V2 => "application/vnd.bulla.feed+ndjson;version=2",
        }
    }

    /// The header `Accept` of a follower that reads every format.
    pub const ACCEPT: &'static str =
        "application/vnd.bulla.feed+ndjson;version=2, application/vnd.bulla.feed+ndjson;version=1";

    /// The newest format that a header `Accept` names. Without the name of any it is the first: so ask those who know
    /// no other. `None` where it names formats, and none of these.
    pub fn accepted(accept: &str) -> Option<Format> {
        let mut named = accept.split(',').filter_map(version).peekable();
        if named.peek().is_none() {
            return Some(Format::V1);
        }
        named.filter_map(|number| Format::ALL.into_iter().find(|format| format.number().to_string() == number)).max()
    }
}

/// The version that one part of a header `Accept` names.
fn version(part: &str) -> Option<&str> {
    let mut parameters = part.split(';').map(str::trim);
    let media = parameters.next()?;
    if !media.eq_ignore_ascii_case(MESSAGES) && !media.eq_ignore_ascii_case(EVENTS) {
        return None;
    }
    parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("version").then(|| value.trim().trim_matches('"'))
    })
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_today_came_with_the_first_format() {
        let resume = Change::Resume { id: "acme_live_00000XzbyFf5rOyRXQyt8V".parse().expect("an id") };
        assert_eq!(Format::of(&resume), Format::V1);
    }

    #[test]
    fn the_newest_format_that_both_know_is_taken() {
        for (accept, format) in [
            ("", Some(Format::V1)),
            ("*/*", Some(Format::V1)),
            ("application/x-ndjson", Some(Format::V1)),
            ("text/event-stream", Some(Format::V1)),
            ("text/event-stream;version=2", Some(Format::V2)),
            (Format::ACCEPT, Some(Format::V2)),
            (Format::V2.content_type(), Some(Format::V2)),
            ("application/vnd.bulla.feed+ndjson; Version=\"1\"", Some(Format::V1)),
            (
                "application/vnd.bulla.feed+ndjson;version=3, application/vnd.bulla.feed+ndjson;version=2",
                Some(Format::V2),
            ),
            ("application/vnd.bulla.feed+ndjson;q=1;version=2", Some(Format::V2)),
            ("application/vnd.bulla.feed+ndjson;version=3", None),
            ("application/json;version=2", Some(Format::V1)),
        ] {
            assert_eq!(Format::accepted(accept), format, "{accept}");
        }
    }
}
