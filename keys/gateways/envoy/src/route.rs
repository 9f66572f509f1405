//! The requirements of a route: the text of a `DynamicModuleFilterPerRoute`, read for each verifier that meets it.

use std::{str, sync::OnceLock};

use bulla::gateway::{GateError, Requirements};

use crate::gates::{self, Opened};

/// What a route requires.
pub(crate) struct Route {
    text: String,
    /// As the first verifiers read it, with their numbers. A process has one, and two while its settings change.
    read: [OnceLock<(u64, Requirements)>; 4],
}

impl Route {
    /// Reads the text, or leaves that to the first verifier.
    pub(crate) fn new(text: &[u8]) -> Result<Self, String> {
        let text = str::from_utf8(text).map_err(|_| "the requirements of a route are not UTF-8".to_owned())?.trim();
        if text.is_empty() {
            return Err(
                "a route has no requirements: give it a text such as \"realm:live,scope:orders.read\", or \"-\" \
                        for every key of a default realm"
                    .to_owned(),
            );
        }
        if !is_panic(text) {
            gates::check_route(text)?;
        }
        Ok(Route { text: text.to_owned(), read: Default::default() })
    }

    /// Hands on the requirements as this verifier reads them.
    pub(crate) fn with<T>(&self, opened: &Opened, then: impl FnOnce(Result<&Requirements, GateError>) -> T) -> T {
        assert!(!is_panic(&self.text), "a test asks for a panic");
        let own =
            |read: &&OnceLock<(u64, Requirements)>| read.get().is_some_and(|(number, _)| *number == opened.number);
        if let Some((_, requirements)) = self.read.iter().find(own).and_then(OnceLock::get) {
            return then(Ok(requirements));
        }
        let mut read = match opened.gate.requirements(&self.text) {
            Ok(requirements) => (opened.number, requirements),
            Err(error) => return then(Err(error)),
        };
        for place in &self.read {
            // Another worker may have taken it.
            match place.set(read) {
                Ok(()) => return self.with(opened, then),
                Err(back) => read = back,
            }
        }
        then(Ok(&read.1))
    }
}

/// Whether a test asks for a panic. A release has no such text.
fn is_panic(text: &str) -> bool {
    cfg!(debug_assertions) && text == "panic"
}
