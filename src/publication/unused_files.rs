//! Files that no head object names any more. A reader may still be on its way through an older head object, so they
//! stay for a while; since when stands in an object of its own, so that a publisher that was stopped does not begin to
//! count anew.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use bulla::feed::static_feed::{BaseName, BodyName, FILES, FileName, SnapshotName};

use super::{
    draft::Draft,
    place::{Caching, Place, PlaceError},
};
use crate::clock;

/// The object that says since when, in Unix seconds, for publishers alone.
const UNUSED: &str = "unused";

/// The longest time between two looks, in seconds. A missing file is found by one.
const LOOK_INTERVAL: u64 = 60;

pub(super) struct Unused {
    keep: u64,
    looked_at: Option<u64>,
}

impl Unused {
    pub(super) fn new(keep: Duration) -> Self {
        Unused { keep: clock::seconds_up(keep), looked_at: None }
    }

    /// Looks at the files now and then: removes those that were unused for long, and names one that is missing.
    pub(super) fn tidy(
        &mut self,
        place: &dyn Place,
        published: &Draft,
        now: u64,
    ) -> Result<Option<String>, PlaceError> {
        if self.looked_at.is_some_and(|looked_at| now.abs_diff(looked_at) < LOOK_INTERVAL.min(self.keep)) {
            return Ok(None);
        }
        let there: HashSet<String> = place.list(FILES)?.into_iter().filter(|name| is_ours(name)).collect();
        let needed: HashSet<String> = published.needs().collect();
        let (known, tag) = place.read(UNUSED)?.unzip();
        let known: BTreeMap<String, u64> =
            known.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let mut since = BTreeMap::new();
        for name in there.iter().filter(|name| !needed.contains(*name)) {
            // A clock that was ahead makes nothing stay for ever.
            let from = known.get(name).map_or(now, |from| now.min(*from));
            if from + self.keep <= now {
                place.remove(&format!("{FILES}/{name}"))?;
            } else {
                since.insert(name.clone(), from);
            }
        }
        if since != known {
            let text = serde_json::to_vec(&since).unwrap_or_default();
            // Another publisher that was first has seen the same.
            place.replace(UNUSED, &text, Caching::Never, tag.as_ref())?;
        }
        self.looked_at = Some(now);
        Ok(needed.into_iter().find(|name| !there.contains(name)))
    }
}

/// Other files in the folder are somebody else's.
fn is_ours(name: &str) -> bool {
    name.parse::<FileName>().is_ok()
        || name.parse::<BaseName>().is_ok()
        || name.parse::<SnapshotName>().is_ok()
        || name.parse::<BodyName>().is_ok()
}
