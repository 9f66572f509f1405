//! An edge: its key, its exports, the state on disk, and whether its sources answer with what it trusts. Of a relay,
//! which has no realms, the sources alone.

use bulla::{
    feed::{FeedState, Question},
    keyring::Exports,
};
use jiff::Timestamp;

use super::Report;
use crate::{
    clock,
    config::{Config, FollowConfig},
    server::edge::{check_complete, kept, open_sources, read_edge_key, read_exports, realms_of},
};

pub(super) fn check(config: &Config, follow: &FollowConfig, now: Timestamp, report: &mut Report) {
    if config.is_relay() {
        report
            .ok("relay", "there is no [realms], so this is checked as a relay: an edge needs a [realms.NAME] for each");
        check_sources(follow, None, clock::seconds(now), report);
        return;
    }
    let key = match read_edge_key(follow) {
        Ok(key) => key,
        Err(error) => {
            let text = format_args!("{error}; if this is a relay, remove [realms] from its configuration");
            return report.wrong("edge key", text);
        }
    };
    report.ok("edge key", format_args!("its recipient is {}", key.recipient()));
    let exports = read_exports(config, follow, &key, Exports::default());
    match check_complete(&exports, realms_of(config), follow, &key) {
        // It names those that failed.
        Err(error) => report.wrong("exports", error),
        Ok(()) => exports.failed().iter().for_each(|failed| report.wrong("exports", failed)),
    }
    let kept = kept(follow, &key, clock::seconds(now));
    if let Some(trouble) = kept.trouble {
        report.wrong("state", trouble);
    }
    match &kept.state {
        None => report.warning("state", "no state is saved yet: no key is accepted until a source answers"),
        Some(state) => {
            let signed_at = clock::timestamp(state.this_update());
            report.ok("state", format_args!("at {} in the revocation log, as of {signed_at}", state.seq()));
        }
    }
    let keyring = exports.keyring(follow.keyring_id);
    let newest = check_sources(follow, kept.state, clock::seconds(now), report);
    let versions = newest.as_ref().map(FeedState::versions).unwrap_or_default();
    for (realm, version) in keyring.missing(versions) {
        let text = format_args!(
            "the export of the realm {realm} lacks key version {version}: make it anew with `bulla keyring export --realm {realm} --to {}`",
            key.recipient()
        );
        report.wrong("exports", text);
    }
    if keyring.serial() == 0 {
        return; // There is no export, which is told above.
    }
    let serial = newest.map(|state| state.keyring_serial()).unwrap_or_default();
    if keyring.serial() < serial {
        let text = format_args!(
            "they were made from the keyring's serial {}, which is {serial} by now: where a `verify_until` changed, make them anew",
            keyring.serial()
        );
        report.warning("exports", text);
    } else {
        report.ok("exports", format_args!("made from the keyring's serial {}", keyring.serial()));
    }
}

/// Asks each source for what comes next. The state after the newest message.
fn check_sources(follow: &FollowConfig, kept: Option<FeedState>, now: u64, report: &mut Report) -> Option<FeedState> {
    let sources = match open_sources(follow) {
        Ok(sources) => sources,
        Err(error) => {
            report.wrong("sources", error);
            return kept;
        }
    };
    let mut newest = kept;
    for opened in sources {
        let source = &opened.source;
        let mut state = newest.clone().unwrap_or_else(|| FeedState::new(follow.realm));
        let question = Question { after: state.seq(), log_id: state.log_id(), wait: 0 };
        let trusted = (follow.keyring_id, &follow.public_key);
        let message = source.ask(&question).and_then(|answer| Ok(answer.apply(&mut state, trusted, now)?.1));
        match message {
            Ok(message) => {
                let head = message.head();
                report.ok("sources", format_args!("{} is at {} of {} in the log", source.name(), head.seq, head.head));
                newest = Some(state);
            }
            Err(error) => report.wrong("sources", format_args!("{}: {error}", source.name())),
        }
    }
    newest
}
