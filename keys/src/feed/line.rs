//! One line of a message: a JSON object (RFC 8259) of which every field is asked for once, by name, and none is left
//! over.

use std::{fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use super::FeedError;

/// The largest integer that every JSON reader has exactly (RFC 7493).
const MAX_NUMBER: u64 = (1 << 53) - 1;

/// A line, or an object within one, and what was not taken from it yet.
pub(super) struct Line {
    number: usize,
    fields: Vec<(String, Value)>,
}

/// As much of JSON as a message is made of.
enum Value {
    Number(u64),
    Text(String),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
    Other,
}

impl Line {
    /// Reads the line of this number, without its end.
    pub(super) fn read(number: usize, bytes: &[u8]) -> Result<Self, FeedError> {
        let error = FeedError::NotAnObject { line: number };
        // JSON allows blanks around the object; here the line is the object.
        if !(bytes.starts_with(b"{") && bytes.ends_with(b"}")) {
            return Err(error);
        }
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(fields)) => Line::new(number, fields),
            _ => Err(error),
        }
    }

    fn new(number: usize, fields: Vec<(String, Value)>) -> Result<Self, FeedError> {
        for (at, (field, _)) in fields.iter().enumerate() {
            if fields[..at].iter().any(|(before, _)| before == field) {
                return Err(FeedError::DuplicateField { line: number, field: field.clone() });
            }
        }
        Ok(Line { number, fields })
    }

    /// Takes an integer.
    pub(super) fn number<T: TryFrom<u64>>(
        &mut self,
        field: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, FeedError> {
        self.take(field, expected, |value| match value {
            Value::Number(number) if number <= MAX_NUMBER => number.try_into().ok(),
            _ => None,
        })
    }

    /// Takes a text, in the one spelling that its kind has.
    pub(super) fn text<T: FromStr + ToString>(
        &mut self,
        field: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, FeedError> {
        self.take(field, expected, |value| match value {
            Value::Text(text) => text.parse::<T>().ok().filter(|parsed| parsed.to_string() == text),
            _ => None,
        })
    }

    /// Takes an object.
    pub(super) fn object(&mut self, field: &'static str, expected: &'static str) -> Result<Option<Line>, FeedError> {
        let object = self.take(field, expected, |value| match value {
            Value::Object(fields) => Some(fields),
            _ => None,
        })?;
        object.map(|fields| Line::new(self.number, fields)).transpose()
    }

    /// Takes a list of objects.
    pub(super) fn objects(&mut self, field: &'static str, expected: &'static str) -> Result<Vec<Line>, FeedError> {
        let objects = self.take(field, expected, |value| {
            let Value::List(values) = value else { return None };
            let objects = values.into_iter().map(|value| match value {
                Value::Object(fields) => Some(fields),
                _ => None,
            });
            objects.collect::<Option<Vec<_>>>()
        })?;
        self.present(field, objects)?.into_iter().map(|fields| Line::new(self.number, fields)).collect()
    }

    /// A field that has to be there.
    pub(super) fn present<T>(&self, field: &'static str, value: Option<T>) -> Result<T, FeedError> {
        value.ok_or(FeedError::MissingField { line: self.number, field })
    }

    /// The only one of these whose field, by its `name`, is there.
    pub(super) fn only<T: Copy, const N: usize>(
        &self,
        all: [T; N],
        name: impl Fn(T) -> &'static str,
    ) -> Result<T, FeedError> {
        let mut present = all.into_iter().filter(|one| self.fields.iter().any(|(field, _)| field == name(*one)));
        match (present.next(), present.next()) {
            (Some(one), None) => Ok(one),
            _ => Err(FeedError::UnknownEvent { line: self.number }),
        }
    }

    /// Refuses what was not asked for.
    pub(super) fn end(self) -> Result<(), FeedError> {
        match self.fields.into_iter().next() {
            Some((field, _)) => Err(FeedError::UnknownField { line: self.number, field }),
            None => Ok(()),
        }
    }

    /// What is wrong with a field.
    pub(super) fn wrong(&self, field: &'static str, expected: &'static str) -> FeedError {
        FeedError::WrongValue { line: self.number, field, expected }
    }

    fn take<T>(
        &mut self,
        field: &'static str,
        expected: &'static str,
        read: impl FnOnce(Value) -> Option<T>,
    ) -> Result<Option<T>, FeedError> {
        let Some(at) = self.fields.iter().position(|(name, _)| name == field) else { return Ok(None) };
        let (_, value) = self.fields.swap_remove(at);
        read(value).map(Some).ok_or_else(|| self.wrong(field, expected))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = object.next_entry()? {
            fields.push(field);
        }
        Ok(Value::Object(fields))
    }
}
