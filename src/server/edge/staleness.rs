//! How old the state is, and for which realms it is too old to accept a key by. A node decides in
//! `server/staleness.rs`.

use bulla::{CLOCK_DIFFERENCE, Realm};

use super::{
    exports::realms_of,
    follower::{Follower, State},
};
use crate::{config::OnStale, verification::Stale};

impl Follower {
    /// Finds out for which realms the state is too old.
    pub(super) fn judge(&self, state: &State, now: u64) {
        let stale = state.stale(now);
        if self.live.put_staleness(&stale) {
            match stale {
                Stale::Nothing => tracing::info!("revocations are current: keys are accepted"),
                Stale::Everything | Stale::LostEnd => {
                    tracing::error!("revocations are not known, or older than follow.max_stale: no key is accepted")
                }
                Stale::Realms(realms) => {
                    tracing::error!(
                        ?realms,
                        "revocations are older than follow.max_stale: no key of these realms is accepted"
                    );
                }
            }
        }
    }
}

impl State {
    /// How old the state is, in seconds, by the clock that says more; none before the first message.
    pub(super) fn age(&self, now: u64) -> Option<u64> {
        let by_clock = now.saturating_sub(self.current?);
        Some(self.heard.map_or(by_clock, |heard| by_clock.max(heard.elapsed().as_secs())))
    }

    /// The realms whose keys are not to be accepted now.
    fn stale(&self, now: u64) -> Stale {
        let (Some(age), Some(follow)) = (self.age(now), &self.parts.config.follow) else { return Stale::Everything };
        // A message says nothing of now if it was signed by a clock that was ahead of this one.
        if self.feed.this_update() > now.saturating_add(CLOCK_DIFFERENCE) {
            return Stale::Everything;
        }
        let is_stale = |realm: &Realm| {
            let (max_stale, on_stale) = follow.staleness_of(*realm);
            on_stale == OnStale::Refuse && age > max_stale.0.as_secs()
        };
        let (stale, current): (Vec<Realm>, Vec<Realm>) = realms_of(&self.parts.config).partition(is_stale);
        match (stale.is_empty(), current.is_empty()) {
            (true, _) => Stale::Nothing,
            (false, true) => Stale::Everything,
            (false, false) => Stale::Realms(stale.into()),
        }
    }
}
