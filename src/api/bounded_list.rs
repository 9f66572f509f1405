//! Lists in a request's body. The first entries are kept and the others only counted, so that a list that is refused
//! for its length costs little.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};

/// A list of texts.
#[derive(Debug, PartialEq)]
pub(crate) struct BoundedList<const MOST: usize, T = String> {
    /// The first `MOST` of them.
    kept: Vec<T>,
    count: usize,
}

impl<const MOST: usize, T> Default for BoundedList<MOST, T> {
    fn default() -> Self {
        BoundedList { kept: Vec::new(), count: 0 }
    }
}

impl<const MOST: usize, T> BoundedList<MOST, T> {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// All of them, unless there are too many.
    pub(crate) fn all(self) -> Option<Vec<T>> {
        Some(self.kept).filter(|kept| kept.len() == self.count)
    }

    /// All of them, or as many as are kept of too many.
    pub(crate) fn kept(&self) -> &[T] {
        &self.kept
    }
}

impl<const MOST: usize> From<Option<String>> for BoundedList<MOST> {
    fn from(one: Option<String>) -> Self {
        let kept: Vec<String> = one.into_iter().collect();
        BoundedList { count: kept.len(), kept }
    }
}

impl<'de, const MOST: usize, T: Deserialize<'de>> Deserialize<'de> for BoundedList<MOST, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Entries::<MOST, T>(PhantomData))
    }
}

struct Entries<const MOST: usize, T>(PhantomData<T>);

impl<'de, const MOST: usize, T: Deserialize<'de>> Visitor<'de> for Entries<MOST, T> {
    type Value = BoundedList<MOST, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut list = BoundedList::default();
        while list.kept.len() < MOST {
            let Some(entry) = entries.next_element()? else { return Ok(list) };
            list.kept.push(entry);
            list.count += 1;
        }
        while entries.next_element::<IgnoredAny>()?.is_some() {
            list.count += 1;
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_beyond_the_limit_are_counted_and_not_kept() {
        let list =
            |text: &str| serde_json::from_str::<BoundedList<3>>(text).map(|list| (list.count(), list.kept().len()));
        assert_eq!(list("[]").expect("none"), (0, 0));
        assert_eq!(list(r#"["a","b","c"]"#).expect("all"), (3, 3));
        assert_eq!(list(r#"["a","b","c","d","e"]"#).expect("too many"), (5, 3));
        for wrong in ["7", "{}", "[7]", r#"["a""#] {
            assert!(list(wrong).is_err(), "{wrong}");
        }
    }
}
