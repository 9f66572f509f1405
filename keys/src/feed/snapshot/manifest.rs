//! The manifest's head: one line, as a message's head is.

use serde::Serialize;

use super::{Chunk, Snapshot, group::MAX_CHUNK};
use crate::{
    feed::{
        FeedError, LogId,
        head::{self, HEX, LiveText, PLACE, TIME, VersionText},
        line::Line,
    },
    key_version::KeyVersion,
    keyring::VersionState,
    keyring_id::KeyringId,
    realm::Realm,
};

const FORMAT: &str = "snapshot/2";
const CHUNKS: &str = "a list of objects with `bytes` and `sha256`";

/// What a snapshot says of itself, besides what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotHead {
    /// The keyring whose API keys it is about.
    pub keyring_id: KeyringId,
    /// The log that it was read from.
    pub log_id: LogId,
    /// The one realm that it is about; `None` is every realm.
    pub realm: Option<Realm>,
    /// When it was signed, in Unix seconds.
    pub this_update: u64,
    /// The serial number of the keyring that `versions` are of.
    pub keyring_serial: u64,
    /// Every key version and its state, in the order of their numbers.
    pub versions: Vec<(KeyVersion, VersionState)>,
}

#[derive(Serialize)]
struct Text<'a> {
    bulla: &'a str,
    keyring_id: String,
    log_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    realm: Option<&'a str>,
    seq: u64,
    this_update: u64,
    keyring_serial: u64,
    versions: Vec<VersionText>,
    live: LiveText,
    chunks: Vec<ChunkText>,
}

#[derive(Serialize)]
struct ChunkText {
    bytes: u32,
    sha256: String,
}

pub(super) fn write(snapshot: &Snapshot) -> String {
    let SnapshotHead { keyring_id, log_id, realm, this_update, keyring_serial, versions } = &snapshot.head;
    let chunk = |chunk: &Chunk| ChunkText { bytes: chunk.bytes, sha256: hex::encode(chunk.sha256) };
    let line = Text {
        bulla: FORMAT,
        keyring_id: keyring_id.to_string(),
        log_id: log_id.to_string(),
        realm: realm.as_ref().map(Realm::as_str),
        seq: snapshot.seq,
        this_update: *this_update,
        keyring_serial: *keyring_serial,
        versions: versions.iter().map(VersionText::of).collect(),
        live: LiveText::of(&snapshot.live),
        chunks: snapshot.chunks.iter().map(chunk).collect(),
    };
    // It cannot fail: every key is a text. No reader takes an empty line.
    serde_json::to_string(&line).unwrap_or_default() + "\n"
}

pub(super) fn read(signed: &[u8]) -> Result<Snapshot, FeedError> {
    let line = signed.strip_suffix(b"\n").unwrap_or(signed);
    if line.contains(&b'\n') {
        return Err(FeedError::TooManyEvents(1));
    }
    let mut line = Line::read(1, line)?;
    let format = line.text::<String>("bulla", "\"snapshot/2\"")?;
    match line.present("bulla", format)? {
        format if format == FORMAT => {}
        format => return Err(FeedError::Format(format)),
    }
    let (keyring_id, log_id) = (line.text("keyring_id", HEX)?, line.text("log_id", HEX)?);
    let realm = line.text("realm", "a realm")?;
    let mut number = |field, expected| line.number(field, expected).and_then(|value| line.present(field, value));
    let (seq, this_update) = (number("seq", PLACE)?, number("this_update", TIME)?);
    let keyring_serial = number("keyring_serial", PLACE)?;
    let versions = head::versions(&mut line)?;
    let live = head::live(&mut line)?;
    let live = line.present("live", live)?;
    let chunks = line.objects("chunks", CHUNKS)?.into_iter().map(chunk).collect::<Result<_, _>>()?;
    let (keyring_id, log_id) = (line.present("keyring_id", keyring_id)?, line.present("log_id", log_id)?);
    line.end()?;
    let head = SnapshotHead { keyring_id, log_id, realm, this_update, keyring_serial, versions };
    Ok(Snapshot { head, seq, live, chunks })
}

fn chunk(mut line: Line) -> Result<Chunk, FeedError> {
    const BYTES: &str = "a number from 1 to 1048576";
    const SHA256: &str = "64 hexadecimal digits in lower case";
    let bytes = line.number::<u32>("bytes", BYTES)?;
    let bytes = line.present("bytes", bytes)?;
    let sha256 = line.text::<String>("sha256", SHA256)?;
    let text = line.present("sha256", sha256)?;
    let mut sha256 = [0; 32];
    hex::decode_to_slice(&text, &mut sha256).map_err(|_| line.wrong("sha256", SHA256))?;
    if bytes == 0 || bytes as usize > MAX_CHUNK {
        return Err(line.wrong("bytes", BYTES));
    }
    if hex::encode(sha256) != text {
        return Err(line.wrong("sha256", SHA256));
    }
    line.end()?;
    Ok(Chunk { bytes, sha256 })
}
