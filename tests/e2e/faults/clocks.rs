//! Clocks that are minutes apart.

use super::{Truth, World, until};
use crate::support::{clock::off_by, on_hosts::Verdict};

/// Five minutes are the most that the feed allows; a part of a second is lost on the way.
const OFFSETS: [&str; 2] = ["+5m", "-299"];

#[test]
fn edges_whose_clocks_are_five_minutes_off_hear_of_revocations_and_accept_good_keys() {
    let world = World::new("60s");
    let (here, ahead, behind) = (world.network.host(), world.network.host(), world.network.host());
    let node = world.node(&here);
    let edges: Vec<_> = [&ahead, &behind]
        .into_iter()
        .zip(OFFSETS)
        .map(|(host, offset)| {
            let clock = off_by(offset);
            world.edge(host, &[&here]).start_with(&clock.each_ref().map(|(name, value)| (*name, value.as_str())))
        })
        .collect();
    let mut truth = Truth::new(&node);
    for what in ["both edges know the first revocation", "both edges know the next one"] {
        until(what, || edges.iter().all(|edge| truth.is_known(|key| edge.verdict(key))));
        assert!(edges.iter().all(|edge| edge.verdict(&truth.good) == Verdict::Accepted));
        truth.revoke_at(&node);
    }
    until("both edges know the last one", || edges.iter().all(|edge| truth.is_known(|key| edge.verdict(key))));
}
