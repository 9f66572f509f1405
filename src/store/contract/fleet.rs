//! The nodes and followers that report.

use super::*;

pub(super) fn the_fleet_is_kept(place: &Place) {
    followers::tests::keeps_the_fleet(&*place.store);
}
