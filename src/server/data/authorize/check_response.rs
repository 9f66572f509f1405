//! What Envoy is answered: an `envoy.service.auth.v3.CheckResponse` in the frame of gRPC.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tonic::Code;

use super::wire::{put, put_message, put_number};

const STATUS: u8 = 1;
const DENIED: u8 = 2;
const OK: u8 = 3;
/// A `google.protobuf.Struct`, encoded.
const METADATA: u8 = 4;

/// `OVERWRITE_IF_EXISTS_OR_ADD`: a header takes the place of the client's own.
const OVERWRITE: usize = 2;

/// Lets the request through, with these headers and without those, and with what Envoy's rate limits and access logs
/// read.
pub(super) fn allowed<'h>(
    headers: impl Iterator<Item = (&'h HeaderName, &'h [u8])>,
    removed: impl Iterator<Item = &'h HeaderName>,
    metadata: &[u8],
) -> Vec<u8> {
    framed(|message| {
        put_message(message, STATUS, |_| {});
        put_message(message, OK, |ok| {
            headers.for_each(|(name, value)| put_header(ok, name, value));
            removed.for_each(|name| put(ok, 5, name.as_str().as_bytes()));
        });
        put(message, METADATA, metadata);
    })
}

/// An answer for Envoy to send to the client. If it were an error of gRPC, Envoy might let the request through.
pub(super) fn denied(code: Code, status: StatusCode, headers: &HeaderMap<HeaderValue>, body: &[u8]) -> Vec<u8> {
    framed(|message| {
        put_message(message, STATUS, |inner| put_number(inner, 1, code as i32 as usize));
        put_message(message, DENIED, |denied| {
            put_message(denied, 1, |inner| put_number(inner, 1, status.as_u16().into()));
            headers.iter().for_each(|(name, value)| put_header(denied, name, value.as_bytes()));
            put(denied, 3, body);
        });
    })
}

/// A `HeaderValueOption`, whose value is kept where it is empty.
fn put_header(message: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    put_message(message, 2, |option| {
        put_message(option, 1, |header| {
            put(header, 1, name.as_str().as_bytes());
            put(header, 2, value);
        });
        put_number(option, 3, OVERWRITE);
        put_number(option, 4, 1);
    });
}

/// A frame: not compressed, its length, the message.
fn framed(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut frame = Vec::with_capacity(768);
    frame.extend([0; 5]);
    write(&mut frame);
    let length = u32::try_from(frame.len() - 5).unwrap_or(u32::MAX);
    frame[1..5].copy_from_slice(&length.to_be_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use envoy_types::{
        ext_authz::v3::pb::{CheckResponse, HeaderAppendAction, HttpResponse},
        pb::envoy::config::core::v3::HeaderValueOption,
    };
    use prost::Message;

    use super::*;

    fn read(frame: &[u8]) -> CheckResponse {
        let (head, message) = frame.split_at(5);
        assert_eq!((head[0], u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize), (0, message.len()));
        CheckResponse::decode(message).expect("Envoy's message")
    }

    fn shown(headers: &[HeaderValueOption]) -> Vec<(String, usize)> {
        let all = headers.iter().map(|option| {
            assert_eq!(option.append_action, HeaderAppendAction::OverwriteIfExistsOrAdd as i32);
            assert!(option.keep_empty_value);
            let header = option.header.as_ref().expect("a header");
            (header.key.clone(), header.value.len())
        });
        all.collect()
    }

    #[test]
    fn answers_of_any_length_are_envoys() {
        let name = HeaderName::from_static("x-bulla-assertion");
        for length in [0, 1, 100, 127, 128, 129, 16_383, 16_384, 3_000_000] {
            let value = vec![b'a'; length];
            let frame = allowed([(&name, value.as_slice())].into_iter(), [&name].into_iter(), &[]);
            let answer = read(&frame);
            assert_eq!(answer.status.expect("a status").code, 0);
            let Some(HttpResponse::OkResponse(ok)) = answer.http_response else { panic!("let through") };
            assert_eq!(shown(&ok.headers), [("x-bulla-assertion".to_owned(), length)]);
            assert_eq!(ok.headers_to_remove, ["x-bulla-assertion"]);
            let headers = HeaderMap::from_iter([(name.clone(), HeaderValue::from_bytes(&value).expect("a value"))]);
            let frame = denied(Code::PermissionDenied, StatusCode::FORBIDDEN, &headers, &value);
            let answer = read(&frame);
            assert_eq!(answer.status.expect("a status").code, 7);
            let Some(HttpResponse::DeniedResponse(denied)) = answer.http_response else { panic!("denied") };
            assert_eq!(denied.status.expect("a status").code, 403);
            assert_eq!((shown(&denied.headers)[0].1, denied.body.len()), (length, length));
        }
    }
}
