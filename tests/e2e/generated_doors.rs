//! Every number, length of time and time that the service's own description has, in bodies, queries and paths: whatever
//! comes is kept as it is or clearly refused, and what is stored can be read afterwards.

use std::cell::Cell;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::{
    clock,
    deployment::{APP, Deployment},
    hard_values::{Hard, SEED, numbers, spans, times},
    http::{Answer, Http},
    server::Server,
};

/// The realm of the description's examples.
const REALM: &str = "acme_live";
/// A key version that there is not.
const NO_VERSION: &str = "4000000000";
const SECOND: i128 = 1_000_000_000;
/// By how many seconds the end of a grace may differ from when it is worked out here: a busy machine is slow.
const SLOW: i128 = 60;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Number,
    Span,
    Time,
}

#[derive(Clone, Debug, PartialEq)]
enum ParameterLocation {
    Path(String),
    Query(String),
    /// As a JSON pointer points to it.
    Body(String),
}

#[derive(Debug)]
struct Door<'a> {
    id: &'a str,
    method: &'a str,
    path: &'a str,
    on_data_plane: bool,
    /// The body of the description's example.
    example: &'a Value,
    place: ParameterLocation,
    kind: Kind,
}

impl Door<'_> {
    /// The name of what is given.
    fn leaf(&self) -> &str {
        match &self.place {
            ParameterLocation::Path(_) => "version",
            ParameterLocation::Query(name) => name,
            ParameterLocation::Body(pointer) => {
                let names = pointer.rsplit('/').find(|part| part.parse::<usize>().is_err());
                names.expect("a name")
            }
        }
    }
}

/// Finds what a schema has of the three kinds, below `pointer`.
fn walk(document: &Value, schema: &Value, pointer: &str, found: &mut Vec<(String, Kind)>) {
    let reference = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    if reference == Some("/components/schemas/Span") {
        return found.push((pointer.to_owned(), Kind::Span));
    }
    let schema = reference.map_or(schema, |place| document.pointer(place).expect("what it refers to"));
    let is = |wanted: &str| match &schema["type"] {
        Value::Array(types) => types.iter().any(|one| one == wanted),
        one => one == wanted,
    };
    if is("integer") || is("number") {
        found.push((pointer.to_owned(), Kind::Number));
    }
    match schema["format"].as_str() {
        Some("date-time") => found.push((pointer.to_owned(), Kind::Time)),
        Some(format @ ("date" | "time" | "duration")) => panic!("{pointer}: teach this test what {format} takes"),
        _ => {}
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        let parts = schema[key].as_array().into_iter().flatten();
        parts.for_each(|part| walk(document, part, pointer, found));
    }
    for (name, part) in schema["properties"].as_object().into_iter().flatten() {
        walk(document, part, &format!("{pointer}/{name}"), found);
    }
    if schema["items"].is_object() {
        walk(document, &schema["items"], &format!("{pointer}/0"), found);
    }
}

fn doors(document: &Value) -> Vec<Door<'_>> {
    let mut doors = Vec::new();
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, item)| {
        item.as_object().expect("methods").iter().map(move |(method, operation)| (path, method, operation))
    });
    for (path, method, operation) in operations {
        let mut places = Vec::new();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let (mut found, name) = (Vec::new(), parameter["name"].as_str().expect("a name").to_owned());
            walk(document, &parameter["schema"], "", &mut found);
            let place = match parameter["in"].as_str() {
                Some("path") => ParameterLocation::Path(name),
                Some("query") => ParameterLocation::Query(name),
                _ if found.is_empty() => continue,
                other => panic!("{path}: teach this test to send {name} in {other:?}"),
            };
            places.extend(found.first().map(|(_, kind)| (place, *kind)));
        }
        let content = operation["requestBody"]["content"].as_object().and_then(|content| content.values().next());
        if let Some(content) = content {
            let mut found = Vec::new();
            walk(document, &content["schema"], "", &mut found);
            places.extend(found.into_iter().map(|(pointer, kind)| (ParameterLocation::Body(pointer), kind)));
        }
        doors.extend(places.into_iter().map(|(place, kind)| Door {
            id: operation["operationId"].as_str().expect("an id"),
            method,
            path,
            on_data_plane: operation["tags"][0] == "data plane",
            example: content.map_or(&Value::Null, |content| &content["example"]),
            place,
            kind,
        }));
    }
    // Members of the fleet that never get there: nobody waits for them yet.
    doors.sort_by_key(|door| door.id == "report_followers");
    doors
}

fn encoded(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

/// A service, and what requests to it need.
struct Asked<'a> {
    server: &'a Server,
    feed: Http,
    worked_id: &'a str,
    apps: Cell<u32>,
}

impl Asked<'_> {
    /// A new key: its text and id.
    fn new_key(&self, door: &Door<'_>) -> (String, String) {
        let body = json!({"realm": REALM, "app_id": APP, "secret": door.id == "reroll_secret"});
        let issued = self.server.admin.post("/v1/api-keys", &body).json();
        let text = |name: &str| issued[name].as_str().unwrap_or_else(|| panic!("{issued}")).to_owned();
        (text("api_key"), text("api_key_id"))
    }

    fn new_app(&self) -> String {
        self.apps.set(self.apps.get() + 1);
        format!("3f2b8c1e-9a7d-4d52-8a55-{:012x}", self.apps.get())
    }

    /// The example's body with `text` in the door, as it is or as a JSON text.
    fn body(&self, door: &Door<'_>, pointer: &str, text: &str) -> String {
        let mut body = match door.leaf() {
            "issued_before" => json!({"app_id": self.new_app()}),
            _ => door.example.clone(),
        };
        let (parent, last) = pointer.rsplit_once('/').expect("a place");
        let parent = body.pointer_mut(parent).unwrap_or_else(|| panic!("{door:?}: give the description an example"));
        match &mut *parent {
            Value::Array(all) => *all = vec!["@@".into()],
            other => other[last] = "@@".into(),
        }
        if last == "expires_at" {
            parent.as_object_mut().expect("an object").remove("expires_in");
        }
        let value = if door.kind == Kind::Number { text.to_owned() } else { Value::from(text).to_string() };
        body.to_string().replace("\"@@\"", &value)
    }

    /// Sends `text` through the door.
    fn send(&self, door: &Door<'_>, text: &str) -> Answer {
        let (key, id) =
            if door.path.contains("{id}") || ["self_revoke", "revoke_token", "report_uses"].contains(&door.id) {
                self.new_key(door)
            } else {
                (String::new(), String::new())
            };
        let plane = match (door.on_data_plane, door.id) {
            (false, _) => self.server.admin.clone(),
            (true, "self_revoke") => self.server.data.bearer(&key),
            (true, "revoke_token") => self.server.data.bearer(self.server.admin.key()),
            (true, _) => self.feed.clone(),
        };
        let number =
            if matches!(door.place, ParameterLocation::Path(_)) { encoded(text) } else { NO_VERSION.to_owned() };
        let mut path = door.path.replace("{id}", &id).replace("{number}", &number);
        if let ParameterLocation::Query(name) = &door.place {
            path += &format!("?{name}={}", encoded(text));
            // There is something to tell, and nobody waits.
            if door.id == "revocations" && name == "wait" {
                path += "&after=0";
            }
        }
        let (media_type, body) = match &door.place {
            ParameterLocation::Body(pointer) => {
                ("application/json", self.body(door, pointer, text).replace(self.worked_id, &id))
            }
            _ if door.id == "revoke_token" => ("application/x-www-form-urlencoded", format!("token={key}")),
            _ if door.id == "revoke_many" => ("application/json", json!({"ids": [self.new_key(door).1]}).to_string()),
            _ if door.method == "post" && door.id != "self_revoke" => ("application/json", "{}".to_owned()),
            _ => ("", String::new()),
        };
        let headers: &[(&str, &str)] = if media_type.is_empty() { &[] } else { &[("content-type", media_type)] };
        plane.request(&door.method.to_uppercase(), &path, headers, &body)
    }

    /// What was taken is shown as it was given. Keys expire in the whole second before, and rules reach to the one
    /// behind.
    fn shows(&self, door: &Door<'_>, answer: &Value, means: i128) {
        let second = |value: &Value| -> Option<i128> {
            value.as_str()?.parse::<Timestamp>().ok().map(|time| time.as_second().into())
        };
        let issued = if door.id == "issue_batch" { &answer["api_keys"][0] } else { answer };
        let (shown, expected) = match (door.id, door.leaf()) {
            (_, "expires_at") => (second(&issued["expires_at"]), means.div_euclid(SECOND)),
            (_, "expires_in") => {
                let lives = second(&issued["expires_at"]).zip(second(&issued["issued_at"]));
                (lives.map(|(end, begin)| end - begin), means.div_euclid(SECOND))
            }
            ("reroll", "grace") => return ends(&answer["revoked_at"], means),
            ("reroll_secret", "grace") => return ends(&answer["old_secret_until"], means),
            (_, "issued_before") => (second(&answer["issued_before"]), -(-means).div_euclid(SECOND)),
            _ => return,
        };
        assert_eq!(shown, Some(expected), "{} {}: {answer} (seed {SEED:#x})", door.id, door.leaf());
    }
}

/// A grace ends as much later as was given: it is neither shortened nor wrapped.
fn ends(shown: &Value, means: i128) {
    let end: Timestamp = shown.as_str().expect("an end").parse().expect("a time");
    let differs = i128::from(end.as_second()) - i128::from(clock::now()) - means.div_euclid(SECOND);
    assert!(differs.abs() <= SLOW, "a grace of {means} ns ends at {shown} (seed {SEED:#x})");
}

/// Waits until the fleet shows what was reported last.
fn reported(server: &Server, leaf: &str, means: i128) {
    server.until(&format!("a report of {leaf} {means}"), |server| {
        let fleet = server.admin.get("/v1/followers").json();
        let mut all = fleet["followers"].as_array().expect("followers").iter();
        let Some(shown) = all.find(|one| one["name"] == "edge-1").map(|one| &one[leaf]) else { return false };
        let time = shown.as_str().and_then(|text| text.parse::<Timestamp>().ok());
        let number = shown.as_i64().or(shown[0].as_i64()).or(time.map(Timestamp::as_second));
        // The place of a process only grows.
        number.map(i128::from).is_some_and(|shown| shown == means || leaf == "seq" && shown > means)
    });
}

/// Whether it is good to send this through the door: nothing here ends the keys that the others need.
fn is_harmless(door: &Door<'_>, hard: &Hard) -> bool {
    let is_path = matches!(door.place, ParameterLocation::Path(_));
    !(is_path && (hard.text.trim().is_empty() || hard.means == Some(1) && door.id != "activate"))
}

#[test]
fn what_comes_through_any_described_door_is_kept_as_it_is_or_refused_with_its_name() {
    let deployment = Deployment::new();
    deployment.configure("[realms.test]\n", &format!("[realms.test]\n\n[realms.{REALM}]\n"));
    let server = Server::start(&deployment);
    let document = server.described_at().get("/openapi.json").json();
    let worked_id = document["components"]["schemas"]["ApiKeyId"]["examples"][0].as_str().expect("an id");
    let feed = server.data.bearer(&deployment.issue_text("bulla", &["--scope", "feed"]));
    let asked = Asked { server: &server, feed, worked_id, apps: Cell::default() };
    let doors = doors(&document);
    assert!(doors.len() >= 36, "{} doors: {doors:?}", doors.len());
    // Something for the feed to tell.
    let first = asked.new_key(&doors[0]).1;
    assert_eq!(server.admin.request("DELETE", &format!("/v1/api-keys/{first}"), &[], "").status, 200);
    for door in &doors {
        let values = match door.kind {
            Kind::Number => numbers(),
            Kind::Span => spans(),
            Kind::Time => times(),
        };
        let (mut taken, mut last) = (0, None);
        for hard in values.iter().filter(|hard| is_harmless(door, hard)) {
            let place = || format!("{} {} {:?} = {:?} (seed {SEED:#x})", door.method, door.path, door.place, hard.text);
            let answer = asked.send(door, &hard.text);
            assert!(answer.status < 500, "{}: {} {}", place(), answer.status, answer.body);
            // It was read where the answer is about what there is.
            let is_read = answer.status < 300 || [404, 409].contains(&answer.status);
            // Forms send every field, and a list may be empty.
            if is_read && hard.text.trim().is_empty() {
                continue;
            }
            if is_read {
                let means = hard.means.unwrap_or_else(|| panic!("{} is taken: {}", place(), answer.body));
                if answer.status < 300 {
                    let answer = serde_json::from_str(&answer.body).unwrap_or_default();
                    asked.shows(door, &answer, means);
                }
                (taken, last) = (taken + 1, Some((means, &hard.text)));
                continue;
            }
            assert_eq!(answer.status, 400, "{}: {}", place(), answer.body);
            let is_json = door.kind != Kind::Number || serde_json::from_str::<Value>(&hard.text).is_ok();
            if is_json || !matches!(door.place, ParameterLocation::Body(_)) {
                let detail = answer.json()["detail"].as_str().expect("a detail").to_owned();
                assert!(detail.contains(door.leaf()), "{} is not named: {detail}", place());
            }
        }
        if let Some((means, text)) = last.filter(|_| door.id == "report_followers") {
            // An empty list may have come behind it.
            asked.send(door, text);
            reported(&server, door.leaf(), means);
        }
        let wanted = if door.leaf() == "issued_before" { 1 } else { 2 };
        assert!(taken >= wanted, "{door:?} takes {taken} of the values");
    }
    all_can_be_read(&deployment, &server);
    server.stop();
    let server = Server::start(&deployment);
    all_can_be_read(&deployment, &server);
}

/// Nothing that is stored is damaged, and what is revoked now is rejected.
fn all_can_be_read(deployment: &Deployment, server: &Server) {
    for path in ["/v1/api-keys?limit=1000", "/v1/audit?limit=1000", "/v1/followers", "/v1/keyring?count=active"] {
        assert_eq!(server.admin.get(path).status, 200, "{path}");
    }
    let metrics = server.metrics.get("/metrics").body;
    let damaged: Vec<&str> = metrics.lines().filter(|line| line.starts_with("bulla_store_rows_damaged{")).collect();
    assert!(damaged.len() >= 3 && damaged.iter().all(|line| line.ends_with(" 0")), "{damaged:?}");
    let log = server.log();
    assert!(!log.contains("damaged") && !log.contains("panic"), "{log}");
    server.until("all is well", |server| server.data.get("/readyz").json()["degraded"] == json!([]));
    let key = deployment.issue_text("test", &[]);
    let id = key.parse::<bulla::ApiKey>().expect("an API key").id().to_string();
    assert_eq!(server.admin.request("DELETE", &format!("/v1/api-keys/{id}"), &[], "").status, 200);
    let verified = server.data.post("/v1/verify", &json!({"api_key": key, "realms": ["test"]})).json();
    assert_eq!(verified["active"], false);
}

#[test]
fn a_service_starts_with_the_largest_and_the_smallest_numbers_that_its_configuration_takes() {
    let deployment = Deployment::new();
    let largest = [
        ("BULLA_SECRET__MEMORY_MIB", "4194303"),
        ("BULLA_SECRET__QUEUE", "9223372036854775807"),
        ("BULLA_SECRET__CACHE_SIZE", "9223372036854775807"),
        ("BULLA_SECRET__WRONG_PER_MINUTE", "4294967295"),
        ("BULLA_LAST_USED__MAX_IDS", "4294967295"),
        ("BULLA_SERVER__MAX_HEAD", "4294967295"),
        ("BULLA_SERVER__BODY_MEMORY_MIB", "4294967295"),
        ("BULLA_SERVER__MAX_CONNECTIONS", "9223372036854775807"),
    ];
    let smallest = [
        ("BULLA_SECRET__MEMORY_MIB", "64"),
        ("BULLA_SECRET__QUEUE", "1"),
        ("BULLA_SECRET__CACHE_SIZE", "0"),
        ("BULLA_SECRET__CACHE_TTL", "0s"),
        ("BULLA_SECRET__WRONG_PER_MINUTE", "1"),
        ("BULLA_LAST_USED__MAX_IDS", "0"),
        ("BULLA_SERVER__MAX_HEAD", "8192"),
        ("BULLA_SERVER__BODY_MEMORY_MIB", "4"),
        ("BULLA_SERVER__MAX_CONNECTIONS", "1"),
    ];
    for settings in [&largest[..], &smallest[..]] {
        let server = Server::start_with(&deployment, settings);
        let key = deployment.issue_text("live", &["--secret"]);
        let body = json!({"api_key": key, "realms": ["live"]});
        assert_eq!(server.data.post("/v1/verify", &body).json()["active"], true, "{settings:?}");
        server.stop();
    }
}

#[test]
fn what_an_import_is_told_in_numbers_is_refused_without_taking_memory() {
    let deployment = Deployment::new();
    for (option, costs) in [("--hash-bytes", "N=16384,r=8,p=1"), ("--hash-bytes", "i=10000,h=sha256")] {
        for bytes in ["65", "4294967296", "1000000000000", "9223372036854775807", "18446744073709551615"] {
            let scheme = if costs.starts_with('N') { "scrypt" } else { "pbkdf2" };
            let import = ["keys", "import", "-", "--realm", "live", "--scheme", scheme, "--cost", costs, "--salt", "x"];
            let ran = deployment.run_with(&[&import[..], &[option, bytes]].concat(), "");
            assert_eq!(ran.code, 64, "{bytes}: {} {}", ran.out, ran.err);
            assert!(ran.err.contains("above the ceilings"), "{bytes}: {}", ran.err);
        }
    }
}
