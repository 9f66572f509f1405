//! A key that was accepted: one of bulla's own, or one that was imported.

use std::{collections::BTreeMap, sync::Arc};

use bulla::{ApiKeyId, Verified, claims::Claims};
use uuid::Uuid;

use crate::imported::Key;

/// An accepted API key.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "in a box an accepted key would be allocated")]
pub(crate) enum Accepted {
    Sealed(Verified),
    Imported(Arc<Key>),
}

impl Accepted {
    pub(crate) fn id(&self) -> ApiKeyId {
        match self {
            Accepted::Sealed(verified) => verified.id(),
            Accepted::Imported(key) => key.id,
        }
    }

    /// None of an imported key.
    pub(crate) fn version(&self) -> Option<u32> {
        match self {
            Accepted::Sealed(verified) => Some(verified.id().version()),
            Accepted::Imported(_) => None,
        }
    }

    pub(crate) fn app_id(&self) -> Uuid {
        match self {
            Accepted::Sealed(verified) => verified.app_id(),
            Accepted::Imported(key) => key.app_id,
        }
    }

    /// In Unix seconds.
    pub(crate) fn issued_at(&self) -> u64 {
        match self {
            Accepted::Sealed(verified) => verified.issued_at(),
            Accepted::Imported(key) => key.issued_at.into(),
        }
    }

    /// In Unix seconds; `None` is never.
    pub(crate) fn expires_at(&self) -> Option<u64> {
        match self {
            Accepted::Sealed(verified) => verified.expires_at(),
            Accepted::Imported(key) => key.expires_at.map(u64::from),
        }
    }

    pub(crate) fn claims(&self) -> Option<&Claims> {
        match self {
            Accepted::Sealed(verified) => verified.claims(),
            Accepted::Imported(key) => key.claims(),
        }
    }

    pub(crate) fn scopes(&self) -> &[String] {
        self.claims().map_or(&[], Claims::scopes)
    }

    pub(crate) fn meta(&self) -> BTreeMap<String, String> {
        self.claims().map(|claims| claims.meta().clone()).unwrap_or_default()
    }
}
