//! Revocations: what has been taken back, consulted after a seal opened.

use hashbrown::HashSet;

use crate::ApiKeyId;

/// An immutable set of revoked API-key ids. Whoever owns it swaps in a new one when something changes.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    ids: HashSet<ApiKeyId>,
}

impl Revocations {
    /// Whether this key has been taken back.
    #[inline]
    pub fn contains(&self, id: &ApiKeyId) -> bool {
        !self.ids.is_empty() && self.ids.contains(id)
    }

    /// The number of ids.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

impl FromIterator<ApiKeyId> for Revocations {
    fn from_iter<T: IntoIterator<Item = ApiKeyId>>(ids: T) -> Self {
        Revocations { ids: ids.into_iter().collect() }
    }
}
