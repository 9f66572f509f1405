//! The description of the HTTP interface: that it is one, that it is right, and that nothing is answered which it does
//! not have.

use std::{
    collections::BTreeSet,
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Map, Value, json};

use crate::support::{
    deployment::Deployment,
    http::{Answer, Http},
    reference::{python, script},
    server::Server,
};

/// The realm of the document's examples.
const REALM: &str = "acme_live";

/// What stands in a map under names of its own.
const MAPS: [&str; 3] = ["detail", "meta", "sealed"];

/// Every operation that has an example, in an order in which all can be done.
const OPERATIONS: [&str; 31] = [
    "healthy",
    "ready",
    "verify",
    "verify_batch",
    "introspect",
    "oauth_metadata",
    "issue",
    "issue_batch",
    "list_api_keys",
    "show_api_key",
    "suspend",
    "resume",
    "reroll_secret",
    "reroll",
    "revoke_many",
    "revoke",
    "self_revoke",
    "report_followers",
    "report_uses",
    "secret_changes",
    "check_secret",
    "list_followers",
    "forget_follower",
    "forget_followers",
    "audit",
    "show_keyring",
    "export_realm",
    "stage",
    "activate",
    "compromise",
    "destroy",
];

/// An operation, with its path and method.
struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    described: &'a Value,
}

impl<'a> Operation<'a> {
    fn id(&self) -> &'a str {
        self.described["operationId"].as_str().expect("an id")
    }

    fn is_of(&self, plane: &str) -> bool {
        self.described["tags"] == Value::from(vec![plane])
    }

    fn request(&self) -> Option<(&'a String, &'a Value)> {
        self.described["requestBody"]["content"].as_object().and_then(|content| content.iter().next())
    }

    /// The status and the answer when all goes well, which is null where there is no example.
    fn answer(&self) -> (u16, &'a Value) {
        let responses = &self.described["responses"];
        let status = if responses["201"].is_object() { "201" } else { "200" };
        let content = responses[status]["content"].as_object().and_then(|content| content.values().next());
        (status.parse().expect("a status"), content.map_or(&Value::Null, |media_type| &media_type["example"]))
    }
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let paths = document["paths"].as_object().expect("paths");
    paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().expect("methods").iter().map(|(method, described)| Operation { path, method, described })
        })
        .collect()
}

/// A service with the realm of the examples.
fn serve() -> (Deployment, Server) {
    let deployment = Deployment::new();
    deployment.configure("[realms.test]\n", &format!("[realms.test]\n\n[realms.{REALM}]\n"));
    let server = Server::start(&deployment);
    (deployment, server)
}

fn document(server: &Server) -> Value {
    let answer = server.admin.anonymous().get("/openapi.json");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    answer.json()
}

#[test]
fn the_document_is_openapi_and_its_examples_are_what_it_says() {
    let (_deployment, server) = serve();
    let document = document(&server);
    assert_eq!(document["openapi"], "3.1.0");
    let mut check = Command::new(python())
        .arg(script("check_openapi.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python");
    check.stdin.take().expect("its input").write_all(document.to_string().as_bytes()).expect("written");
    let checked = check.wait_with_output().expect("checked");
    assert!(checked.status.success(), "see above");
    let examples: u32 = String::from_utf8_lossy(&checked.stdout).trim().parse().expect("a number");
    assert!(examples > 60, "{examples} examples");
}

#[test]
fn the_key_of_the_examples_is_the_worked_one() {
    let (_deployment, server) = serve();
    let document = document(&server);
    let vector = include_str!("../vectors/accepted/worked-2-scope.json");
    let vector: Value = serde_json::from_str(vector).expect("a vector");
    let all = operations(&document);
    let answer = |id| all.iter().find(|operation| operation.id() == id).expect("described").answer().1.clone();
    let issued = answer("issue");
    assert_eq!(issued["api_key"], vector["api_key"]);
    for field in ["api_key_id", "realm", "version", "app_id", "scopes", "meta"] {
        assert_eq!(issued[field], vector["expect"][field], "{field}");
    }
    assert_eq!(answer("introspect")["iat"], vector["expect"]["issued_at"]);
    let secret = include_str!("../vectors/could-not-tell/worked-3-secret.json");
    let secret: Value = serde_json::from_str(secret).expect("a vector");
    let (secret, rerolled) = (secret["api_key"].as_str().expect("a key"), answer("reroll_secret"));
    assert!(secret.starts_with(rerolled["api_key_id"].as_str().expect("an id")));
    assert_eq!(rerolled["ending"], secret[secret.len() - 51..]);
}

#[test]
fn the_examples_are_taken_and_answered_as_they_say() {
    let (deployment, server) = serve();
    let document = document(&server);
    let all = operations(&document);
    let with_example = all.iter().filter(|operation| !operation.answer().1.is_null()).map(Operation::id);
    let mut with_example: Vec<&str> = with_example.collect();
    let mut tried = OPERATIONS;
    with_example.sort_unstable();
    tried.sort_unstable();
    assert_eq!(with_example, tried, "each of them is tried");

    let mut admin = server.admin.clone();
    for id in OPERATIONS {
        let operation = all.iter().find(|operation| operation.id() == id).expect("described");
        match id {
            // The first goes on under the second, and so does an administrator.
            "stage" => drop(deployment.new_master(2)),
            "activate" => {
                let forced = admin.post("/v1/keyring/versions/2/activate", &json!({"force": true}));
                assert_eq!(forced.status, 200, "{}", forced.body);
                admin = admin.bearer(&deployment.issue_text("bulla", &["--scope", "admin"]));
            }
            _ => {}
        }
        let more: &[&str] = if id == "reroll_secret" { &["--secret"] } else { &[] };
        let key = deployment.issue(REALM, &[&["--scope", "read", "--scope", "write"], more].concat());
        let answer = send(operation, &document, &server, &admin, &key);
        let (status, example) = operation.answer();
        assert_eq!(answer.status, status, "{id}: {}", answer.body);
        if example.is_string() {
            assert_eq!(answer.body, *example);
        } else {
            same_shape(example, &answer.json(), id);
        }
    }
}

/// Sends an operation's example, with a key of this deployment in the place of the worked one.
fn send(operation: &Operation<'_>, document: &Value, server: &Server, admin: &Http, key: &Value) -> Answer {
    let text = |name: &str| key[name].as_str().expect("a text").to_owned();
    let worked = &document["components"]["schemas"];
    let (worked, worked_id) = (&worked["ApiKey"]["examples"][0], &worked["ApiKeyId"]["examples"][0]);
    let replaced = |example: &Value| {
        let example = example.to_string().replace(worked.as_str().expect("a key"), &text("api_key"));
        example.replace(worked_id.as_str().expect("an id"), &text("api_key_id"))
    };
    let plane = match (operation.is_of("data plane"), operation.id()) {
        (false, _) => admin.clone(),
        (true, "self_revoke") => server.data.bearer(&text("api_key")),
        (true, "introspect" | "report_followers" | "report_uses" | "secret_changes" | "check_secret") => {
            server.data.bearer(admin.key())
        }
        (true, _) => server.data.clone(),
    };
    let path = operation.path.replace("{id}", &text("api_key_id")).replace("{number}", "1").replace("{name}", "edge-1");
    let path = if operation.id() == "forget_followers" { format!("{path}?app_id={}", text("app_id")) } else { path };
    let (media_type, body) = operation.request().map_or(("", String::new()), |(media_type, described)| {
        let example = replaced(&described["example"]);
        let form = |fields: Map<String, Value>| {
            let fields = fields.iter().map(|(name, value)| format!("{name}={}", value.as_str().expect("a text")));
            fields.collect::<Vec<_>>().join("&")
        };
        let body = if media_type == "application/json" {
            example
        } else {
            form(serde_json::from_str(&example).expect("an object"))
        };
        (media_type.as_str(), body)
    });
    let headers: &[(&str, &str)] = if media_type.is_empty() { &[] } else { &[("content-type", media_type)] };
    plane.request(&operation.method.to_uppercase(), &path, headers, &body)
}

/// The same fields with the same kinds of values, all the way down; what is `null` in one may be anything in the other.
fn same_shape(example: &Value, real: &Value, place: &str) {
    match (example, real) {
        (Value::Object(example), Value::Object(real)) => {
            // Whether a change of the keyring warns depends on what other members of the fleet have loaded.
            let names =
                |of: &Map<String, Value>| of.keys().filter(|name| *name != "warning").cloned().collect::<BTreeSet<_>>();
            assert_eq!(names(example), names(real), "{place}");
            for (name, value) in example.iter().filter(|(name, _)| !MAPS.contains(&name.as_str()) && *name != "warning")
            {
                same_shape(value, &real[name], &format!("{place}.{name}"));
            }
        }
        (Value::Array(example), Value::Array(real)) => {
            for (example, real) in example.iter().zip(real) {
                same_shape(example, real, place);
            }
        }
        (Value::Null, _) | (_, Value::Null) => {}
        _ => assert_eq!(std::mem::discriminant(example), std::mem::discriminant(real), "{place}: {real}"),
    }
}

#[test]
fn every_described_operation_is_there() {
    let (_deployment, server) = serve();
    for operation in operations(&document(&server)) {
        let plane = if operation.is_of("data plane") { &server.data } else { &server.admin };
        let path = operation
            .path
            .replace("{id}", "nope")
            .replace("{number}", "nope")
            .replace("{name}", "nope")
            .replace("{required}", "-");
        let answer = plane.request(&operation.method.to_uppercase(), &path, &[], "");
        let there =
            answer.status != 405 && (answer.status != 404 || operation.described["responses"]["404"].is_object());
        assert!(there, "{} {}", operation.method, operation.path);
    }
    assert_eq!(server.admin.anonymous().request("POST", "/openapi.json", &[], "").problem(), "method");
    assert_eq!(server.admin.anonymous().get("/openapi.yaml").problem(), "unauthorized");
}

#[test]
fn the_table_of_errors_has_every_problem_and_no_other() {
    let (_deployment, server) = serve();
    let document = document(&server);
    let mut described = BTreeSet::from(["`not-found` | 404".to_owned(), "`method` | 405".to_owned()]);
    for response in document["components"]["responses"].as_object().expect("responses").values() {
        let examples = response["content"]["application/problem+json"]["examples"].as_object();
        for (kind, example) in examples.into_iter().flatten() {
            described.insert(format!("`{kind}` | {}", example["value"]["status"]));
        }
    }
    let table = include_str!("../../docs/HTTP.md").lines();
    let rows = table.filter_map(|line| line.strip_prefix("| `urn:bulla:problem:"));
    let rows = rows.map(|row| format!("`{}", row.split(" | ").take(2).collect::<Vec<_>>().join(" | ")));
    assert_eq!(rows.collect::<BTreeSet<_>>(), described);
}

#[test]
fn what_the_first_runs_found() {
    let (_deployment, server) = serve();
    for (method, path) in [
        ("GET", "/v1/api-keys/%FF"),
        ("DELETE", "/v1/api-keys/%FF"),
        ("POST", "/v1/api-keys/%FF/suspend"),
        ("POST", "/v1/api-keys/%FF/reroll"),
        ("POST", "/v1/keyring/versions/%FF/destroy"),
    ] {
        assert_eq!(server.admin.request(method, path, &[], "").problem(), "bad-request", "{method} {path}");
    }
}

/// `BULLA_SCHEMATHESIS_EXAMPLES=1000 tests/run --test service schemathesis` looks for longer, and elsewhere each time.
#[test]
fn schemathesis_finds_no_answer_that_is_not_described() {
    let (deployment, server) = serve();
    let document = document(&server);
    let key = |realm: &str, scopes: &[&str]| {
        let scopes = scopes.iter().flat_map(|scope| ["--scope", scope]).collect::<Vec<_>>();
        deployment.issue_text(realm, &scopes)
    };
    // One that cannot end itself: administrators' keys are an administrator's to take back.
    let issuer = key("bulla", &["issue", "revoke", "read", "feed"]);
    let of = |plane: &'static str, moves: bool| {
        move |operation: &Operation<'_>| operation.is_of(plane) && operation.path.contains("/versions") == moves
    };
    schemathesis(&deployment, &document, &server.data, of("data plane", false), &issuer);
    schemathesis(&deployment, &document, &server.admin, of("admin plane", false), &issuer);
    // Last, for no key may verify any more after that.
    schemathesis(&deployment, &document, &server.admin, of("admin plane", true), &key("bulla", &["keyring"]));
}

/// Runs it against the operations that are `wanted`, which have to be all described ones of a plane.
fn schemathesis(
    deployment: &Deployment,
    document: &Value,
    plane: &Http,
    wanted: impl Fn(&Operation<'_>) -> bool,
    key: &str,
) {
    let mut described = document.clone();
    described["paths"] = Value::Object(Map::new());
    let mut count = 0;
    for operation in operations(document).into_iter().filter(|operation| wanted(operation)) {
        described["paths"][operation.path][operation.method] = operation.described.clone();
        count += 1;
    }
    let file = deployment.file("openapi.json");
    std::fs::write(&file, described.to_string()).expect("written");
    let examples = std::env::var("BULLA_SCHEMATHESIS_EXAMPLES");
    let seed: &[&str] = if examples.is_ok() { &[] } else { &["--seed", "1"] };
    let ran = Command::new(python().with_file_name("schemathesis"))
        .current_dir(deployment.path())
        .arg("--config-file")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schemathesis.toml"))
        .arg("run")
        .arg(&file)
        .args(["--no-color", "--url", &format!("http://{}", plane.address)])
        .args(["--max-examples", examples.as_deref().unwrap_or("20")])
        .args(seed)
        .env("BULLA_KEY", key)
        .env("BULLA_OTHER_KEY", deployment.issue_text("live", &[]))
        .output()
        .expect("schemathesis is in the test parts");
    let out = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{out}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(out.contains(&format!("Tested: {count}\n")), "all {count}: {out}");
}
