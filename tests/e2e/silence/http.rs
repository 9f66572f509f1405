//! An API key in every field, parameter, header and path of every endpoint that the service describes.

use serde_json::{Map, Value, json};

use super::places::Places;
use crate::support::{
    deployment::{APP, Deployment},
    http::Http,
    server::Server,
};

/// The realm of the description's examples.
const REALM: &str = "acme_live";

/// Fields that are given an API key, and answer about it.
const FOR_KEYS: [&str; 3] = ["api_key", "api_keys", "token"];

/// A request of one operation, as its example has it, and the places where something else can stand in it.
struct Example<'a> {
    document: &'a Value,
    path: String,
    method: String,
    operation: &'a Value,
    http: Http,
}

impl Example<'_> {
    fn resolved<'v>(&'v self, schema: &'v Value) -> &'v Value {
        let reference = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
        reference.map_or(schema, |place| self.document.pointer(place).expect("what it refers to"))
    }

    /// The fields of a schema and what each may be, through all that it is made of.
    fn fields(&self, schema: &Value) -> Map<String, Value> {
        let schema = self.resolved(schema);
        let mut fields = schema["properties"].as_object().cloned().unwrap_or_default();
        for kind in ["allOf", "oneOf", "anyOf"] {
            for part in schema[kind].as_array().into_iter().flatten() {
                fields.extend(self.fields(part));
            }
        }
        fields
    }

    fn parameters(&self, kind: &str) -> Vec<String> {
        let parameters = self.operation["parameters"].as_array().into_iter().flatten();
        let of_kind = parameters.filter(|one| one["in"] == kind);
        of_kind.map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
    }

    /// The path with `value` in its variable segment.
    fn path_with(&self, value: &str) -> String {
        match (self.path.find('{'), self.path.find('}')) {
            (Some(from), Some(to)) => format!("{}{value}{}", &self.path[..from], &self.path[to + 1..]),
            _ => self.path.clone(),
        }
    }

    fn send(&self, places: &mut Places, path: &str, headers: &[(&str, &str)], body: &str) -> u16 {
        let answer = self.http.request(&self.method, path, headers, body);
        let head = format!("{:?}", answer.headers);
        places.add(format!("{} {}: {} {}", self.method, self.path, answer.status, headers.len()), answer.body + &head);
        answer.status
    }
}

/// A value of the kind that the schema asks for, with `text` wherever a text is.
fn holding(example: &Example<'_>, schema: &Value, text: &str) -> Vec<Value> {
    let resolved = example.resolved(schema);
    let mut all = vec![json!(text), json!([text]), json!({ text: "value" }), json!({"name": text})];
    if let Some(inner) = resolved["items"].as_object() {
        for (name, of) in example.fields(&Value::Object(inner.clone())) {
            for value in holding(example, &of, text) {
                let mut item = json!({"realm": REALM, "app_id": APP});
                item[&name] = value;
                all.push(json!([item]));
            }
        }
    }
    all
}

#[test]
fn no_field_of_any_endpoint_stores_or_repeats_a_key() {
    let deployment = Deployment::new();
    deployment.configure("[realms.test]\n", &format!("[realms.test]\n\n[realms.{REALM}]\n"));
    let server = Server::start_with(&deployment, &[("BULLA_LOG__LEVEL", "trace")]);
    let key = deployment.issue_text(REALM, &["--secret"]);
    let id = deployment.issue(REALM, &[])["api_key_id"].as_str().expect("an id").to_owned();
    let document = server.described_at().get("/openapi.json").json();
    let (mut places, mut requests, mut refused) = (Places::default(), 0, 0);
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            let http = if operation["tags"][0] == "data plane" {
                server.data.bearer(&deployment.admin_key)
            } else {
                server.admin.clone()
            };
            let example =
                Example { document: &document, path: path.clone(), method: method.to_uppercase(), operation, http };
            let here = example.path_with(if path.contains("versions") { "1" } else { &id });
            for text in [key.clone(), format!("my_{key}"), format!("{key}_old"), format!("x{key}y")] {
                let mut tried = |path: &str, headers: &[(&str, &str)], body: &str| {
                    let status = example.send(&mut places, path, headers, body);
                    requests += 1;
                    refused += u32::from(status == 400);
                };
                if path.contains('{') {
                    tried(&example.path_with(&text), &[], "");
                }
                for name in example.parameters("query").iter().map(String::as_str).chain(["unknown", &text]) {
                    tried(&format!("{here}?{name}={text}"), &[], "");
                }
                for name in example.parameters("header") {
                    let body = json!({"realm": REALM, "app_id": APP, "api_keys": [{"realm": REALM, "app_id": APP}]});
                    let mut body = body;
                    body.as_object_mut()
                        .expect("a map")
                        .retain(|name, _| (name == "api_keys") == path.ends_with("batch"));
                    tried(&here, &[("content-type", "application/json"), (&name, &text)], &body.to_string());
                }
                let Some((media_type, content)) =
                    operation["requestBody"]["content"].as_object().and_then(|content| content.iter().next())
                else {
                    continue;
                };
                let base = if content["example"].is_object() { content["example"].clone() } else { json!({}) };
                let mut fields = example.fields(&content["schema"]);
                fields.insert("unknown".to_owned(), json!({}));
                fields.insert(text.clone(), json!({}));
                for (name, schema) in
                    fields.iter().filter(|(name, _)| !FOR_KEYS.contains(&name.as_str()) || path.contains("api-keys"))
                {
                    for value in holding(&example, schema, &text) {
                        let mut body = base.clone();
                        // What excludes each other is not given together.
                        for other in ["expires_in", "expires_at", "ids", "issued_before"] {
                            body.as_object_mut().expect("a map").remove(other);
                        }
                        body[name] = value;
                        let body = if media_type.ends_with("json") {
                            body.to_string()
                        } else {
                            let mut form = form_urlencoded::Serializer::new(String::new());
                            let pairs = body.as_object().expect("a map").iter();
                            pairs.for_each(|(name, value)| {
                                _ = form.append_pair(name, value.as_str().unwrap_or_default())
                            });
                            form.finish()
                        };
                        tried(&here, &[("content-type", media_type)], &body);
                    }
                }
            }
        }
    }
    assert!(requests > 500 && refused > 300, "{refused} of {requests} were refused");
    places.add_service(&deployment, server);
    places.hold_no_key(&key);
}
