//! Messages of the feed that were signed a moment ago: thousands of followers that waited at one place get the same
//! one, and the store is read for one of them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Question, Signed};

/// Longer ones are for followers that catch up, each at its own place.
const MAX_BYTES: usize = 64 * 1024;
/// The most messages of one moment.
const MAX_MESSAGES: usize = 64;

/// What a message depends on besides the question: within one second, one place of the log and one keyring it is the
/// same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    /// In Unix seconds.
    pub(super) now: u64,
    pub(super) place: u64,
    pub(super) keyring_serial: u64,
}

#[derive(Default)]
pub(super) struct RecentMessages(Mutex<(Moment, HashMap<Question, Arc<Signed>>)>);

impl RecentMessages {
    pub(super) fn get(&self, moment: Moment, question: &Question) -> Option<Arc<Signed>> {
        let recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.1.get(question).filter(|_| recent.0 == moment).cloned()
    }

    pub(super) fn put(&self, moment: Moment, question: Question, signed: &Arc<Signed>) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.0 != moment {
            *recent = (moment, HashMap::new());
        }
        if signed.bytes.len() <= MAX_BYTES && recent.1.len() < MAX_MESSAGES {
            recent.1.insert(question, Arc::clone(signed));
        }
    }
}

#[cfg(test)]
mod tests {
    use bulla::feed::Format;

    use super::*;

    #[test]
    fn a_message_is_given_again_within_its_moment_alone() {
        let recent = RecentMessages::default();
        let question = |after| Question { format: Format::V2, realm: None, after };
        let moment = Moment { now: 7, place: 3, keyring_serial: 1 };
        let signed = |length: usize| Arc::new(Signed { bytes: vec![0; length].into(), seq: 3 });
        recent.put(moment, question(2), &signed(10));
        assert!(recent.get(moment, &question(2)).is_some_and(|signed| signed.bytes.len() == 10));
        assert!(recent.get(moment, &question(1)).is_none());
        assert!(recent.get(moment, &Question { format: Format::V1, ..question(2) }).is_none());
        for other in
            [Moment { now: 8, ..moment }, Moment { place: 4, ..moment }, Moment { keyring_serial: 2, ..moment }]
        {
            assert!(recent.get(other, &question(2)).is_none());
        }
        recent.put(Moment { now: 8, ..moment }, question(1), &signed(MAX_BYTES + 1));
        assert!(recent.get(moment, &question(2)).is_none(), "it is over");
        assert!(recent.get(Moment { now: 8, ..moment }, &question(1)).is_none(), "too long");
    }
}
