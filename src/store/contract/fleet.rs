//! The nodes and followers that report.

use super::*;

pub(super) fn the_fleet_is_kept(place: &Place) {
    followers::tests::keeps_the_fleet(&*place.store);
    followers::tests::notices_two_processes_under_one_name(&*place.store);
}
