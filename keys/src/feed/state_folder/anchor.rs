//! The anchor: which state counts, and how many messages its journal has at least. It is on disk before the fleet hears
//! of a place. So a state or a journal that lost something which was reported is noticed, and not used.
//!
//! ```text
//! anchor   "bulla edge anchor 1\n" ‖ generation ‖ messages u64be ‖ the next generation ‖ MAC over all that
//! ```
//!
//! While a whole state is replaced the anchor names both: a crash leaves one of them. At all other times the next
//! generation is the same as the first.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::FileExt,
};

use super::{Generation, STATE, StateFolder, TAG};
use crate::{
    keyring::EdgeMac,
    source::{open_regular_file, read_regular_file},
};

const NAME: &str = "anchor";
const BEGINNING: &[u8] = b"bulla edge anchor 1\n";
const GENERATION: usize = size_of::<Generation>();
const LENGTH: usize = BEGINNING.len() + GENERATION + size_of::<u64>() + GENERATION;

/// What must be in the folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Anchor {
    /// The state that counts; zeros before the first.
    pub(super) generation: Generation,
    /// The messages that its journal has at least.
    pub(super) messages: u64,
    /// The state that takes its place now.
    pub(super) next: Generation,
}

impl Anchor {
    pub(super) fn settled(generation: Generation, messages: u64) -> Self {
        Anchor { generation, messages, next: generation }
    }

    /// The anchor of these bytes, if this edge wrote them.
    pub(super) fn read(bytes: &[u8], mac: &EdgeMac) -> Option<Self> {
        let (signed, tag) = bytes.split_at_checked(LENGTH)?;
        if !mac.verifies(signed, tag.try_into().ok()?) {
            return None;
        }
        let (generation, rest) = signed.strip_prefix(BEGINNING)?.split_first_chunk()?;
        let (messages, next) = rest.split_first_chunk()?;
        Some(Anchor { generation: *generation, messages: u64::from_be_bytes(*messages), next: next.try_into().ok()? })
    }

    pub(super) fn to_bytes(self, mac: &EdgeMac) -> Vec<u8> {
        let mut bytes = [BEGINNING, &self.generation, &self.messages.to_be_bytes(), &self.next].concat();
        bytes.extend(mac.tag(&bytes));
        bytes
    }
}

impl StateFolder {
    /// The bytes of the anchor, or why there are none.
    pub(super) fn anchor_bytes(&self) -> Result<Vec<u8>, String> {
        let read = read_regular_file(&self.folder.join(NAME), (LENGTH + TAG) as u64);
        read.map_err(|error| format!("{NAME}: {error}"))
    }

    /// Says that this state is about to take the place of the one on disk. Both count from now on.
    pub(super) fn announce(&self, next: Generation) -> io::Result<()> {
        let anchor = Anchor { next, ..self.counting() };
        self.replace(NAME, |file| file.write_all(&anchor.to_bytes(&self.mac)))
    }

    /// Says that this state alone counts. Returns the file, which [`StateFolder::confirm`] writes on.
    pub(super) fn settle(&self, generation: Generation) -> io::Result<File> {
        let file = OpenOptions::new().write(true).open(self.folder.join(NAME))?;
        self.confirm(&file, generation, 0)?;
        Ok(file)
    }

    /// Says how many messages the journal has; this is on disk when it returns. The file keeps its length and its
    /// place, so the disk writes one sector, as a whole or not at all.
    pub(super) fn confirm(&self, file: &File, generation: Generation, messages: u64) -> io::Result<()> {
        file.write_all_at(&Anchor::settled(generation, messages).to_bytes(&self.mac), 0)?;
        file.sync_data()
    }

    /// The anchor of what is on disk.
    fn counting(&self) -> Anchor {
        let anchor = self.anchor_bytes().ok().and_then(|bytes| Anchor::read(&bytes, &self.mac)).unwrap_or_default();
        // A state was replaced, and nothing behind that: the disk was full, or the process was killed.
        match self.generation() {
            Some(generation) if generation == anchor.next && generation != anchor.generation => {
                Anchor::settled(generation, 0)
            }
            _ => anchor,
        }
    }

    /// The generation of the state on disk, not authenticated.
    pub(super) fn generation(&self) -> Option<Generation> {
        let (mut beginning, mut generation) = ([0; STATE.len()], Generation::default());
        let mut file = open_regular_file(&self.folder.join("state")).ok()?;
        file.read_exact(&mut beginning).ok()?;
        file.read_exact(&mut generation).ok()?;
        (beginning == *STATE).then_some(generation)
    }
}
