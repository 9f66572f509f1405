//! What the caller of a verifier expects of an API key.

use std::net::IpAddr;

use crate::{claims::View, realm::Realm};

/// The realms, scopes, audience and client address that a key must fit. It borrows its texts; [`OwnedExpectations`]
/// keeps them.
///
/// A key of any other realm is rejected; so is a key bound to audiences or addresses where none is given here.
#[derive(Clone, Copy, Debug)]
pub struct Expectations<'a> {
    pub(crate) realms: &'a [Realm],
    pub(crate) scopes: Scopes<'a>,
    pub(crate) audience: Option<&'a str>,
    pub(crate) address: Option<IpAddr>,
}

/// The same with texts of its own, to be kept with a route or moved to another thread.
///
/// ```
/// use bulla::{OwnedExpectations, Verifier};
/// # mod fixture { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/fixture.rs")); }
/// # let (fixture, now) = (fixture::Fixture::new(), fixture::NOW);
/// # let (live, api_key, verifier) = (fixture.live, fixture.issue(), Verifier::new(&fixture.keyring));
///
/// // Once for each route; nothing is allocated for a request.
/// let mut route = OwnedExpectations::new([live]);
/// route.audience = Some("shop".to_owned());
///
/// let expected = route.borrow().address("10.1.2.3".parse()?);
/// assert!(verifier.verify(api_key.expose(), &expected, now).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnedExpectations {
    /// Accepts keys of these realms.
    pub realms: Vec<Realm>,
    /// All of these scopes are needed.
    pub scopes: Vec<String>,
    /// The caller's own audience.
    pub audience: Option<String>,
    /// The client's address.
    pub address: Option<IpAddr>,
}

/// A list of scopes, of either kind of text.
#[derive(Clone, Copy, Debug)]
pub struct Scopes<'a>(List<'a>);

#[derive(Clone, Copy, Debug)]
enum List<'a> {
    Borrowed(&'a [&'a str]),
    Owned(&'a [String]),
}

impl<'a> Expectations<'a> {
    /// Accepts keys of these realms.
    pub fn realms(realms: &'a [Realm]) -> Self {
        Expectations { realms, scopes: Scopes(List::Borrowed(&[])), audience: None, address: None }
    }

    /// All of these scopes are needed.
    #[must_use]
    pub fn scopes(mut self, scopes: impl Into<Scopes<'a>>) -> Self {
        self.scopes = scopes.into();
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

impl OwnedExpectations {
    /// Accepts keys of these realms.
    pub fn new(realms: impl Into<Vec<Realm>>) -> Self {
        OwnedExpectations { realms: realms.into(), ..OwnedExpectations::default() }
    }

    /// What a verifier takes.
    pub fn borrow(&self) -> Expectations<'_> {
        Expectations {
            realms: &self.realms,
            scopes: Scopes(List::Owned(&self.scopes)),
            audience: self.audience.as_deref(),
            address: self.address,
        }
    }
}

impl Scopes<'_> {
    /// Returns whether a key with these claims has all of them.
    #[inline(always)]
    pub(crate) fn are_granted_by(&self, claims: &View<'_>) -> bool {
        match &self.0 {
            List::Borrowed(wanted) => claims.grants(wanted),
            List::Owned(wanted) => claims.grants(wanted),
        }
    }
}

impl<'a> From<&'a [&'a str]> for Scopes<'a> {
    fn from(scopes: &'a [&'a str]) -> Self {
        Scopes(List::Borrowed(scopes))
    }
}

impl<'a, const N: usize> From<&'a [&'a str; N]> for Scopes<'a> {
    fn from(scopes: &'a [&'a str; N]) -> Self {
        Scopes(List::Borrowed(scopes))
    }
}

impl<'a> From<&'a Vec<&'a str>> for Scopes<'a> {
    fn from(scopes: &'a Vec<&'a str>) -> Self {
        Scopes(List::Borrowed(scopes))
    }
}

impl<'a> From<&'a [String]> for Scopes<'a> {
    fn from(scopes: &'a [String]) -> Self {
        Scopes(List::Owned(scopes))
    }
}

impl<'a> From<&'a Vec<String>> for Scopes<'a> {
    fn from(scopes: &'a Vec<String>) -> Self {
        Scopes(List::Owned(scopes))
    }
}
