//! Rotation: the moves a person or a program may ask for, and the ones that happen by themselves with age.

use bulla::{KeyVersion, KeyringDocument, SourceUri, State};
use jiff::{SignedDuration, Timestamp};

use crate::config::{RotationConfig, Span};

/// What automatic rotation does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Stage a version with this source.
    Stage(SourceUri),
    /// Activate this staged version.
    Activate(KeyVersion),
    /// The active version is due, and no source is left to stage.
    NoSourceLeft,
}

/// Whether every verifier that refreshes once per `interval` must have the staged version by `now`.
pub(crate) fn is_everywhere(staged_at: Timestamp, interval: Span, now: Timestamp) -> bool {
    age(staged_at, now) > SignedDuration::try_from(interval.0).unwrap_or(SignedDuration::MAX)
}

/// What is due at `now`, if rotation is automatic.
pub(crate) fn next_step(
    document: &KeyringDocument,
    config: &RotationConfig,
    interval: Span,
    now: Timestamp,
) -> Option<Step> {
    let active = document.active().filter(|_| config.automatic)?;
    let due = SignedDuration::try_from(config.every.0).unwrap_or(SignedDuration::MAX);
    if age(active.activated_at.unwrap_or(active.created_at), now) < due {
        return None;
    }
    // A version that was staged by hand is as good as one of ours.
    if let Some(staged) = document.versions().iter().find(|record| record.state == State::Staged) {
        return is_everywhere(staged.created_at, interval, now).then_some(Step::Activate(staged.number));
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
    use std::os::unix::fs::PermissionsExt;

    use bulla::{KeyringId, SourceRecord, Sources, Suite};

    use super::*;

    const DAY: i64 = 86_400;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + seconds).expect("a time")
    }

    #[test]
    fn rotation_by_age_is_arithmetic() {
        let folder = tempfile::tempdir().expect("a folder");
        for (number, key) in
            [(1, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), (2, "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=")]
        {
            let path = folder.path().join(format!("{number}.key"));
            std::fs::write(&path, key).expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
        }
        let uri = |number: u32| -> SourceUri { format!("file:{number}.key").parse().expect("a URI") };
        let sources = Sources::new(folder.path());
        let stage = |document: &mut KeyringDocument, number: u32, now: Timestamp| {
            let record = SourceRecord { uri: uri(number), wrapped: None };
            document.stage(Suite::default(), vec![record], &sources, now).expect("staged")
        };
        let mut document = KeyringDocument::new(KeyringId::from_bytes([1; 16]));
        let one = stage(&mut document, 1, at(0));
        document.activate(one, at(0)).expect("activated");

        let mut config = RotationConfig { automatic: true, sources: vec![uri(1), uri(2)], ..RotationConfig::default() };
        let interval = Span::seconds(60);
        let next = |document: &KeyringDocument, config: &RotationConfig, now: Timestamp| {
            next_step(document, config, interval, now)
        };
        assert_eq!(next(&document, &config, at(90 * DAY - 1)), None, "not yet due");
        assert_eq!(next(&document, &config, at(90 * DAY)), Some(Step::Stage(uri(2))), "the first source is in use");
        config.automatic = false;
        assert_eq!(next(&document, &config, at(900 * DAY)), None, "off by default");
        config.automatic = true;

        let two = stage(&mut document, 2, at(90 * DAY));
        assert_eq!(next(&document, &config, at(90 * DAY + 60)), None, "not every verifier has it yet");
        assert_eq!(next(&document, &config, at(90 * DAY + 61)), Some(Step::Activate(two)));
        document.activate(two, at(90 * DAY + 61)).expect("activated");
        assert_eq!(next(&document, &config, at(180 * DAY)), None);
        assert_eq!(next(&document, &config, at(180 * DAY + 61)), Some(Step::NoSourceLeft));
    }
}
