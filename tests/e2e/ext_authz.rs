//! gRPC `envoy.service.auth.v3.Authorization/Check`, over HTTP/2 on the data plane's own port.

use base64::{Engine, engine::general_purpose::STANDARD};
use envoy_types::pb::{
    envoy::service::auth::v3::CheckRequest,
    google::protobuf::{Value as ProtobufValue, value::Kind},
};
use serde_json::{Value, json};

use crate::support::{
    deployment::{APP, Deployment},
    envoy::{Envoy, Question, Verdict},
    server::Server,
};

const INVALID_REQUEST: (i32, Option<&str>) = (401, Some("Basic realm=\"bulla\", Bearer error=\"invalid_request\""));
const UNAUTHORIZED: (i32, Option<&str>) = (401, Some("Basic realm=\"bulla\", Bearer"));

struct Gateway {
    envoy: Envoy,
    server: Server,
    deployment: Deployment,
}

impl Gateway {
    fn new() -> Self {
        let deployment = Deployment::new();
        let server = Server::start(&deployment);
        Gateway { envoy: Envoy::new(&server.data), server, deployment }
    }

    fn ask(&self, question: Question) -> Verdict {
        self.envoy.ask(question)
    }
}

fn with(headers: &[(&str, &str)]) -> Question {
    Question::default().headers(headers)
}

#[test]
fn every_identity_header_takes_the_place_of_the_clients_own() {
    let gateway = Gateway::new();
    let bare = gateway.deployment.issue("live", &[]);
    let full = gateway.deployment.issue("live", &["--scope", "a", "--scope", "b", "--ttl", "1h"]);
    for (issued, scopes) in [(&bare, ""), (&full, "a b")] {
        let key = issued["api_key"].as_str().expect("a key");
        let answer = gateway.ask(with(&[
            ("x-api-key", key),
            ("x-bulla-app-id", "forged"),
            ("x-bulla-assertion", "a.forged.one"),
        ]));
        let told = ["app-id", "api-key-id", "realm", "scopes", "expires-at", "assertion"];
        let told = told.map(|name| answer.set(&format!("x-bulla-{name}")));
        let expires_at = issued["expires_at"].as_str().unwrap_or("");
        assert_eq!(told, [APP, issued["api_key_id"].as_str().expect("an id"), "live", scopes, expires_at, ""]);
        let Verdict::Allowed { set, .. } = &answer else { unreachable!() };
        assert_eq!(set.len(), told.len(), "{set:?}");
    }
}

#[test]
fn an_accepted_key_is_described_in_dynamic_metadata() {
    let gateway = Gateway::new();
    let described = |text: &str, route: &str| {
        let question = with(&[("x-api-key", text)]).route(route);
        let answer = gateway.envoy.send(question.into_request()).expect("an answer");
        answer.dynamic_metadata.map(|metadata| json(Kind::StructValue(metadata)))
    };
    let bare = gateway.deployment.issue("live", &[]);
    let text = |issued: &Value| issued["api_key"].as_str().expect("a key").to_owned();
    let expected = json!({"app_id": APP, "api_key_id": bare["api_key_id"], "realm": "live", "scopes": []});
    assert_eq!(described(&text(&bare), "-"), Some(expected));
    let more = ["--scope", "a", "--scope", "b", "--meta", "plan=gold", "--meta", "limit=100/minute"];
    let full = gateway.deployment.issue("live", &more);
    let expected = json!({
        "app_id": APP, "api_key_id": full["api_key_id"], "realm": "live", "scopes": ["a", "b"],
        "meta": {"limit": "100/minute", "plan": "gold"}, "limit": {"requests_per_unit": 100.0, "unit": "MINUTE"},
    });
    assert_eq!(described(&text(&full), "-"), Some(expected));
    // Nothing is said about a key that is not accepted.
    assert_eq!(described("x", "-"), None);
    assert_eq!(described(&text(&full), "scope:c"), None);
    assert_eq!(described(&text(&full), "nonsense"), None);
}

fn json(kind: Kind) -> Value {
    let of = |value: ProtobufValue| value.kind.map_or(Value::Null, json);
    match kind {
        Kind::NullValue(_) => Value::Null,
        Kind::NumberValue(number) => number.into(),
        Kind::StringValue(text) => text.into(),
        Kind::BoolValue(yes) => yes.into(),
        Kind::StructValue(fields) => fields.fields.into_iter().map(|(name, value)| (name, of(value))).collect(),
        Kind::ListValue(list) => list.values.into_iter().map(of).collect(),
    }
}

#[test]
fn the_header_that_the_key_was_read_from_is_taken_off_and_no_other() {
    let gateway = Gateway::new();
    let key = gateway.deployment.issue_text("live", &[]);
    let (bearer, basic) = (format!("Bearer {key}"), format!("Basic {}", STANDARD.encode(format!("{key}:"))));
    let jwt = ("authorization", "Bearer eyJhbGciOiJFZERTQSJ9.e30.c2ln");
    for (question, removed) in [
        (with(&[("authorization", &bearer)]), "authorization"),
        (with(&[("authorization", &basic)]), "authorization"),
        (with(&[("x-api-key", &key)]), "x-api-key"),
        (with(&[("x-api-key", &key), jwt]).route("from:x-api-key"), "x-api-key"),
        (
            with(&[("x-api-key", "an upstream's"), ("authorization", &bearer)]).route("from:authorization"),
            "authorization",
        ),
        (with(&[("x-key", &key), jwt, ("x-api-key", "k")]).route("from:X-Key"), "x-key"),
    ] {
        assert_eq!(gateway.ask(question).removed(), [removed]);
    }
}

#[test]
fn one_credential_in_one_header_once_and_never_in_the_query() {
    let gateway = Gateway::new();
    let key = gateway.deployment.issue_text("live", &[]);
    let (other, bearer) = (gateway.deployment.issue_text("test", &[]), format!("Bearer {key}"));
    let basic = |pair: String| format!("Basic {}", STANDARD.encode(pair));
    let encoded = key.replace('_', "%5F");
    for headers in [
        [("x-api-key", ""), ("authorization", &bearer)],
        [("x-api-key", &key), ("authorization", "")],
        [("cookie", "a"), ("authorization", &basic(format!("{encoded}:x")))],
        [("cookie", "a"), ("authorization", &basic(format!("alice:{key}")))],
    ] {
        assert_eq!(gateway.ask(with(&headers)).denied(), (200, None), "{headers:?}");
    }
    let both = basic(format!("{key}:{other}"));
    for (headers, denied) in [
        (vec![], UNAUTHORIZED),
        (vec![("x_api_key", key.as_str()), ("x.api.key", &key), ("api-key", &key), ("cookie", &key)], UNAUTHORIZED),
        (vec![("authorization", &key)], UNAUTHORIZED),
        (vec![("authorization", "")], UNAUTHORIZED),
        (vec![("x-api-key", &other)], UNAUTHORIZED),
        (vec![("x-api-key", "x\ny")], UNAUTHORIZED),
        (vec![("x-api-key", "x\ny"), ("authorization", &bearer)], INVALID_REQUEST),
        (vec![("x-api-key", &key), ("authorization", &bearer)], INVALID_REQUEST),
        (vec![("x-api-key", &key), ("x-api-key", &key)], INVALID_REQUEST),
        (vec![("authorization", &both)], INVALID_REQUEST),
        (vec![("authorization", &bearer), ("authorization", &bearer)], INVALID_REQUEST),
        (vec![("X-Api-Key", &key), ("x-api-key", &key)], INVALID_REQUEST),
    ] {
        let question = with(&headers).path(&format!("/x?api_key={key}&access_token={key}"));
        assert_eq!(gateway.ask(question).denied(), denied, "{headers:?}");
    }
    let key = key.as_bytes();
    for (raw, denied) in [
        (vec![("x-api-key", key)], (200, None)),
        (vec![("x-api-key", key), ("x-api-key", b"")], (200, None)),
        (vec![("X-Api-Key", key), ("cookie", &[0xff])], (200, None)),
        (vec![("x-api-key", &[0xff][..])], UNAUTHORIZED),
        (vec![("x-api-key", key), ("x-api-key", key)], INVALID_REQUEST),
        (vec![("x-api-key", key), ("authorization", bearer.as_bytes())], INVALID_REQUEST),
        (vec![("x-api-key", key), ("x-api-key", &[0])], INVALID_REQUEST),
    ] {
        assert_eq!(gateway.ask(Question::default().raw_headers(&raw)).denied(), denied, "{raw:?}");
    }
}

#[test]
fn the_route_says_what_is_required_and_the_client_does_not() {
    let gateway = Gateway::new();
    let key = gateway.deployment.issue_text("live", &["--scope", "orders.read", "--audience", "https://shop"]);
    let ask = |required: &str| {
        let client = [("x-api-key", key.as_str()), ("bulla", "-"), ("x-bulla", "realm:live")];
        let path = "/v1/authorize/aud:https%3A%2F%2Fshop?bulla=aud:https%3A%2F%2Fshop";
        gateway.ask(with(&client).path(path).route(required).extension("virtual_host", "any"))
    };
    let audience = "aud:https%3A%2F%2Fshop";
    assert_eq!(ask(audience).denied(), (200, None));
    assert_eq!(ask(&format!("realm:test,realm:live,scope:orders.read,{audience}")).denied(), (200, None));
    assert_eq!(ask("-").denied(), UNAUTHORIZED, "it is bound to an audience");
    assert_eq!(ask(&format!("realm:test,{audience}")).denied(), UNAUTHORIZED, "another realm's key");
    let missing = ask(&format!("scope:orders.read,scope:orders.write,{audience}"));
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"orders.read orders.write\"";
    assert_eq!(missing.denied(), (403, Some(challenge)));
}

#[test]
fn a_route_that_does_not_parse_lets_nobody_in_and_is_logged() {
    let gateway = Gateway::new();
    let key = gateway.deployment.issue_text("live", &[]);
    let question = || with(&[("x-api-key", &key)]);
    for question in [
        question().route(""),
        question().route("orders"),
        question().route("realm:bulla"),
        question().route("realm:nosuch"),
        question().route("scope:"),
        question().route("-").extension("bulla_scope", "orders.read"),
        question().extension("bulla-realm", "live"),
        question().extension("bulla.realm", "live"),
    ] {
        let Verdict::Denied { status, code, headers, body } = gateway.ask(question) else { panic!("let in") };
        assert_eq!((status, code, headers["content-type"].as_str()), (500, 13, "application/problem+json"));
        assert!(body.contains("urn:bulla:problem:misconfigured-route"), "{body}");
    }
    let log = gateway.server.stop();
    assert!(log.contains("requirements of a gateway's route do not parse"), "{log}");
    assert!(log.contains("bulla_scope") && !log.contains(&key), "{log}");
}

#[test]
fn codes_say_what_statuses_say() {
    let gateway = Gateway::new();
    let [one, two] = [(); 2].map(|()| gateway.deployment.issue_text("live", &["--secret"]));
    let ask = |key: &str, required: &str| match gateway.ask(with(&[("x-api-key", key)]).route(required)) {
        Verdict::Allowed { .. } => (200, 0, String::new()),
        Verdict::Denied { status, code, body, .. } => (status, code, body),
    };
    assert_eq!(ask(&one, "-"), (200, 0, String::new()));
    assert_eq!(ask("x", "-"), (401, 16, String::new()));
    assert_eq!(ask(&one, "scope:a"), (403, 7, String::new()));
    let changed = gateway.deployment.store().change(&format!(
        "UPDATE secret_hashes SET (phc, binding, mac) =
         (SELECT phc, binding, mac FROM secret_hashes WHERE api_key_id = '{}') WHERE api_key_id = '{}'",
        &one[..27],
        &two[..27]
    ));
    assert_eq!(changed, 1);
    let (status, code, body) = ask(&two, "-");
    assert_eq!((status, code), (503, 14), "somebody else wrote its hash");
    assert!(body.contains("urn:bulla:problem:could-not-tell"), "{body}");
}

#[test]
fn nothing_else_is_a_way_in() {
    let gateway = Gateway::new();
    let denied = gateway.envoy.send(CheckRequest::default()).expect("an answer");
    assert_eq!(denied.status.map(|status| status.code), Some(16), "no attributes, no key");
    let large = gateway.envoy.send(with(&[("x", &"x".repeat(5 << 20))]).into_request());
    assert!(large.is_err(), "{large:?}");
    let path = "/envoy.service.auth.v3.Authorization/Check";
    assert_eq!(gateway.server.data.get(path).status, 405);
    let garbage = gateway.server.data.request("POST", path, &[("content-type", "application/grpc")], "garbage");
    assert_ne!(garbage.header("grpc-status"), Some("0"), "{}", garbage.body);
    assert_eq!(gateway.server.data.get("/healthz").status, 200);
}

#[test]
fn what_a_route_is_called_by_mistake_fills_no_log_and_shows_no_key() {
    let gateway = Gateway::new();
    let admin_key = gateway.deployment.admin_key.clone();
    let long = format!("bulla{}", "x".repeat(1_000_000));
    let before = gateway.server.log().len();
    for name in [long.as_str(), &admin_key, "bulla\n\u{1b}[2J\u{2028}"] {
        assert_eq!(gateway.ask(Question::default().extension(name, "-")).denied(), (500, None));
    }
    let log = gateway.server.stop();
    assert!(log.contains("`bullaxxxxxxxxxxxxxxxxxxx…`"), "{log}");
    assert!(!log.contains(&admin_key[..28]) && !log.contains(['\u{1b}', '\u{2028}']), "{log}");
    assert!(log.len() - before < 2_000, "{} bytes for three lines", log.len() - before);
}

#[test]
fn a_message_of_nothing_but_entries_is_refused_before_they_are_made() {
    let gateway = Gateway::new();
    let many = (0..10_001).fold(Question::default(), |all, at| all.extension(&format!("other {at}"), "-"));
    let refused = gateway.envoy.send(many.into_request()).expect_err("too many");
    assert!(refused.message().contains("more headers or context extensions than 10000"), "{refused}");
    assert_eq!(gateway.ask(Question::default()).denied(), UNAUTHORIZED);
}
