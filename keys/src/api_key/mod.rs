//! An API key: the text a client sends in a header.

pub(crate) mod id;
pub(crate) mod text;
mod within;

use std::{fmt, str::FromStr};

use zeroize::Zeroizing;

pub use self::id::{ApiKeyId, ApiKeyIdError};
use self::text::Parts;
use crate::{rejection::Rejection, vector::Body};

/// An API key with a right shape and checksum; only a [`Verifier`](crate::verifier::Verifier) finds out whether it is
/// genuine.
///
/// It is a credential: wiped when dropped, `Debug` shows its id alone, and the text is only to be had from
/// [`ApiKey::expose`].
///
/// ```
/// # use bulla::ApiKey;
/// let key: ApiKey = "acme_live_00000XzbyFf5rOyRXQyt8VBSvX0TttKnpE6rUC8OjIcD0Yz3vNjR2yDFG2GcEwSPgHG8CNAVonv5o33Sczw".parse()?;
/// assert_eq!(format!("{key:?}"), "ApiKey(acme_live_00000XzbyFf5rOyRXQyt8V…)");
/// # Ok::<(), bulla::Rejection>(())
/// ```
pub struct ApiKey {
    text: Zeroizing<String>,
    id: ApiKeyId,
    has_secret: bool,
}

impl ApiKey {
    /// The key's id, its public beginning.
    pub fn id(&self) -> ApiKeyId {
        self.id
    }

    /// Returns whether the text carries a secret half.
    pub fn has_secret(&self) -> bool {
        self.has_secret
    }

    /// The text itself. Show it to its owner once, and put it nowhere else.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl FromStr for ApiKey {
    type Err = Rejection;

    fn from_str(text: &str) -> Result<Self, Rejection> {
        let parts = Parts::split(text.as_bytes())?;
        let realm = parts.realm().ok_or(Rejection::Malformed)?;
        let mut body = Body::new();
        parts.body(&mut body)?;
        parts.check_secret()?;
        let id = ApiKeyId::new(realm, *body.id());
        Ok(ApiKey { text: Zeroizing::new(text.to_owned()), id, has_secret: parts.secret.is_some() })
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({}…)", self.id)
    }
}
