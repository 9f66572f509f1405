//! The kinds of revocations by their words. The log's table and the feed have the same one, [`ChangeKind::name`]; the
//! audit has one of its own, which names what was acted on first, as all its actions do.

use bulla::revocation::ChangeKind;

/// The audit's word for an administrator's change of this kind.
pub(crate) fn audit_action(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Revoke => "api_key.revoke",
        ChangeKind::Suspend => "api_key.suspend",
        ChangeKind::Resume => "api_key.resume",
        ChangeKind::RevokeApp => "app.revoke",
        ChangeKind::RevokeRealm => "realm.revoke",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FEED.md and ADMIN.md have these words; the log's table has the feed's.
    #[test]
    fn each_kind_has_these_words_and_no_other() {
        let words: Vec<_> = ChangeKind::ALL.into_iter().map(|kind| (kind.name(), audit_action(kind))).collect();
        let expected = [
            ("revoke", "api_key.revoke"),
            ("suspend", "api_key.suspend"),
            ("resume", "api_key.resume"),
            ("revoke_app", "app.revoke"),
            ("revoke_realm", "realm.revoke"),
        ];
        assert_eq!(words, expected);
    }
}
