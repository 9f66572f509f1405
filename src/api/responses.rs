//! The problems that endpoints answer, as their description names them. They are made of the problems themselves.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::{
    IntoResponses,
    openapi::{
        Content, ContentBuilder, Ref, RefOr, Response, ResponseBuilder,
        example::ExampleBuilder,
        header::HeaderBuilder,
        schema::{AllOfBuilder, ObjectBuilder, Type},
    },
};

use super::problem::Problem;

/// Every problem's media type.
const MEDIA_TYPE: &str = "application/problem+json";

/// Names the problems that one status can have at an endpoint.
macro_rules! answers {
    ($($name:ident: $($problem:expr),+;)+) => {
        $(
            pub(crate) struct $name;

            impl IntoResponses for $name {
                fn responses() -> Responses {
                    reference(stringify!($name), &[$($problem),+])
                }
            }
        )+

        /// All of them by name, for the document's components.
        pub(crate) fn all() -> Vec<(String, Response)> {
            vec![$((stringify!($name).to_owned(), response(&[$($problem),+]))),+]
        }
    };
}

/// Joins the problems of endpoints of one kind.
macro_rules! groups {
    ($($(#[$comment:meta])* $name:ident: $($part:ident),+;)+) => {$(
        $(#[$comment])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> Responses {
                [$($part::responses()),+].into_iter().flatten().collect()
            }
        }
    )+};
}

type Responses = BTreeMap<String, RefOr<Response>>;

answers! {
    BadRequest: Problem::bad_request("unknown field `nope`, expected one of `api_key`, `realms`");
    Unauthorized: Problem::unauthorized(), Problem::several_credentials();
    Unidentified:
        Problem::unauthorized(), Problem::several_credentials(),
        Problem::certificate("no scopes are mapped to its name");
    Forbidden: Problem::forbidden("issue");
    NoAssertions: Problem::no_assertions();
    NoEndpoint: Problem::not_found();
    UnknownApiKey: Problem::unknown_api_key();
    UnknownVersion: Problem::unknown_version("the keyring has no version 1: `bulla keyring show` lists those it has");
    TimedOut: Problem::timed_out();
    ApiKeyState: Problem::api_key_state("the API key is revoked for good, and cannot be suspended");
    KeyringState:
        Problem::conflict("file:master-1.key holds the master key that version 1 already has: every version needs a key of its own"),
        Problem::read_only_keyring("keyring.toml cannot be replaced: change it where it is written, and copy it here");
    NameTaken: Problem::name_taken("edge-1");
    NoSnapshot: Problem::no_snapshot();
    AheadOfLog: Problem::ahead_of_log(7, 3);
    TooLarge: Problem::too_large(65_536);
    MediaType: Problem::media_type("application/json");
    Policy: Problem::policy("expires_in: keys of this realm must expire: name when");
    PolicyOrReused:
        Problem::policy("expires_in: keys of this realm must expire: name when"),
        Problem::key_reused("this Idempotency-Key came with another request before: use a new one for each request");
    Misconfigured: Problem::misconfigured_route("part 1 of the route's requirements names no realm"), Problem::internal();
    Internal: Problem::internal();
    CouldNotTell: Problem::could_not_tell();
    Busy: Problem::busy();
    CouldNotTellOrBusy: Problem::could_not_tell(), Problem::busy();
    Unavailable: Problem::could_not_tell(), Problem::no_feed(), Problem::busy(), Problem::may_have_happened(
        "this may have happened: PostgreSQL did not answer the commit within 10 s. Repeat the request, with its Idempotency-Key \
         where it had one: it is not done twice. Without a key, look into the ledger first (`bulla keys list`)"
    );
}

groups! {
    /// Of a body in JSON, or in a form.
    BodyProblems: BadRequest, TimedOut, TooLarge, MediaType;
    /// Of an administrator's credential.
    Credential: Unidentified, Forbidden;
    /// Of the admin plane's middleware, and of every endpoint behind it.
    Guarded: BadRequest, Credential, TimedOut, TooLarge, Internal, Unavailable;
}

fn reference(name: &str, problems: &[Problem]) -> Responses {
    let status = problems.first().map(|problem| problem.status.as_str().to_owned());
    status.into_iter().map(|status| (status, Ref::from_response_name(name).into())).collect()
}

fn response(problems: &[Problem]) -> Response {
    let titles: Vec<&str> = problems.iter().map(|problem| problem.title).collect();
    let mut response = ResponseBuilder::new()
        .description(format!("{}.", titles.join(", or: ")))
        .content(MEDIA_TYPE, content(problems));
    if problems.iter().any(|problem| problem.challenge.is_some()) {
        response = response.header("WWW-Authenticate", HeaderBuilder::new().schema(Some(text())).build());
    }
    if problems.iter().any(|problem| problem.again) {
        let when =
            HeaderBuilder::new().schema(Some(text())).description(Some("In seconds, where to ask again will do."));
        response = response.header("Retry-After", when.build());
    }
    response.build()
}

/// The schema of every problem, with the types and the status that it has here.
fn content(problems: &[Problem]) -> Content {
    let types = problems.iter().map(Problem::r#type);
    let statuses = problems.iter().take(1).map(|problem| problem.status.as_u16());
    let here = ObjectBuilder::new()
        .property("type", ObjectBuilder::new().schema_type(Type::String).enum_values(Some(types)))
        .property("status", ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some(statuses)));
    let schema = AllOfBuilder::new().item(Ref::from_schema_name("Problem")).item(here);
    let examples = problems.iter().map(|problem| {
        let example = ExampleBuilder::new().value(Some(shown(problem))).build();
        (problem.kind.to_owned(), RefOr::T(example))
    });
    ContentBuilder::new().schema(Some(schema)).examples_from_iter(examples).build()
}

fn shown(problem: &Problem) -> Value {
    json!(problem.document())
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}
