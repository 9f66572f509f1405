//! The name of a file of the static form: what the file covers, how long it is, and the hash of its bytes. So a file
//! never changes, and one that is cut off or altered is noticed before anything in it is read.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

use crate::feed::{Message, Snapshot};

/// Bytes of the hash in a name: the first half of SHA-256.
const HASH: usize = 16;

const BASE: &str = "base-";
const SNAPSHOT: &str = "snapshot-";
const BODY: &str = "body-";

/// The name of a file with one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileName {
    /// The place in the log that the message goes on from.
    pub after: u64,
    /// The place that it goes to.
    pub seq: u64,
    contents: Contents,
}

/// The name of a file that lists the message files from the beginning of the log up to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BaseName {
    /// The place in the log that the last file goes to.
    pub seq: u64,
    contents: Contents,
}

/// The name of a file with the manifest of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SnapshotName {
    /// The place in the log that the snapshot is of.
    pub seq: u64,
    contents: Contents,
}

/// The name of a file with the body of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BodyName([u8; 32]);

/// Length and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Contents {
    bytes: usize,
    hash: [u8; HASH],
}

/// A text that is not the name of a file of the static form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of a file of a feed")]
pub struct FileNameError(String);

impl FileName {
    /// The name of the file with these bytes, a message that goes from `after` to `seq`.
    pub fn of(after: u64, seq: u64, bytes: &[u8]) -> Self {
        FileName { after, seq, contents: Contents::of(bytes) }
    }

    /// The length of the file.
    pub fn bytes(&self) -> usize {
        self.contents.bytes
    }

    /// Returns whether the file has these bytes.
    pub fn names(&self, bytes: &[u8]) -> bool {
        self.contents == Contents::of(bytes)
    }

    /// Returns whether the message gets a follower on that has reached `place`.
    pub fn covers(&self, place: u64) -> bool {
        self.after <= place && place < self.seq
    }
}

impl BaseName {
    /// The name of the file with these bytes, which lists files up to `seq`.
    pub fn of(seq: u64, bytes: &[u8]) -> Self {
        BaseName { seq, contents: Contents::of(bytes) }
    }

    /// The length of the file.
    pub fn bytes(&self) -> usize {
        self.contents.bytes
    }

    /// Returns whether the file has these bytes.
    pub fn names(&self, bytes: &[u8]) -> bool {
        self.contents == Contents::of(bytes)
    }
}

impl SnapshotName {
    /// The name of the file with these bytes, the manifest of a snapshot of this place.
    pub fn of(seq: u64, bytes: &[u8]) -> Self {
        SnapshotName { seq, contents: Contents::of(bytes) }
    }

    /// The length of the file.
    pub fn bytes(&self) -> usize {
        self.contents.bytes
    }

    /// Returns whether the file has these bytes.
    pub fn names(&self, bytes: &[u8]) -> bool {
        self.contents == Contents::of(bytes)
    }
}

impl BodyName {
    /// The name of the file with the body of this snapshot.
    pub fn of(snapshot: &Snapshot) -> Self {
        BodyName(snapshot.name_bytes())
    }
}

impl Contents {
    fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; HASH];
        hash.copy_from_slice(&Sha256::digest(bytes)[..HASH]);
        Contents { bytes: bytes.len(), hash }
    }

    fn parse(bytes: &str, hash: &str) -> Option<Self> {
        let mut read = [0; HASH];
        hex::decode_to_slice(hash, &mut read).ok()?;
        Some(Contents { bytes: bytes.parse().ok().filter(|bytes| *bytes <= Message::MAX_BYTES)?, hash: read })
    }
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.bytes, hex::encode(self.hash))
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.after, self.seq, self.contents)
    }
}

impl fmt::Display for BaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BASE}{}-{}", self.seq, self.contents)
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SNAPSHOT}{}-{}", self.seq, self.contents)
    }
}

impl fmt::Display for BodyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BODY}{}", hex::encode(self.0))
    }
}

impl FromStr for FileName {
    type Err = FileNameError;

    fn from_str(text: &str) -> Result<Self, FileNameError> {
        let mut parts = text.split('-');
        let mut next = || parts.next().unwrap_or_default();
        let (after, seq, bytes, hash) = (next(), next(), next(), next());
        let read = after.parse().ok().zip(seq.parse().ok()).zip(Contents::parse(bytes, hash));
        let name = read.map(|((after, seq), contents)| FileName { after, seq, contents });
        // One spelling alone, so that nothing but a plain name is ever put into an address or a path.
        name.filter(|name| name.after <= name.seq && name.to_string() == text)
            .ok_or_else(|| FileNameError(text.to_owned()))
    }
}

impl FromStr for BaseName {
    type Err = FileNameError;

    fn from_str(text: &str) -> Result<Self, FileNameError> {
        let read = place_and_contents(BASE, text).map(|(seq, contents)| BaseName { seq, contents });
        read.filter(|name| name.to_string() == text).ok_or_else(|| FileNameError(text.to_owned()))
    }
}

impl FromStr for SnapshotName {
    type Err = FileNameError;

    fn from_str(text: &str) -> Result<Self, FileNameError> {
        let read = place_and_contents(SNAPSHOT, text).map(|(seq, contents)| SnapshotName { seq, contents });
        read.filter(|name| name.to_string() == text).ok_or_else(|| FileNameError(text.to_owned()))
    }
}

impl FromStr for BodyName {
    type Err = FileNameError;

    fn from_str(text: &str) -> Result<Self, FileNameError> {
        let mut name = BodyName([0; 32]);
        let read = hex::decode_to_slice(text.strip_prefix(BODY).unwrap_or_default(), &mut name.0);
        read.ok().filter(|()| name.to_string() == text).map(|()| name).ok_or_else(|| FileNameError(text.to_owned()))
    }
}

fn place_and_contents(kind: &str, text: &str) -> Option<(u64, Contents)> {
    let mut parts = text.strip_prefix(kind)?.split('-');
    let mut next = || parts.next().unwrap_or_default();
    let (seq, bytes, hash) = (next(), next(), next());
    seq.parse().ok().zip(Contents::parse(bytes, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_what_is_in_its_file() {
        let name = FileName::of(4, 9, b"a message");
        assert_eq!(name.to_string(), "4-9-9-f53c09ca39717a45c62d9aca8f8113ed");
        assert_eq!(name.to_string().parse(), Ok(name));
        assert!(name.names(b"a message") && !name.names(b"a messag") && !name.names(b"another one"));
        assert_eq!([3, 4, 8, 9].map(|place| name.covers(place)), [false, true, true, false]);
        let base = BaseName::of(9, b"");
        assert_eq!(base.to_string(), "base-9-0-e3b0c44298fc1c149afbf4c8996fb924");
        assert_eq!(base.to_string().parse(), Ok(base));
        assert!(base.names(b"") && !base.names(b"\n"));
        let manifest = SnapshotName::of(9, b"");
        assert_eq!(manifest.to_string(), "snapshot-9-0-e3b0c44298fc1c149afbf4c8996fb924");
        assert_eq!(manifest.to_string().parse(), Ok(manifest));
        let body = format!("body-{}", "0f".repeat(32));
        assert_eq!(body.parse::<BodyName>().map(|name| name.to_string()), Ok(body));
    }

    #[test]
    fn nothing_else_is_a_name() {
        let hash = "e3b0c44298fc1c149afbf4c8996fb924";
        for wrong in [
            "",
            "head",
            "../../etc/passwd",
            "1-2-0",
            &format!("2-1-0-{hash}"),
            &format!("01-2-0-{hash}"),
            &format!("+1-2-0-{hash}"),
            &format!("1-2-0-{}", hash.to_uppercase()),
            &format!("1-2-4194305-{hash}"),
            &format!("1-2-0-{hash}-"),
            &format!("/1-2-0-{hash}"),
            &format!("base-1-0-{hash}"),
        ] {
            assert_eq!(wrong.parse::<FileName>(), Err(FileNameError(wrong.to_owned())), "{wrong}");
        }
        for wrong in ["base", "base-", "base-1-0", &format!("1-2-0-{hash}"), &format!("base-1-0-{hash}/..")] {
            assert!(wrong.parse::<BaseName>().is_err(), "{wrong}");
        }
        for wrong in ["", "body-", "body-0f", &format!("body-{}", "0F".repeat(32)), &format!("base-1-0-{hash}")] {
            assert!(wrong.parse::<BodyName>().is_err() && wrong.parse::<SnapshotName>().is_err(), "{wrong}");
        }
    }
}
