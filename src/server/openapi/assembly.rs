//! The document as a whole: it joins the descriptions of the routers, and adds what holds for every endpoint of a
//! plane.

use serde_json::{Value, json};
use utoipa::{
    PartialSchema,
    openapi::{
        InfoBuilder, OpenApi, PathItem, Ref, ResponseBuilder, SecurityRequirement, Server,
        path::{Operation, PathsBuilder},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::examples;
use crate::{
    api::{problem::Document, responses, schema},
    scope::Scope,
};

/// The schemes to present an API key. One is needed, in one header, once.
const CREDENTIALS: [&str; 3] = ["bearer", "api_key", "basic"];

/// Accepted by the admin plane instead, where the configuration has scopes for it.
const CERTIFICATE: &str = "client_certificate";

const ABOUT: &str = "API keys that verify themselves. The data plane verifies them and answers gateways; the admin plane \
issues and revokes them, and each of its endpoints except this description needs an administrator's API key or client certificate. An unknown path is a 404 of the type \
`urn:bulla:problem:not-found`, and another method a 405 of the type `urn:bulla:problem:method`, with `Allow`.";

/// The two planes: name, where they listen if nothing else is configured, and what they are.
const DATA: Plane = Plane { name: "data plane", url: "http://127.0.0.1:8181", about: "Verifies API keys." };
const ADMIN: Plane = Plane { name: "admin plane", url: "http://127.0.0.1:8182", about: "Issues and revokes them." };

struct Plane {
    name: &'static str,
    url: &'static str,
    about: &'static str,
}

/// The document, of both planes' descriptions and its `own`.
pub(super) fn document(data: OpenApi, admin: OpenApi, own: OpenApi) -> Value {
    let info = InfoBuilder::new().title("bulla").version(env!("CARGO_PKG_VERSION")).description(Some(ABOUT));
    let mut document = OpenApi::new(info.build(), PathsBuilder::new());
    for (plane, mut described) in [(DATA, data), (ADMIN, admin), (ADMIN, own)] {
        operations(&mut described).for_each(|operation| complete(operation, &plane));
        join(&mut document, described);
    }
    let components = document.components.get_or_insert_default();
    components.responses.extend(responses::all().into_iter().map(|(name, response)| (name, response.into())));
    components.responses.insert("HeadTooLarge".to_owned(), head_too_large().build().into());
    components.schemas.extend(schema::all());
    components.schemas.insert("Problem".to_owned(), Document::schema());
    for (name, scheme) in CREDENTIALS.into_iter().zip(schemes()) {
        components.add_security_scheme(name, scheme);
    }
    components.add_security_scheme(CERTIFICATE, client_certificate());
    let mut document = json!(document);
    document["tags"] = [DATA, ADMIN].map(|plane| json!({"name": plane.name, "description": plane.about})).into();
    never_null(&mut document["paths"]);
    examples::add(&mut document);
    document
}

/// Adds what is the same for all operations of a plane.
fn complete(operation: &mut Operation, plane: &Plane) {
    operation.tags = Some(vec![plane.name.to_owned()]);
    operation.servers = Some(vec![Server::new(plane.url)]);
    let responses = &mut operation.responses.responses;
    if responses.contains_key("401") {
        let one = |name: &str| SecurityRequirement::new(name, Vec::<String>::new());
        let certificate = (plane.name == ADMIN.name).then_some(CERTIFICATE);
        operation.security = Some(CREDENTIALS.into_iter().chain(certificate).map(one).collect());
    }
    responses.insert("431".to_owned(), Ref::from_response_name("HeadTooLarge").into());
}

/// A parameter or body that may be left out may not be `null`.
fn never_null(part: &mut Value) {
    let null = |of: &Value| *of == json!({"type": "null"}) || of == "null";
    for key in ["oneOf", "type"] {
        let Some([there, other]) = part.get(key).and_then(Value::as_array).map(Vec::as_slice) else { continue };
        if null(other) {
            let there = there.clone();
            if key == "type" { part[key] = there } else { *part = there }
        }
    }
    match part {
        Value::Object(fields) => fields.values_mut().for_each(never_null),
        Value::Array(parts) => parts.iter_mut().for_each(never_null),
        _ => {}
    }
}

fn head_too_large() -> ResponseBuilder {
    ResponseBuilder::new().description("The request's head is larger than `server.max_head`. There is no body.")
}

fn client_certificate() -> SecurityScheme {
    let about = "A client certificate whose name has scopes in `[admin.tls.clients]`.".to_owned();
    SecurityScheme::MutualTls { description: Some(about), deprecated: None, extensions: None }
}

fn schemes() -> [SecurityScheme; 3] {
    let bearer = format!("The API key. The scopes of administrators' keys are {}.", Scope::names());
    let http =
        |scheme, about: &str| SecurityScheme::Http(HttpBuilder::new().scheme(scheme).description(Some(about)).build());
    [
        http(HttpAuthScheme::Bearer, &bearer),
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description("X-API-Key", "The API key."))),
        http(
            HttpAuthScheme::Basic,
            "The API key as the user name or as the password; the other one is ignored. It may be form-encoded (RFC 6749, 2.3.1).",
        ),
    ]
}

/// Paths of both planes stand beside one another; a path that both have keeps the methods of each.
fn join(document: &mut OpenApi, described: OpenApi) {
    for (path, item) in described.paths.paths {
        match document.paths.paths.get_mut(&path) {
            Some(there) => there.merge_operations(item),
            None => drop(document.paths.paths.insert(path, item)),
        }
    }
    let components = document.components.get_or_insert_default();
    components.schemas.extend(described.components.unwrap_or_default().schemas);
}

fn operations(described: &mut OpenApi) -> impl Iterator<Item = &mut Operation> {
    described.paths.paths.values_mut().flat_map(methods)
}

fn methods(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, options, head, patch, trace, .. } = item;
    [get, put, post, delete, options, head, patch, trace].into_iter().flatten()
}
