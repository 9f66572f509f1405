//! Automatic rotation by age, and how long a staged version must wait before it is activated.

use std::{collections::HashMap, time::Instant};

use bulla::{
    keyring::{KeyVersion, KeyringDocument, VersionRecord, VersionState},
    source::SourceUri,
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    clock,
    config::{RotationConfig, Span},
};

/// The next step of automatic rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Stage a version with this source.
    Stage(SourceUri),
    /// Activate this staged version.
    Activate(KeyVersion),
    /// The active version is due, and no source is left to stage.
    NoSourceLeft,
}

/// How much the clocks of two machines may differ.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(bulla::CLOCK_DIFFERENCE as i64);

/// What this process has seen, by the monotonic clock. The time of day may jump: a moment in another year must neither
/// rotate nor delay a rotation until that year.
#[derive(Debug, Default)]
pub(crate) struct RotationTimers {
    /// The active version that is due, and since when it has been due at every check.
    due: Option<(KeyVersion, Instant)>,
    /// Staged versions, and when they were first seen.
    staged: HashMap<KeyVersion, Instant>,
}

/// Returns whether every verifier that refreshes once per `interval` must have the staged version by `now`.
pub(crate) fn is_everywhere(staged_at: Timestamp, interval: Span, now: Timestamp) -> bool {
    age(staged_at, now) > SignedDuration::try_from(interval.0).unwrap_or(SignedDuration::MAX)
}

/// The last change of the keyring, if it lies further ahead of `now` than clocks may differ: then one of the clocks is
/// wrong.
pub(crate) fn ahead_of(document: &KeyringDocument, now: Timestamp) -> Option<Timestamp> {
    latest_change(document).filter(|latest| age(now, *latest) > CLOCKS_DIFFER)
}

/// The version that seals new API keys at `now`: the active one, unless it is past its `seal_until`.
pub(crate) fn sealing(document: &KeyringDocument, now: Timestamp) -> Option<&VersionRecord> {
    document.active().filter(|active| active.seal_until.is_none_or(|until| clock::seconds(now) < until))
}

/// When a version was last staged or activated.
pub(crate) fn latest_change(document: &KeyringDocument) -> Option<Timestamp> {
    let changes = document.versions().iter().flat_map(|record| [Some(record.created_at), record.activated_at]);
    changes.flatten().max().map(clock::timestamp)
}

/// The step that is due at `now`, if rotation is automatic; `at` is the same moment by the monotonic clock. The active
/// version must be due for an interval, at every check, and a staged one must be there for an interval.
pub(crate) fn next_step(
    document: &KeyringDocument,
    config: &RotationConfig,
    interval: Span,
    (now, at): (Timestamp, Instant),
    seen: &mut RotationTimers,
) -> Option<Step> {
    let for_an_interval = |since: Instant| at.saturating_duration_since(since) > interval.0;
    let staged = document.versions().iter().filter(|record| record.state == VersionState::Staged);
    let staged: Vec<KeyVersion> = staged.map(|record| record.number).collect();
    seen.staged.retain(|number, _| staged.contains(number));
    for number in &staged {
        seen.staged.entry(*number).or_insert(at);
    }
    let every = SignedDuration::try_from(config.every.0).unwrap_or(SignedDuration::MAX);
    let active = document.active().filter(|_| config.automatic);
    let due =
        active.filter(|active| age(clock::timestamp(active.activated_at.unwrap_or(active.created_at)), now) >= every);
    seen.due = due.map(|due| match seen.due {
        Some((number, since)) if number == due.number => (number, since),
        _ => (due.number, at),
    });
    seen.due.filter(|(_, since)| for_an_interval(*since))?;
    // A version that was staged by hand counts, too.
    if let Some(first) = staged.first() {
        let is_everywhere = seen.staged.get(first).is_some_and(|since| for_an_interval(*since));
        return is_everywhere.then_some(Step::Activate(*first));
    }
    let used =
        |uri: &SourceUri| document.versions().iter().any(|one| one.sources.iter().any(|source| source.uri == *uri));
    Some(config.sources.iter().find(|uri| !used(uri)).map_or(Step::NoSourceLeft, |uri| Step::Stage(uri.clone())))
}

fn age(since: Timestamp, now: Timestamp) -> SignedDuration {
    now.duration_since(since)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, time::Duration};

    use bulla::{
        keyring::{KeyringId, SourceRecord, Suite},
        source::Sources,
    };
    use tempfile::TempDir;

    use super::*;

    const DAY: i64 = 86_400;
    const YEAR: i64 = 365 * DAY;
    const MINUTE: Span = Span(Duration::from_secs(60));

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + seconds).expect("a time")
    }

    fn uri(number: u32) -> SourceUri {
        format!("file:{number}.key").parse().expect("a URI")
    }

    /// A keyring with two key files, and the looks at it of one process.
    struct Rotating {
        folder: TempDir,
        document: KeyringDocument,
        config: RotationConfig,
        seen: RotationTimers,
        start: Instant,
    }

    impl Rotating {
        /// One whose version 1 was activated at 0.
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            for (number, key) in [
                (1, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
                (2, "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="),
            ] {
                let path = folder.path().join(format!("{number}.key"));
                std::fs::write(&path, key).expect("written");
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
            }
            let config = RotationConfig { automatic: true, sources: vec![uri(1), uri(2)], ..RotationConfig::default() };
            let document = KeyringDocument::new(KeyringId::from_bytes([1; 16]));
            let mut rotating =
                Rotating { folder, document, config, seen: RotationTimers::default(), start: Instant::now() };
            let one = rotating.stage(1, at(0));
            rotating.document.activate(one, clock::seconds(at(0))).expect("activated");
            rotating
        }

        fn stage(&mut self, number: u32, now: Timestamp) -> KeyVersion {
            let record = SourceRecord { uri: uri(number), wrapped: None };
            let sources = Sources::new(self.folder.path());
            self.document.stage(Suite::default(), vec![record], &sources, clock::seconds(now)).expect("staged")
        }

        /// What is due when the process has run for `ran` seconds and the clock says `now`.
        fn look(&mut self, ran: u64, now: Timestamp) -> Option<Step> {
            let moment = (now, self.start + Duration::from_secs(ran));
            next_step(&self.document, &self.config, MINUTE, moment, &mut self.seen)
        }
    }

    #[test]
    fn rotation_by_age_is_arithmetic() {
        let mut rotating = Rotating::new();
        assert_eq!(rotating.look(0, at(90 * DAY - 1)), None, "not yet due");
        assert_eq!(rotating.look(1, at(90 * DAY)), None, "due, and not yet for an interval");
        rotating.config.automatic = false;
        assert_eq!(rotating.look(62, at(900 * DAY)), None, "off by default");
        rotating.config.automatic = true;
        assert_eq!(rotating.look(100, at(90 * DAY + 99)), None, "which begins anew");
        assert_eq!(rotating.look(161, at(90 * DAY + 160)), Some(Step::Stage(uri(2))), "the first source is in use");

        let two = rotating.stage(2, at(90 * DAY + 160));
        assert_eq!(rotating.look(162, at(90 * DAY + 161)), None);
        assert_eq!(rotating.look(222, at(90 * DAY + 221)), None, "not every verifier has it yet");
        assert_eq!(rotating.look(223, at(90 * DAY + 222)), Some(Step::Activate(two)));
        rotating.document.activate(two, clock::seconds(at(90 * DAY + 222))).expect("activated");
        assert_eq!(rotating.look(300, at(180 * DAY)), None);
        assert_eq!(rotating.look(400, at(180 * DAY + 222)), None);
        assert_eq!(rotating.look(461, at(180 * DAY + 283)), Some(Step::NoSourceLeft));
    }

    #[test]
    fn the_active_version_seals_until_its_limit() {
        let mut rotating = Rotating::new();
        let one = rotating.document.active().expect("active").number;
        let sealing = |rotating: &Rotating, now| super::sealing(&rotating.document, now).map(|record| record.number);
        assert_eq!(sealing(&rotating, at(YEAR)), Some(one), "without a limit");
        rotating.document.limit(one, Some(clock::seconds(at(DAY))), None).expect("limited");
        assert_eq!((sealing(&rotating, at(DAY - 1)), sealing(&rotating, at(DAY))), (Some(one), None));
    }

    #[test]
    fn a_clock_that_jumps_ahead_for_a_moment_stages_nothing() {
        let mut rotating = Rotating::new();
        assert_eq!(rotating.look(0, at(DAY)), None);
        assert_eq!(rotating.look(30, at(YEAR)), None);
        assert_eq!(rotating.look(35, at(DAY + 35)), None);
        assert_eq!(rotating.look(91, at(YEAR)), None, "each jump begins anew");
        assert_eq!(rotating.look(152, at(YEAR + 61)), Some(Step::Stage(uri(2))), "one that stays is believed");
    }

    #[test]
    fn a_version_that_was_staged_in_another_year_is_activated_all_the_same() {
        let mut rotating = Rotating::new();
        let two = rotating.stage(2, at(91 * DAY + YEAR));
        assert_eq!(rotating.look(0, at(91 * DAY)), None);
        assert_eq!(rotating.look(61, at(91 * DAY + 61)), Some(Step::Activate(two)));
        assert_eq!(ahead_of(&rotating.document, at(91 * DAY + 61)), Some(at(91 * DAY + YEAR)), "and it is told");
        assert_eq!(ahead_of(&rotating.document, at(91 * DAY + YEAR - 300)), None, "clocks differ a little");
        assert_eq!(ahead_of(&rotating.document, at(91 * DAY + YEAR - 301)), Some(at(91 * DAY + YEAR)));
    }
}
