//! Every answer that a test sees is one that the service's own description has.

use std::sync::OnceLock;

use serde_json::Value;

use super::{deployment::Deployment, http::Answer, server::Server};

/// One of the two planes.
#[derive(Clone, Copy)]
pub enum Plane {
    Data,
    Admin,
}

/// Holds an answer to the description. A path or method that nobody describes is answered with a problem that says so.
pub fn check(plane: Plane, method: &str, path: &str, answer: &Answer) {
    let path = path.split('?').next().expect("a path");
    // gRPC is described by Envoy.
    if path.starts_with("/envoy.") {
        return;
    }
    let seen = || format!("{method} {path}: {} {:?} {}", answer.status, answer.header("content-type"), answer.body);
    let Some(operation) = operation(plane, method, path) else {
        assert!([401, 404, 405].contains(&answer.status) || answer.status == 500, "described nowhere: {}", seen());
        return;
    };
    let response = resolved(&operation["responses"][answer.status.to_string()]);
    assert!(response.is_object(), "the status is not described: {}", seen());
    let Some(content) = response["content"].as_object().filter(|_| !answer.body.is_empty()) else {
        return assert!(answer.body.is_empty(), "no body is described: {}", seen());
    };
    let media_type = answer.header("content-type").and_then(|value| value.split(';').next()).expect("a media type");
    let described = content.get(media_type).unwrap_or_else(|| panic!("the media type is not described: {}", seen()));
    if media_type == "application/problem+json" {
        let types = &described["schema"]["allOf"][1]["properties"]["type"]["enum"];
        let types = types.as_array().expect("the types of a problem");
        assert!(types.contains(&answer.json()["type"]), "the problem is not described: {}", seen());
    }
}

/// The description, of a service of its own.
fn description() -> &'static Value {
    static DESCRIPTION: OnceLock<Value> = OnceLock::new();
    DESCRIPTION.get_or_init(|| Server::start(&Deployment::new()).described_at().get("/openapi.json").json())
}

fn operation(plane: Plane, method: &str, path: &str) -> Option<&'static Value> {
    let tag = match plane {
        Plane::Data => "data plane",
        Plane::Admin => "admin plane",
    };
    let paths = description()["paths"].as_object().expect("paths");
    let here = paths.iter().filter(|(template, _)| matches(template, path));
    let of = |item: &'static Value| item.get(method.to_lowercase()).filter(|operation| operation["tags"][0] == tag);
    // A path that stands there as it is goes before one with a variable segment.
    let mut found: Vec<_> = here.filter_map(|(template, item)| Some((template.contains('{'), of(item)?))).collect();
    found.sort_by_key(|(variable, _)| *variable);
    found.first().map(|(_, operation)| *operation)
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    // What stands behind a gateway's requirements is anybody's.
    let rest = template.last() == Some(&"{required}") && path.len() > template.len();
    let same = |(part, segment): (&&str, &&str)| part.starts_with('{') && !segment.is_empty() || part == segment;
    (rest || template.len() == path.len()) && template.iter().zip(&path).all(same)
}

fn resolved(response: &'static Value) -> &'static Value {
    let reference = response["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    reference.map_or(response, |place| description().pointer(place).expect("what it refers to"))
}
