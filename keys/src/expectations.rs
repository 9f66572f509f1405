//! What the caller of a verifier expects of an API key.

use std::net::IpAddr;

use crate::realm::Realm;

/// The realms, scopes, audience and client address that a key is held to.
///
/// A key of any other realm is rejected; so is a key bound to audiences or addresses where none is given here.
#[derive(Clone, Copy, Debug)]
pub struct Expectations<'a> {
    pub(crate) realms: &'a [Realm],
    pub(crate) scopes: &'a [&'a str],
    pub(crate) audience: Option<&'a str>,
    pub(crate) address: Option<IpAddr>,
}

impl<'a> Expectations<'a> {
    /// Accepts keys of these realms.
    pub fn realms(realms: &'a [Realm]) -> Self {
        Expectations { realms, scopes: &[], audience: None, address: None }
    }

    /// All of these scopes are needed.
    #[must_use]
    pub fn scopes(mut self, scopes: &'a [&'a str]) -> Self {
        self.scopes = scopes;
        self
    }

    /// The caller's own audience, compared byte for byte.
    #[must_use]
    pub fn audience(mut self, audience: &'a str) -> Self {
        self.audience = Some(audience);
        self
    }

    /// The client's address.
    #[must_use]
    pub fn address(mut self, address: IpAddr) -> Self {
        self.address = Some(address);
        self
    }
}
