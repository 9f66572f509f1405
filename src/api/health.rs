//! `GET /readyz`.

use bulla::keyring::KeyringId;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// The parameter of the query that names a keyring to compare.
pub(crate) const KEYRING_ID: &str = "keyring_id";

/// Whether keys are verified, and what does not work as it should.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    pub(crate) ready: bool,
    pub(crate) keyring_serial: u64,
    /// The version that seals new API keys; null if none can be issued.
    #[schema(required)]
    pub(crate) active_version: Option<u32>,
    /// Whether this service has the keyring that the query names; only where it names one.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) same_keyring: Option<bool>,
    /// What does not work as it should, while keys are verified all the same.
    pub(crate) degraded: Vec<Failing>,
}

/// Since when, and why, something fails.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Failing {
    pub(crate) what: &'static str,
    pub(crate) since: Timestamp,
    pub(crate) detail: String,
}

/// Compares the keyring that the query names, if it names one, with `own`. Only those who know the id already learn
/// that it is here. Other parameters are ignored, because probes add their own.
pub(crate) fn is_same_keyring(query: Option<&str>, own: KeyringId) -> Option<bool> {
    let mut parameters = form_urlencoded::parse(query?.as_bytes());
    parameters.find(|(name, _)| name == KEYRING_ID).map(|(_, named)| named == own.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyring_is_compared_only_where_one_is_named() {
        let own = KeyringId::from_bytes([0xa0; 16]);
        let compared = |query: &str| is_same_keyring(Some(query), own);
        assert_eq!(is_same_keyring(None, own), None);
        assert_eq!(compared("verbose&keyring=1"), None);
        assert_eq!(compared(&format!("t=1&keyring_id={own}")), Some(true));
        for other in ["", "a0", &"a1".repeat(16)] {
            assert_eq!(compared(&format!("keyring_id={other}")), Some(false), "{other}");
        }
    }
}
