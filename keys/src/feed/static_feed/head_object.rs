//! The head object: the one thing of a published feed that changes. Its first line says which files there are, and is
//! not signed: who alters it can withhold news and nothing more. The rest is the newest message, from which followers
//! know what is new.

use serde::{Deserialize, Serialize};

use super::{BaseName, FileName, FileNameError, SnapshotName};

const FORMAT: &str = "feed-static/1";

/// What is published at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadObject {
    /// The list of files from the beginning of the log, for followers that have nothing yet, or are far behind.
    pub base: Option<BaseName>,
    /// When the publisher began these files, in Unix seconds; for publishers alone.
    pub base_since: Option<u64>,
    /// The manifest of a snapshot, for followers that have nothing yet.
    pub snapshot: Option<SnapshotName>,
    /// Files with one message each, in their order, each going on from the place that the one before goes to. The last
    /// goes to the place of the newest message.
    pub files: Vec<FileName>,
    /// The newest message, unchanged: it goes on from the end of the log, and so is without events.
    pub newest: Vec<u8>,
}

/// Bytes that are not a head object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadObjectError {
    /// Not as it should be at all.
    #[error("this is not the head object of a feed: it begins with another line")]
    NotOne,
    /// Of another format.
    #[error("the head object has the format {0:?}, and this version knows \"feed-static/1\": use a newer version")]
    Format(String),
    /// A name that names nothing.
    #[error(transparent)]
    Name(#[from] FileNameError),
    /// Files that leave something out.
    #[error("the head object's files leave out what is behind {0}")]
    Gap(u64),
}

/// Fields that are not known are skipped: the line only says where things are.
#[derive(Serialize, Deserialize)]
struct HeadLine {
    bulla: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base_since: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    snapshot: Option<String>,
    #[serde(default)]
    files: Vec<String>,
}

impl HeadObject {
    /// The number of bytes after which a reader may stop.
    pub const MAX_BYTES: usize = 1 << 20;

    /// Reads the object. The message in it is not looked at.
    pub fn read(bytes: &[u8]) -> Result<Self, HeadObjectError> {
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(HeadObjectError::NotOne)?;
        let line: HeadLine = serde_json::from_slice(&bytes[..end]).map_err(|_| HeadObjectError::NotOne)?;
        if line.bulla != FORMAT {
            return Err(HeadObjectError::Format(line.bulla));
        }
        let base = line.base.map(|name| name.parse()).transpose()?;
        let snapshot = line.snapshot.map(|name| name.parse()).transpose()?;
        let files = line.files.iter().map(|name| name.parse()).collect::<Result<Vec<FileName>, _>>()?;
        gapless(&files)?;
        Ok(HeadObject { base, base_since: line.base_since, snapshot, files, newest: bytes[end + 1..].to_vec() })
    }

    /// The bytes of the object.
    pub fn write(&self) -> Vec<u8> {
        let base = self.base.map(|name| name.to_string());
        let snapshot = self.snapshot.map(|name| name.to_string());
        let files = self.files.iter().map(FileName::to_string).collect();
        let line = HeadLine { bulla: FORMAT.to_owned(), base, base_since: self.base_since, snapshot, files };
        // Texts and lists of them always become JSON.
        let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
        bytes.push(b'\n');
        bytes.extend(&self.newest);
        bytes
    }
}

/// Reads the list of files from the beginning of the log.
pub fn read_base(bytes: &[u8]) -> Result<Vec<FileName>, HeadObjectError> {
    let text = std::str::from_utf8(bytes).map_err(|_| HeadObjectError::NotOne)?;
    let files = text.lines().map(str::parse).collect::<Result<Vec<FileName>, _>>()?;
    match files.first() {
        Some(first) if first.after > 0 => return Err(HeadObjectError::Gap(0)),
        _ => gapless(&files)?,
    }
    Ok(files)
}

/// Writes the list of files from the beginning of the log: a name in each line.
pub fn write_base(files: &[FileName]) -> Vec<u8> {
    files.iter().flat_map(|name| format!("{name}\n").into_bytes()).collect()
}

fn gapless(files: &[FileName]) -> Result<(), HeadObjectError> {
    match files.windows(2).find(|pair| pair[0].seq != pair[1].after) {
        Some(pair) => Err(HeadObjectError::Gap(pair[0].seq)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(after: u64, seq: u64) -> FileName {
        FileName::of(after, seq, b"")
    }

    #[test]
    fn what_is_written_is_read() {
        let base = BaseName::of(9, b"");
        for (base, files) in [(Some(base), vec![file(4, 9), file(9, 12)]), (None, vec![file(0, 1)]), (None, vec![])] {
            let (base_since, snapshot) = (base.map(|_| 7), base.map(|_| SnapshotName::of(8, b"")));
            let newest = b"{\"bulla\":\"feed/1\"}\n\n".to_vec();
            let head = HeadObject { base, base_since, snapshot, files, newest };
            assert_eq!(HeadObject::read(&head.write()), Ok(head));
        }
        let files = [file(0, 4), file(4, 9)];
        assert_eq!(read_base(&write_base(&files)), Ok(files.to_vec()));
        assert_eq!(read_base(b""), Ok(vec![]));
    }

    #[test]
    fn a_newer_publisher_may_say_more() {
        let head = HeadObject::read(b"{\"bulla\":\"feed-static/1\",\"more\":[1],\"files\":[]}\nmessage");
        assert_eq!(head.map(|head| head.newest), Ok(b"message".to_vec()));
    }

    #[test]
    fn anything_else_is_refused() {
        for wrong in ["", "{}", "{}\n", "<html>\n</html>\n", "{\"bulla\":\"feed/1\",\"keyring_id\":\"\"", "[]\n"] {
            assert_eq!(HeadObject::read(wrong.as_bytes()), Err(HeadObjectError::NotOne), "{wrong}");
        }
        let read = |text: &str| HeadObject::read(text.as_bytes()).map(|_| ());
        assert_eq!(read("{\"bulla\":\"feed-static/2\"}\n"), Err(HeadObjectError::Format("feed-static/2".to_owned())));
        let name = read("{\"bulla\":\"feed-static/1\",\"files\":[\"../head\"]}\n");
        assert!(matches!(name, Err(HeadObjectError::Name(_))), "{name:?}");
        let files = vec![file(0, 4), file(5, 6)];
        let gap = HeadObject { base: None, base_since: None, snapshot: None, files, newest: vec![] };
        assert_eq!(HeadObject::read(&gap.write()), Err(HeadObjectError::Gap(4)));
        assert_eq!(read_base(&write_base(&[file(1, 2)])), Err(HeadObjectError::Gap(0)));
        assert_eq!(read_base(&[0xff]), Err(HeadObjectError::NotOne));
    }
}
