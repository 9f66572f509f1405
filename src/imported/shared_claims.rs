//! Scopes that many imported keys have in common, kept once.

use std::{collections::HashMap, sync::Arc};

use bulla::claims::Claims;

/// The most that are kept. Claims beyond that stand in their rows: where each key has scopes of its own, nothing is
/// shared.
const MAX_SHARED: usize = 1_000;

/// Claims by their numbers. Number 0 stands for none.
#[derive(Default)]
pub(super) struct SharedClaims {
    by_scopes: HashMap<String, u32>,
    all: Vec<Arc<Claims>>,
}

impl SharedClaims {
    /// The number of these claims, from 1; `None` where they are not shared.
    pub(super) fn number(&mut self, claims: &Claims) -> Option<u32> {
        if *claims == Claims::new() {
            return Some(0);
        }
        if !claims.meta().is_empty() {
            return None;
        }
        let scopes = claims.scopes_text();
        if let Some(number) = self.by_scopes.get(&scopes) {
            return Some(*number);
        }
        if self.all.len() == MAX_SHARED {
            return None;
        }
        let number = u32::try_from(self.all.len() + 1).ok()?;
        self.by_scopes.insert(scopes, number);
        self.all.push(Arc::new(claims.clone()));
        Some(number)
    }

    /// The claims of a number.
    pub(super) fn get(&self, number: u32) -> Option<Arc<Claims>> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        self.all.get(at).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_scopes_have_the_same_number_and_no_more_than_a_bound_are_kept() {
        let mut shared = SharedClaims::default();
        let scoped = |number: usize| Claims::new().with_scopes([format!("customer:{number}")]);
        assert_eq!((shared.number(&Claims::new()), shared.get(0)), (Some(0), None));
        let numbers: Vec<_> = (0..MAX_SHARED).map(|number| shared.number(&scoped(number))).collect();
        assert!(numbers.iter().enumerate().all(|(at, number)| *number == Some(at as u32 + 1)));
        assert_eq!((shared.number(&scoped(7)), shared.number(&scoped(MAX_SHARED))), (Some(8), None));
        assert_eq!(shared.get(8).as_deref(), Some(&scoped(7)));
        assert_eq!(shared.number(&Claims::new().with_meta([("a", "b")])), None, "hardly ever the same");
    }
}
