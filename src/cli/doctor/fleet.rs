//! The fleet: who is behind, silent or in trouble.

use bulla::feed::Format;
use jiff::Timestamp;

use super::Report;
use crate::{
    action::fleet,
    api::fleet::{Fleet, FollowersQuery, MemberName},
    deployment::Deployment,
    store::Store,
};

/// Members that are named.
const MAX_NAMED: usize = 10;

/// Warns of each node and follower that something is wrong with.
pub(super) fn check(deployment: &Deployment, store: &dyn Store, now: Timestamp, report: &mut Report) {
    let document = deployment.document(store).ok();
    let active = document.and_then(|document| document.active().map(|record| record.number.number()));
    let times = (now, fleet::heard_after(deployment.config.fleet.forget_after, now));
    let (mut query, mut count, mut troubled) = (FollowersQuery { after: None, limit: None }, 0, 0);
    loop {
        let page = match Fleet::read(store, &query, active, times) {
            Ok(page) => page,
            Err(error) => return report.wrong("fleet", error),
        };
        count += page.followers.len();
        for one in page.followers {
            let Some(trouble) = one.trouble else { continue };
            troubled += 1;
            if troubled <= MAX_NAMED {
                report.warning("fleet", format_args!("{} ({}): {trouble}", one.name, one.role.name()));
            }
        }
        if page.next_after.is_none() {
            break;
        }
        query.after = page.next_after.map(MemberName);
    }
    match (count, troubled) {
        (0, _) => report.ok("fleet", "no node or follower is registered"),
        (_, 0) => match store.fleet_common(times.1) {
            Ok(common) => {
                let common_formats = common.formats.unwrap_or_default();
                if !common_formats.contains(Format::NEWEST.name()) {
                    report.warning(
                        "fleet",
                        format_args!(
                            "a registered node or follower does not read {}, the newest format of the feed: an event that \
                             needs it would be refused until it does, unless fleet.assume_reads says so",
                            Format::NEWEST
                        ),
                    );
                }
                let formats = common_formats.into_iter().collect::<Vec<_>>().join(" and ");
                let lowest = common.lowest.unwrap_or_default();
                report.ok(
                    "fleet",
                    format_args!("{count} registered, all current, at {lowest} or beyond; all read {formats}"),
                );
            }
            Err(error) => report.wrong("fleet", error),
        },
        _ if troubled > MAX_NAMED => {
            report.warning("fleet", format_args!("{} more are in trouble: `bulla fleet`", troubled - MAX_NAMED));
        }
        _ => {}
    }
}
