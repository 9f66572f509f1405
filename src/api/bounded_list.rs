//! Lists in a request's body. The first entry too many ends the reading, so that a list that is refused for its length
//! costs little.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, SeqAccess, Visitor},
};

/// The beginning of the message about a list with more entries than it may hold. It quotes none of them.
pub(crate) const TOO_LONG: &str = "the list is too long";

/// A list of at most `MOST` texts.
#[derive(Debug, PartialEq)]
pub(crate) struct BoundedList<const MOST: usize, T = String>(Vec<T>);

impl<const MOST: usize, T> Default for BoundedList<MOST, T> {
    fn default() -> Self {
        BoundedList(Vec::new())
    }
}

impl<const MOST: usize, T> BoundedList<MOST, T> {
    pub(crate) fn entries(&self) -> &[T] {
        &self.0
    }

    pub(crate) fn into_entries(self) -> Vec<T> {
        self.0
    }
}

impl<const MOST: usize> From<Option<String>> for BoundedList<MOST> {
    fn from(one: Option<String>) -> Self {
        BoundedList(one.into_iter().collect())
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
        let mut list = Vec::new();
        while list.len() < MOST {
            let Some(entry) = entries.next_element()? else { return Ok(BoundedList(list)) };
            list.push(entry);
        }
        match entries.next_element::<IgnoredAny>()? {
            None => Ok(BoundedList(list)),
            Some(_) => Err(A::Error::custom(format_args!("{TOO_LONG}: it may hold at most {MOST} entries"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_up_to_the_first_entry_too_many() {
        let list = |text: &str| serde_json::from_str::<BoundedList<3>>(text).map(|list| list.entries().len());
        assert_eq!(list("[]").expect("none"), 0);
        assert_eq!(list(r#"["a","b","c"]"#).expect("all"), 3);
        // What follows is not JSON, and was not looked at.
        for long in [r#"["a","b","c","d"]"#, r#"["a","b","c","d" ~~~"#] {
            let error = list(long).expect_err("too long").to_string();
            assert!(error.starts_with("the list is too long: it may hold at most 3 entries"), "{long}: {error}");
        }
        for wrong in ["7", "{}", "[7]", r#"["a""#, r#"["a","b","c""#] {
            assert!(!list(wrong).expect_err("wrong").to_string().starts_with(TOO_LONG), "{wrong}");
        }
    }
}
