//! A message's first line: what it is about, from where to where, and until when it counts.

use serde::Serialize;

use super::{FeedError, Format, LogId, line::Line};
use crate::{key_version::KeyVersion, keyring::VersionState, keyring_id::KeyringId, realm::Realm, revocation::LiveSet};

pub(super) const HEX: &str = "32 hexadecimal digits in lower case";
pub(super) const PLACE: &str = "an integer from 0 to 9007199254740991";
pub(super) const TIME: &str = "a time in Unix seconds";
const LIVE: &str = "an object with `from`, `count` and `digest`";
const VERSIONS: &str = "a list of objects with `version` and `state`";

/// What a message says of itself: that it has everything which happened in its log behind `after`, up to and with
/// `seq`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The format that it is written in.
    pub format: Format,
    /// The keyring whose API keys it is about.
    pub keyring_id: KeyringId,
    /// The log that it was read from.
    pub log_id: LogId,
    /// The one realm that it is about; `None` is every realm.
    pub realm: Option<Realm>,
    /// The place in the log that it goes on from; 0 is the beginning.
    pub after: u64,
    /// The place that it goes to.
    pub seq: u64,
    /// The end of the log when it was signed: behind `seq` there is more to fetch.
    pub head: u64,
    /// When it was signed, in Unix seconds.
    pub this_update: u64,
    /// When a newer one has to have come, in Unix seconds.
    pub next_update: u64,
    /// The serial number of the keyring that `versions` are of.
    pub keyring_serial: u64,
    /// Every key version and its state, in the order of their numbers.
    pub versions: Vec<(KeyVersion, VersionState)>,
    /// What the log comes to at its end, where the message reaches it; in format 2 and later.
    pub live: Option<LiveSet>,
}

impl Head {
    pub(super) fn read(mut line: Line) -> Result<Self, FeedError> {
        let name = line.text::<String>("bulla", "\"feed/1\" or \"feed/2\"")?;
        // First and alone: what a newer format has besides would only look like mistakes here.
        let name = line.present("bulla", name)?;
        let format = Format::ALL.into_iter().find(|format| format.name() == name).ok_or(FeedError::Format(name))?;
        let keyring_id = line.text("keyring_id", HEX)?;
        let log_id = line.text("log_id", HEX)?;
        let realm = line.text("realm", "a realm")?;
        let mut number = |field, expected| line.number(field, expected).and_then(|value| line.present(field, value));
        let (after, seq, head) = (number("after", PLACE)?, number("seq", PLACE)?, number("head", PLACE)?);
        let (this_update, next_update) = (number("this_update", TIME)?, number("next_update", TIME)?);
        let keyring_serial = number("keyring_serial", PLACE)?;
        let versions = versions(&mut line)?;
        let (keyring_id, log_id) = (line.present("keyring_id", keyring_id)?, line.present("log_id", log_id)?);
        // A field that is not taken is one too many.
        let live = match format >= Format::V2 && seq == head {
            true => live(&mut line)?,
            false => None,
        };
        line.end()?;
        let head = Head {
            format,
            keyring_id,
            log_id,
            realm,
            after,
            seq,
            head,
            this_update,
            next_update,
            keyring_serial,
            versions,
            live,
        };
        head.check()?;
        Ok(head)
    }

    fn check(&self) -> Result<(), FeedError> {
        let &Head { after, seq, head, this_update, next_update, .. } = self;
        if after > seq || seq > head {
            return Err(FeedError::Range { after, seq, head });
        }
        if this_update > next_update {
            return Err(FeedError::Times { this_update, next_update });
        }
        Ok(())
    }

    pub(super) fn write(&self) -> String {
        let Head { after, seq, head, this_update, next_update, keyring_serial, .. } = *self;
        let versions = self.versions.iter().map(VersionText::of);
        let line = HeadText {
            bulla: self.format.name(),
            keyring_id: self.keyring_id.to_string(),
            log_id: self.log_id.to_string(),
            realm: self.realm.as_ref().map(Realm::as_str),
            after,
            seq,
            head,
            this_update,
            next_update,
            keyring_serial,
            versions: versions.collect(),
            live: self.live.as_ref().map(LiveText::of),
        };
        // It cannot fail: every key is a text. No reader takes an empty line.
        serde_json::to_string(&line).unwrap_or_default()
    }
}

/// The line, its fields in their order.
#[derive(Serialize)]
struct HeadText<'a> {
    bulla: &'a str,
    keyring_id: String,
    log_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    realm: Option<&'a str>,
    after: u64,
    seq: u64,
    head: u64,
    this_update: u64,
    next_update: u64,
    keyring_serial: u64,
    versions: Vec<VersionText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<LiveText>,
}

#[derive(Serialize)]
pub(super) struct LiveText {
    from: u64,
    count: u64,
    digest: String,
}

impl LiveText {
    pub(super) fn of(live: &LiveSet) -> Self {
        LiveText { from: live.from, count: live.count, digest: live.digest.to_string() }
    }
}

#[derive(Serialize)]
pub(super) struct VersionText {
    version: KeyVersion,
    state: VersionState,
}

impl VersionText {
    pub(super) fn of((version, state): &(KeyVersion, VersionState)) -> Self {
        VersionText { version: *version, state: *state }
    }
}

/// Takes every key version, which are in the order of their numbers.
pub(super) fn versions(line: &mut Line) -> Result<Vec<(KeyVersion, VersionState)>, FeedError> {
    let versions = line.objects("versions", VERSIONS)?.into_iter().map(version);
    let versions = versions.collect::<Result<Vec<_>, _>>()?;
    match versions.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
        Some(pair) => Err(FeedError::VersionOrder(pair[1].0)),
        None => Ok(versions),
    }
}

fn version(mut line: Line) -> Result<(KeyVersion, VersionState), FeedError> {
    const NUMBER: &str = "an integer from 1 to 4294967295";
    const STATE: &str = "staged, active, deactivated, compromised or destroyed";
    let number = line.number("version", NUMBER)?;
    let number = KeyVersion::new(line.present("version", number)?).ok_or_else(|| line.wrong("version", NUMBER))?;
    let name = line.text::<String>("state", STATE)?;
    let name = line.present("state", name)?;
    let state =
        VersionState::ALL.into_iter().find(|state| state.name() == name).ok_or_else(|| line.wrong("state", STATE))?;
    line.end()?;
    Ok((number, state))
}

/// Takes the live set, where it is there.
pub(super) fn live(line: &mut Line) -> Result<Option<LiveSet>, FeedError> {
    const DAY: &str = "the first second of a day";
    let Some(mut line) = line.object("live", LIVE)? else { return Ok(None) };
    let (from, count) = (line.number("from", DAY)?, line.number("count", PLACE)?);
    let digest = line.text("digest", HEX)?;
    let from = line.present("from", from)?;
    if LiveSet::from_day_of(from) != from {
        return Err(line.wrong("from", DAY));
    }
    let live = LiveSet { from, count: line.present("count", count)?, digest: line.present("digest", digest)? };
    line.end()?;
    Ok(Some(live))
}
