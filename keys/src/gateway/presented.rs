//! What a request presents, as a gateway has it.

use std::fmt;

use http::HeaderName;

use super::Requirements;
use crate::{api_key::ApiKey, layer::Credential};

/// The headers of one request that may hold its API key. It borrows them, and allocates nothing.
#[derive(Clone, Copy)]
pub struct Presented<'v> {
    wanted: &'v Requirements,
    /// A third one would change nothing: two are too many.
    values: [Option<(&'v HeaderName, &'v [u8])>; 2],
}

impl<'v> Presented<'v> {
    /// Nothing yet, on a route that requires this.
    pub fn new(wanted: &'v Requirements) -> Self {
        Presented { wanted, values: [None; 2] }
    }

    /// Adds one header, whose name may have any case. One that the route does not read is passed over; one that has
    /// several values is added once for each.
    pub fn add(&mut self, name: &[u8], value: &'v [u8]) {
        if let Some(header) = self.wanted.header(name) {
            self.put(header, value);
        }
    }

    /// The same for a header that the route reads.
    #[inline]
    pub(crate) fn put(&mut self, header: &'v HeaderName, value: &'v [u8]) {
        if !self.wanted.rules().is_empty(header, value)
            && let Some(free) = self.values.iter_mut().find(|one| one.is_none())
        {
            *free = Some((header, value));
        }
    }

    #[inline]
    pub(super) fn credential(&self) -> Credential<'v> {
        match self.values {
            [None, _] => Credential::None,
            [Some((name, value)), None] => {
                self.wanted.rules().read_value(name, value, |text| text.parse::<ApiKey>().is_ok())
            }
            [Some(_), Some(_)] => Credential::Several,
        }
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented(…)")
    }
}
