//! What a caller expects of an API key.

use std::net::IpAddr;

use bulla::{Expectations, Opened, Realm, SecretCheck, Verified, Verifier, VerifyError};

/// What a caller expects of an API key, with owned texts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) realms: Vec<Realm>,
    pub(crate) scopes: Vec<String>,
    pub(crate) audience: Option<String>,
    pub(crate) address: Option<IpAddr>,
}

impl Wanted {
    /// Opens `text` at `now`, in Unix seconds: everything is checked but its secret half.
    pub(super) fn open(&self, verifier: &Verifier, text: &str, now: u64) -> Result<Opened, VerifyError> {
        verifier.open(text, &self.expectations(), now)
    }

    /// The same for many texts at once; `each` gets what becomes of them in their order.
    pub(super) fn open_batch<'t>(
        &self,
        verifier: &Verifier,
        texts: impl Iterator<Item = &'t str>,
        now: u64,
        each: impl FnMut(Result<Opened, VerifyError>),
    ) {
        verifier.open_batch(texts, &self.expectations(), now, each);
    }

    /// Accepts an opened key whose secret half was found right.
    pub(super) fn accept(&self, check: SecretCheck, verifier: &Verifier, now: u64) -> Result<Verified, VerifyError> {
        check.accept(verifier, &self.expectations(), now)
    }

    fn expectations(&self) -> Expectations<'_> {
        let mut expected = Expectations::realms(&self.realms).scopes(&self.scopes);
        if let Some(audience) = &self.audience {
            expected = expected.audience(audience);
        }
        if let Some(address) = self.address {
            expected = expected.address(address);
        }
        expected
    }
}
