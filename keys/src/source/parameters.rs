//! The `name=value` parts of a source URI.

use super::{SourceError, SourceErrorKind, SourceUri};

/// The parameters of one URI; none stands there twice, and each is known to the source.
pub(super) struct Parameters<'a> {
    uri: &'a SourceUri,
    pairs: Vec<(&'a str, Vec<u8>)>,
}

impl<'a> Parameters<'a> {
    /// Splits `text` at `separator`, and decodes the percent-encoding of the values (RFC 3986).
    pub(super) fn parse(
        uri: &'a SourceUri,
        text: &'a str,
        separator: char,
        known: &[&'static str],
    ) -> Result<Self, SourceError> {
        let fail = |detail| Err(SourceError::new(uri, SourceErrorKind::Uri, detail));
        let mut pairs: Vec<(&str, Vec<u8>)> = Vec::new();
        for part in text.split(separator).filter(|part| !part.is_empty()) {
            let Some((name, value)) = part.split_once('=') else {
                return fail(format!("`{part}` is no name=value"));
            };
            if !known.contains(&name) {
                return fail(format!("there is no parameter `{name}` here; known: {}", known.join(", ")));
            }
            if pairs.iter().any(|(before, _)| *before == name) {
                return fail(format!("`{name}` stands there twice"));
            }
            let Some(value) = decode(value) else {
                return fail(format!("the value of `{name}` has a `%` without two hexadecimal digits"));
            };
            pairs.push((name, value));
        }
        Ok(Parameters { uri, pairs })
    }

    /// The value of a parameter, as bytes.
    pub(super) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_slice())
    }

    /// The value of a parameter, as text.
    pub(super) fn get(&self, name: &str) -> Result<Option<&str>, SourceError> {
        let value = self.bytes(name).map(str::from_utf8).transpose();
        value
            .map_err(|_| SourceError::new(self.uri, SourceErrorKind::Uri, format!("the value of `{name}` is no UTF-8")))
    }

    /// The value of a parameter that has to be there; `why` is what to do.
    pub(super) fn require(&self, name: &str, why: &str) -> Result<&str, SourceError> {
        let missing = || SourceError::new(self.uri, SourceErrorKind::Uri, format!("`{name}` is missing: {why}"));
        self.get(name)?.filter(|value| !value.is_empty()).ok_or_else(missing)
    }
}

/// The bytes of a percent-encoded text.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = tail;
            continue;
        }
        let [high, low, tail @ ..] = tail else { return None };
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        bytes.push(digit(*high)? << 4 | digit(*low)?);
        rest = tail;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_names_are_known_and_single() {
        let uri: SourceUri = "x:y".parse().unwrap();
        let parse = |text| Parameters::parse(&uri, text, '&', &["a", "b"]);
        let parameters = parse("a=1%3d%20&b=").unwrap();
        assert_eq!(parameters.get("a"), Ok(Some("1= ")));
        assert!(parameters.require("b", "say it").is_err());
        assert_eq!(parameters.get("c"), Ok(None));
        assert!(parse("a=%ff").unwrap().get("a").is_err());
        for wrong in ["c=1", "a=1&a=2", "a", "a=%", "a=%2", "a=%zz"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
