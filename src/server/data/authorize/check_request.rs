//! What Envoy asks: the fields of an `envoy.service.auth.v3.CheckRequest` that count here, with their numbers. Envoy
//! sends much more about a request, which is skipped.

use std::{net::IpAddr, str};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bulla::layer::CredentialRules;

use super::wire::{Fields, WireError, visit};
use crate::telemetry::excerpt::{self, excerpt};

/// The most entries of a message. Envoy sends 100 headers by default, and at most 8,192.
const MAX_ENTRIES: usize = 10_000;

/// The context extension with the requirements of a route. No other name may begin with it, in any case: with a typing
/// error the route would require nothing.
const REQUIRED: &str = "bulla";

/// Attributes, their source, its address, that of a socket, its text.
const SOURCE: &[u32] = &[1, 1, 1, 1, 2];
/// Attributes, the request, that of HTTP.
const HTTP: &[u32] = &[1, 4, 2];
/// A map, which on the wire is its entries.
const HEADERS: u32 = 3;
/// In place of that map with `encode_raw_headers`.
const HEADER_MAP: u32 = 13;
/// Attributes, and the entries of another map.
const EXTENSIONS: &[u32] = &[1, 10];

/// A message.
#[derive(Clone, Copy)]
pub(super) struct Question<'m>(&'m [u8]);

impl<'m> Question<'m> {
    pub(super) fn of(message: &'m [u8]) -> Self {
        Question(message)
    }

    /// The text of the route. The inner error is the route's.
    pub(super) fn route(self) -> Result<Result<Option<&'m str>, String>, WireError> {
        let (mut found, mut wrong, mut entries) = (None, None, 0);
        visit(self.0, EXTENSIONS, &mut |entry| {
            count(&mut entries)?;
            let [key, value, _] = texts(entry)?;
            let name = key.trim_ascii();
            let alike = name.get(..REQUIRED.len()).is_some_and(|start| start.eq_ignore_ascii_case(REQUIRED.as_bytes()));
            if key != REQUIRED.as_bytes() && alike {
                let name = excerpt(key, excerpt::SHORT);
                wrong.get_or_insert(format!(
                    "the route has the context extension `{name}`: move what it requires into `{REQUIRED}`"
                ));
            } else if key == REQUIRED.as_bytes() && found.replace(value).is_some() {
                wrong.get_or_insert(format!("the route has the context extension `{REQUIRED}` twice"));
            }
            Ok(())
        })?;
        let not_text = |_| format!("the context extension `{REQUIRED}` is not UTF-8");
        let text = || found.map(str::from_utf8).transpose().map_err(not_text);
        Ok(wrong.map_or_else(text, Err))
    }

    /// The client's address as Envoy sees it.
    pub(super) fn source(self) -> Result<Option<IpAddr>, WireError> {
        let mut address = None;
        visit(self.0, SOURCE, &mut |text| {
            address = Some(str::from_utf8(text).map_err(|_| WireError::Broken)?);
            Ok(())
        })?;
        Ok(address.and_then(|text| text.parse().ok()))
    }

    /// The headers that a credential may be in.
    pub(super) fn credentials(self, rules: &CredentialRules) -> Result<HeaderMap, WireError> {
        let (mut found, mut entries) = (HeaderMap::new(), 0);
        let mut keep = |entry: &'m [u8]| -> Result<(), WireError> {
            count(&mut entries)?;
            let [key, value, raw_value] = texts(entry)?;
            let named = |name: &&HeaderName| key.eq_ignore_ascii_case(name.as_str().as_bytes());
            if let Some(name) = rules.headers().find(named) {
                let value = if raw_value.is_empty() { value } else { raw_value };
                // A value that cannot be read is not a key, but it counts as a credential.
                found.append(name, HeaderValue::from_bytes(value).unwrap_or(HeaderValue::from_static("?")));
            }
            Ok(())
        };
        visit(self.0, HTTP, &mut |http| {
            let mut fields = Fields::of(http);
            while let Some((field, bytes)) = fields.next_field()? {
                match field {
                    HEADERS => keep(bytes.ok_or(WireError::Broken)?)?,
                    HEADER_MAP => visit(bytes.ok_or(WireError::Broken)?, &[1], &mut keep)?,
                    _ => {}
                }
            }
            Ok(())
        })?;
        Ok(found)
    }
}

fn count(entries: &mut usize) -> Result<(), WireError> {
    *entries += 1;
    if *entries > MAX_ENTRIES { Err(WireError::TooMany(MAX_ENTRIES)) } else { Ok(()) }
}

/// The fields 1 to 3 of an entry or a header: key, value, and the raw value. The last of each counts.
fn texts(entry: &[u8]) -> Result<[&[u8]; 3], WireError> {
    let (mut texts, mut fields) = ([&[][..]; 3], Fields::of(entry));
    while let Some((field, bytes)) = fields.next_field()? {
        if let 1..=3 = field {
            texts[field as usize - 1] = bytes.ok_or(WireError::Broken)?;
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use std::iter::repeat_n;

    use envoy_types::{
        ext_authz::v3::pb::CheckRequest,
        pb::envoy::{
            config::core::v3::{Address, HeaderMap as RawHeaders, HeaderValue as Raw, SocketAddress, address},
            service::auth::v3::{
                AttributeContext,
                attribute_context::{HttpRequest, Peer, Request},
            },
        },
    };
    use prost::Message;

    use super::*;

    fn message(headers: &[(&str, &str)], raw: Vec<Raw>, extensions: &[(&str, &str)], address: &str) -> Vec<u8> {
        let map = |all: &[(&str, &str)]| all.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let socket = SocketAddress { address: address.into(), ..SocketAddress::default() };
        let source = Address { address: Some(address::Address::SocketAddress(socket)) };
        let http = HttpRequest {
            method: "GET".into(),
            path: "/orders".into(),
            size: -1,
            headers: map(headers),
            header_map: Some(RawHeaders { headers: raw }),
            ..HttpRequest::default()
        };
        let attributes = AttributeContext {
            source: Some(Peer { address: Some(source), ..Peer::default() }),
            request: Some(Request { time: Some(Default::default()), http: Some(http) }),
            context_extensions: map(extensions),
            ..AttributeContext::default()
        };
        CheckRequest { attributes: Some(attributes) }.encode_to_vec()
    }

    fn raw(key: &str, value: &str, raw_value: &[u8]) -> Raw {
        Raw { key: key.into(), value: value.into(), raw_value: raw_value.to_vec() }
    }

    #[test]
    fn what_envoy_says_is_read() {
        let headers = [("x-api-key", "k1"), ("accept", "*/*"), ("Authorization", "Bearer k2")];
        let raws = vec![raw("x-api-key", "", b"k3"), raw("x-other", "o", b"")];
        let message = message(&headers, raws, &[("bulla", "realm:live"), ("other", "x")], "192.0.2.7");
        let question = Question::of(&message);
        assert_eq!(question.route(), Ok(Ok(Some("realm:live"))));
        assert_eq!(question.source(), Ok("192.0.2.7".parse().ok()));
        let found = question.credentials(CredentialRules::usual()).expect("headers");
        let of = |name: &str| found.get_all(name).iter().map(|value| value.to_str().expect("text")).collect::<Vec<_>>();
        assert_eq!((of("x-api-key"), of("authorization"), found.len()), (vec!["k1", "k3"], vec!["Bearer k2"], 3));
        let only = question.credentials(&CredentialRules::header(HeaderName::from_static("x-other"))).expect("headers");
        assert_eq!((only.len(), &only["x-other"]), (1, &HeaderValue::from_static("o")));
        // A message that stands twice is one.
        let twice = [message.as_slice(), &message].concat();
        assert_eq!(Question::of(&twice).credentials(CredentialRules::usual()).expect("headers").len(), 6);
        assert!(Question::of(&twice).route().expect("a message").is_err_and(|error| error.contains("twice")));
        assert_eq!(Question::of(&[]).route(), Ok(Ok(None)));
    }

    #[test]
    fn a_route_says_what_it_requires_in_one_context_extension() {
        let read = |extensions: &[(&str, &str)]| {
            let message = message(&[], Vec::new(), extensions, "");
            Question::of(&message).route().expect("a message").map(|text| text.map(str::to_owned))
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("other", "x"), ("bulla", "-")]), Ok(Some("-".to_owned())));
        for (wrong, told) in [
            (&[("bulla", "-"), ("bulla.scope", "a")][..], "`bulla.scope`"),
            (&[("bulla_realm", "live")], "`bulla_realm`"),
            (&[("Bulla", "realm:live")], "`Bulla`"),
            (&[(" bulla", "realm:live")], "` bulla`"),
        ] {
            let error = read(wrong).expect_err(told);
            assert!(error.contains(told), "{error}");
        }
        let not_text = [0x0a, 0x0e, 0x52, 0x0c, 0x0a, 0x05, b'b', b'u', b'l', b'l', b'a', 0x12, 0x03, 0xff, 0xff, 0xff];
        assert!(Question::of(&not_text).route().expect("a message").is_err_and(|error| error.contains("not UTF-8")));
    }

    #[test]
    fn entries_are_counted_wherever_they_are() {
        let names: Vec<String> = (0..=MAX_ENTRIES).map(|at| format!("n{at}")).collect();
        let all: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        let raws = |most: usize| repeat_n(raw("a", "b", b""), most).collect::<Vec<_>>();
        let asked = |message: Vec<u8>| {
            let question = Question::of(&message);
            question.route().and_then(|_| question.credentials(CredentialRules::usual())).map(|_| ())
        };
        let too_many = Err(WireError::TooMany(MAX_ENTRIES));
        assert_eq!(asked(message(&all, Vec::new(), &[], "")), too_many);
        assert_eq!(asked(message(&[], raws(MAX_ENTRIES + 1), &[], "")), too_many);
        assert_eq!(asked(message(&all[..6_000], raws(4_001), &[], "")), too_many);
        assert_eq!(asked(message(&[], Vec::new(), &all, "")), too_many);
        assert_eq!(asked(message(&all[..5_000], raws(5_000), &all[..MAX_ENTRIES], "")), Ok(()), "as many as may be");
    }

    #[test]
    fn no_piece_of_a_message_ends_anything() {
        let whole = message(&[("x-api-key", "k")], vec![raw("a", "b", b"c")], &[("bulla", "-")], "192.0.2.7");
        for end in 0..whole.len() {
            for piece in [&whole[..end], &whole[end..]] {
                let question = Question::of(piece);
                let _whatever = (question.route(), question.source(), question.credentials(CredentialRules::usual()));
            }
        }
        for broken in [&[0x0b][..], &[0x00], &[0xff; 11], &[0x0a, 0xff], &[0x08], &[0x0d, 0, 0]] {
            assert_eq!(Question::of(broken).source(), Err(WireError::Broken), "{broken:?}");
        }
    }
}
