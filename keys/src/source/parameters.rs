//! The `name=value` parts of a source URI.

use percent_encoding::percent_decode_str;

use super::{SourceError, SourceErrorKind, SourceUri};

/// The parameters of one URI, each known to the source and there at most once.
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
                return fail(format!("`{part}` is not name=value"));
            };
            if !known.contains(&name) {
                return fail(format!("there is no parameter `{name}` here; known: {}", known.join(", ")));
            }
            if pairs.iter().any(|(before, _)| *before == name) {
                return fail(format!("`{name}` is there twice"));
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
        value.map_err(|_| {
            SourceError::new(self.uri, SourceErrorKind::Uri, format!("the value of `{name}` is not UTF-8"))
        })
    }

    /// The value of a parameter that has to be there; `why` is what to do.
    pub(super) fn require(&self, name: &str, why: &str) -> Result<&str, SourceError> {
        let missing = || SourceError::new(self.uri, SourceErrorKind::Uri, format!("`{name}` is missing: {why}"));
        self.get(name)?.filter(|value| !value.is_empty()).ok_or_else(missing)
    }
}

/// The bytes of a percent-encoded text, unless a `%` is followed by something else than two hexadecimal digits.
fn decode(text: &str) -> Option<Vec<u8>> {
    let is_escape =
        |tail: &str| tail.as_bytes().first_chunk::<2>().is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    text.split('%').skip(1).all(is_escape).then(|| percent_decode_str(text).collect())
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
