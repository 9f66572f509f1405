//! Bodies in JSON, parsed with an error that says what was wrong.

use std::marker::PhantomData;

use axum::{
    body::{Bytes, HttpBody},
    extract::{FromRef, FromRequest, Request},
    http::HeaderMap,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_path_to_error::Segment;

use super::body::{self, Bounds, expect_type};
use crate::{
    api::bounded_list::TOO_LONG,
    config::ServerConfig,
    input::{
        json::TWICE,
        object::{self, Objects},
    },
    server::{core::Core, problem::Problem},
};

/// Longer than the names of all fields, and shorter than every API key.
const LONGEST_NAME: usize = 32;

const JSON: &str = "application/json";

const WRONG_KIND: &str = "a value of the wrong kind";

/// A body that has been read, and is parsed once the endpoint knows that the caller may do what it does.
pub(in crate::server) struct JsonBody<T, B = Single> {
    headers: HeaderMap,
    bytes: Bytes,
    as_type: PhantomData<(T, B)>,
}

/// What the body of an endpoint may cost.
pub(in crate::server) trait BodyBound: Send {
    fn of(config: &ServerConfig) -> Bounds;
}

/// The bounds of a request for one thing.
pub(in crate::server) struct Single;

/// The bounds of a batch.
pub(in crate::server) struct Batch;

impl BodyBound for Single {
    fn of(config: &ServerConfig) -> Bounds {
        Bounds::single(config)
    }
}

impl BodyBound for Batch {
    fn of(config: &ServerConfig) -> Bounds {
        Bounds::batch(config)
    }
}

impl<S: Send + Sync, T: Send, B: BodyBound> FromRequest<S> for JsonBody<T, B>
where
    Core: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, Problem> {
        let bounds = B::of(&Core::from_ref(state).config.server);
        let headers = std::mem::take(request.headers_mut());
        if !request.body().is_end_stream() {
            expect_type(&headers, JSON)?;
        }
        Ok(JsonBody { headers, bytes: body::bytes(request.into_body(), bounds).await?, as_type: PhantomData })
    }
}

impl<T, B> JsonBody<T, B> {
    /// The body as JSON.
    pub(in crate::server) fn parse(&self) -> Result<T, Problem>
    where
        T: DeserializeOwned,
    {
        self.parse_as()
    }

    /// The body as JSON whose texts are borrowed from it.
    pub(in crate::server) fn parse_as<'b, U: Deserialize<'b>>(&'b self) -> Result<U, Problem> {
        expect_type(&self.headers, JSON)?;
        parse(&self.bytes)
    }

    /// Without a body the defaults.
    pub(in crate::server) fn parse_or_default(&self) -> Result<T, Problem>
    where
        T: DeserializeOwned + Default,
    {
        if self.bytes.is_empty() { Ok(T::default()) } else { self.parse() }
    }

    pub(in crate::server) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(in crate::server) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads the body of a request of which nothing else is wanted. It is [`parse`]d when it is here.
pub(in crate::server) fn read(
    request: Request,
    bounds: Bounds,
) -> Result<impl Future<Output = Result<Bytes, Problem>> + Send + use<>, Problem> {
    expect_type(request.headers(), JSON)?;
    Ok(body::bytes(request.into_body(), bounds))
}

/// A body as JSON. The parser's own message may quote a value, which may be an API key: the problem has place and kind
/// alone.
pub(in crate::server) fn parse<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Result<T, Problem> {
    object::from_slice(bytes).map_err(|error| {
        let told = explain(&error);
        let of_a_value = [WRONG_KIND, TOO_LONG].iter().any(|kind| told.starts_with(kind));
        match of_a_value.then(|| place::<T>(bytes)).flatten() {
            Some(place) => Problem::bad_request(format!("`{place}`: {told}")),
            None => Problem::bad_request(told),
        }
    })
}

/// Which field holds a value that does not fit, as `api_keys[1].scopes`. Parses again, which only a refused body costs.
fn place<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Option<String> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let error = serde_path_to_error::deserialize::<_, T>(Objects(&mut json)).err()?;
    let mut place = String::new();
    for segment in error.path() {
        match segment {
            Segment::Seq { index } => place += &format!("[{index}]"),
            // A longer name may be an API key in the wrong place.
            Segment::Map { key } if key.len() <= LONGEST_NAME => {
                place += if place.is_empty() { "" } else { "." };
                place += key;
            }
            _ => break,
        }
    }
    Some(place).filter(|place| !place.is_empty() && error.inner().is_data())
}

fn explain(error: &serde_json::Error) -> String {
    let place = format!("line {}, column {}", error.line(), error.column());
    let text = error.to_string();
    match error.classify() {
        // Where it became too long says nothing.
        serde_json::error::Category::Data if text.starts_with(TOO_LONG) => {
            text.split(" at line ").next().unwrap_or_default().to_owned()
        }
        serde_json::error::Category::Data => {
            // A name as short as a field's is quoted; a longer one may be an API key in the wrong place.
            let name = text.split('`').nth(1).unwrap_or_default();
            let told =
                ["unknown field", "missing field", "duplicate field", TWICE].iter().any(|kind| text.starts_with(kind));
            match (told, name.len() <= LONGEST_NAME) {
                (true, true) => text,
                (true, false) => format!("unknown field at {place}"),
                (false, _) => format!("{WRONG_KIND} at {place}"),
            }
        }
        serde_json::error::Category::Eof => "the JSON ends early, or there is none".to_owned(),
        _ => format!("not JSON at {place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{
        followers::FollowerReports,
        issue::{NewApiKey, NewApiKeys},
        reroll::{Reroll, RerollSecret},
        revoke::{Reason, RevokeRequest},
        verify::{MAX_KEYS, VerifyBatchRequest, VerifyRequest},
    };

    #[test]
    fn errors_say_what_is_wrong_and_never_quote_values() {
        for (body, told) in [
            (r#"{"realm":"live","app_id":"x","nope":1}"#, "unknown field `nope`"),
            (r#"{"realm":"live"}"#, "missing field `app_id`"),
            (r#"{"realm":"live","realm":"live"}"#, "duplicate field `realm`"),
            (r#"{"realm":"live","app_id":"x","meta":{"live_hidden":"a","live_hidden":"b"}}"#, "a name stands twice"),
            (r#"{"realm":"live","app_id":"x","scopes":"live_hidden"}"#, "wrong kind at line 1"),
            (r#"{"realm":"#, "ends early"),
            (r#"{"realm":live_hidden}"#, "not JSON at line 1"),
            (r#"{"live_hidden0000000000000000000000000000":1}"#, "unknown field at line 1"),
        ] {
            let error = explain(&serde_json::from_str::<NewApiKey>(body).expect_err("a wrong body"));
            assert!(error.contains(told) && !error.contains("hidden"), "{body}: {error}");
        }
    }

    #[test]
    fn errors_name_the_field_and_never_a_name_as_long_as_an_api_key() {
        let long = "k".repeat(LONGEST_NAME + 1);
        for (body, told) in [
            (r#"{"realm":"live","app_id":"x","scopes":null}"#, Some("scopes")),
            (r#"{"realm":"live","app_id":"x","scopes":["a",1]}"#, Some("scopes[1]")),
            (r#"{"realm":"live","app_id":"x","meta":{"plan":1}}"#, Some("meta.plan")),
            (&format!(r#"{{"realm":"live","app_id":"x","meta":{{"{long}":1}}}}"#), Some("meta")),
            (r#"{"realm":"live","app_id":"x""#, None),
        ] {
            assert_eq!(place::<NewApiKey>(body.as_bytes()).as_deref(), told, "{body}");
        }
    }

    #[test]
    fn an_array_is_no_object_at_any_level() {
        fn refused<T: DeserializeOwned>(body: &str) -> String {
            parse::<T>(body.as_bytes()).err().expect(body).detail
        }
        const APP: &str = "00000000-0000-4000-8000-000000000000";
        for told in [
            refused::<NewApiKey>(&format!(r#"["live","{APP}"]"#)),
            refused::<VerifyRequest>(r#"["hidden",["live"],[],null,null]"#),
            refused::<VerifyBatchRequest>(r#"[["hidden"],["live"]]"#),
            refused::<RevokeRequest>(r#"[["hidden"]]"#),
            refused::<Reroll>("[]"),
            refused::<RerollSecret>("[]"),
            refused::<Reason>(r#"["hidden"]"#),
        ] {
            assert!(told.starts_with("a value of the wrong kind at line 1"), "{told}");
        }
        let told = refused::<NewApiKeys>(&format!(r#"{{"api_keys":[["live","{APP}"]]}}"#));
        assert!(told.starts_with("`api_keys[0]`: a value of the wrong kind"), "{told}");
        let told = refused::<FollowerReports>(r#"{"followers":[["hidden"]]}"#);
        assert!(told.starts_with("`followers[0]`: a value of the wrong kind"), "{told}");
        let told = refused::<NewApiKey>(&format!(r#"{{"realm":"live","app_id":"{APP}","meta":[]}}"#));
        assert!(told.starts_with("`meta`: a value of the wrong kind"), "{told}");
    }

    #[test]
    fn a_list_that_is_too_long_is_named_with_its_bound() {
        let body = serde_json::json!({"api_keys": vec!["hidden"; MAX_KEYS + 1]}).to_string();
        let error = serde_json::from_str::<VerifyBatchRequest>(&body).err().expect("too long");
        assert_eq!(explain(&error), "the list is too long: it may hold at most 1000 entries");
        assert_eq!(place::<VerifyBatchRequest>(body.as_bytes()).as_deref(), Some("api_keys"));
    }
}
