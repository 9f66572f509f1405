//! What becomes of a request: whether it reached the application, as what, and with whose identity.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::gateways::{
    answer::Answer,
    application::{self, ArrivedRequest},
    gateway::Empty,
    question::Question,
    running::Running,
};

/// The request reached the application as it should, and its answer the client.
pub const REACHES: &str = "reaches";

/// What becomes of a question: `reaches`, with another target if it has one, or status and challenge, or what is wrong.
pub fn outcome(running: &Running, question: &Question) -> String {
    let answer = question.ask(running);
    let seen = running.application.seen();
    if let Some((name, _)) = answer.headers.iter().find(|(name, _)| name.starts_with("x-bulla")) {
        return format!("the client is told {name}");
    }
    match (answer.status, seen.as_slice()) {
        (200, [seen]) if question.method == "HEAD" && answer.body.is_empty() => arrived(running, question, seen),
        (200, [seen]) if answer.body.contains(application::BODY) => arrived(running, question, seen),
        (101, [seen]) if answer.body == "echo" => arrived(running, question, seen),
        (_, []) => refusal(&answer),
        (status, seen) => format!("{status}, and {} requests at the application", seen.len()),
    }
}

fn refusal(answer: &Answer) -> String {
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    format!("{} {challenge}", answer.status).trim().to_owned()
}

/// Whether the application got the request as it was sent, with the key's identity and without the key.
fn arrived(running: &Running, question: &Question, seen: &ArrivedRequest) -> String {
    let mut expected: Vec<_> = question.key.identity.iter().map(|(name, value)| (*name, value.as_str())).collect();
    expected.push(("x-forwarded-for", question.client()));
    let empty = |value: &str| value.is_empty() && running.gateway.empty == Empty::LeftOut;
    let mut wrong: Vec<_> = expected
        .into_iter()
        .map(|(name, value)| (name, if empty(value) { vec![] } else { vec![value] }))
        .chain([("x-api-key", vec![]), ("authorization", question.authorization.as_deref().into_iter().collect())])
        .filter(|(name, values)| seen.all(name) != *values)
        .map(|(name, values)| format!("{name} is {:?}, not {values:?}", seen.all(name)))
        .collect();
    match seen.all("x-bulla-assertion")[..] {
        [assertion] if asserted_id(assertion).as_ref() == Some(&question.key.id) => {}
        // A module has no key to sign with.
        [] | [""] if running.gateway.inside.is_some() => {}
        ref others => wrong.push(format!("the assertion is {others:?}")),
    }
    if (seen.method.as_str(), &seen.body) != (question.method, &question.body) {
        wrong.push(format!("{} with {} bytes", seen.method, seen.body.len()));
    }
    let asked_for = seen.all("upgrade").first().map(|protocol| protocol.to_ascii_lowercase());
    if asked_for.as_deref() != question.tunnel() {
        wrong.push(format!("the application is asked for {asked_for:?}"));
    }
    if seen.headers.iter().any(|(_, value)| value.contains(&question.key.text)) {
        wrong.push("the key gets through".to_owned());
    }
    match seen.target == question.target {
        _ if !wrong.is_empty() => format!("arrives, but {}", wrong.join("; ")),
        true => REACHES.to_owned(),
        false => format!("{REACHES} as {}", seen.target),
    }
}

/// The id of the key that an assertion is about. Its signature is looked at elsewhere (tests/e2e/assertion.rs).
fn asserted_id(assertion: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims["api_key_id"].as_str().map(str::to_owned)
}
