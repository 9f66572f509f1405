//! gRPC beside `Check`: health, reflection, and errors as statuses of gRPC's.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::{
    deployment::{APP, Deployment},
    programs, reference,
    server::Server,
};

/// The answer to a call: its status of gRPC's, and its first message.
struct Called {
    status: String,
    message: Vec<u8>,
}

fn call(server: &Server, method: &str, message: &[u8]) -> Called {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    let length = u32::try_from(message.len()).expect("a length").to_be_bytes();
    std::fs::write(file("request"), [&[0][..], &length, message].concat()).expect("written");
    let mut curl = Command::new(programs::find("curl"));
    curl.args(["--silent", "--show-error", "--http2-prior-knowledge", "--max-time", "120"]);
    curl.args(["--header", "content-type: application/grpc", "--header", "te: trailers"]);
    curl.arg("--data-binary").arg(format!("@{}", file("request").display()));
    curl.arg("--dump-header").arg(file("headers")).arg("--output").arg(file("body"));
    programs::run(curl.arg(format!("http://{}/{method}", server.data.address)));
    let head = std::fs::read_to_string(file("headers")).expect("headers");
    assert!(head.starts_with("HTTP/2 200"), "{method}: {head}");
    let headers: HashMap<_, _> = head.lines().filter_map(|line| line.split_once(": ")).collect();
    assert_eq!(headers["content-type"], "application/grpc", "{head}");
    let body = std::fs::read(file("body")).unwrap_or_default();
    let status = headers.get("grpc-status").unwrap_or_else(|| panic!("{method}: no status in {head}"));
    Called { status: (*status).to_owned(), message: body.get(5..).unwrap_or_default().to_vec() }
}

/// A field with a text.
fn text(number: u8, value: &str) -> Vec<u8> {
    field(number, value.as_bytes())
}

fn field(number: u8, value: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(value.len()).expect("short")], value].concat()
}

#[test]
fn health_is_readiness() {
    let server = Server::start(&Deployment::new());
    let check = "grpc.health.v1.Health/Check";
    for service in [vec![], text(1, "envoy.service.auth.v3.Authorization")] {
        let called = call(&server, check, &service);
        assert_eq!((called.status.as_str(), called.message.as_slice()), ("0", &[8, 1][..]), "SERVING");
    }
    assert_eq!(call(&server, check, &text(1, "shop.Orders")).status, "5", "NOT_FOUND");
}

/// A client of grpc-js that watches services.
struct Watching {
    client: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watching {
    fn start(server: &Server, services: &[&str]) -> Self {
        let mut client = Command::new(programs::find("node"))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/grpc_watch.mjs"))
            .env("MODULES", programs::folder().join("npm/node_modules"))
            .env("ADDRESS", &server.data.address)
            .env("SERVICES", services.join(","))
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let lines = BufReader::new(client.stdout.take().expect("its output")).lines();
        Watching { client, lines }
    }

    /// The next line.
    fn told(&mut self) -> String {
        self.lines.next().expect("the client goes on").expect("a line")
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ended_already = self.client.kill();
        let _reaped = self.client.wait();
    }
}

#[test]
fn a_watching_client_hears_of_each_change_of_health_until_the_service_stops() {
    let deployment = Deployment::new();
    deployment.configure("# max_staleness = \"10m\"", "max_staleness = \"12s\"");
    let server = Server::start(&deployment);
    let mut watching = Watching::start(&server, &[""]);
    assert_eq!(watching.told(), "0 1", "SERVING");
    deployment.store().hide_log();
    assert_eq!(watching.told(), "0 2", "NOT_SERVING");
    assert_eq!(server.data.get("/readyz").status, 503);
    deployment.store().show_log();
    assert_eq!(watching.told(), "0 1", "SERVING again");
    let mut other = Watching::start(&server, &["shop.Orders"]);
    assert_eq!(other.told(), "0 3", "SERVICE_UNKNOWN");
    server.stop();
    assert_eq!([watching.told(), watching.told()], ["0 2", "0 ended 0"]);
    assert_eq!(other.told(), "0 ended 0");
}

#[test]
fn no_more_clients_watch_than_a_quarter_of_the_connections() {
    let deployment = Deployment::new();
    deployment.configure("max_connections = 10000", "max_connections = 16");
    let server = Server::start(&deployment);
    let service = "envoy.service.auth.v3.Authorization";
    let mut watching = Watching::start(&server, &[service; 5]);
    let mut told: Vec<_> = (0..5).map(|_| watching.told()).collect();
    told.sort_by_key(|line| line.contains("ended"));
    assert!(told[..4].iter().all(|line| line.ends_with(" 1")), "{told:?}");
    assert!(told[4].ends_with(" ended 8"), "RESOURCE_EXHAUSTED: {told:?}");
    drop(watching);
    server.until("a place", |server| Watching::start(server, &[service]).told() == "0 1");
}

#[test]
fn services_are_listed_and_described_in_both_versions_of_reflection() {
    let server = Server::start(&Deployment::new());
    for version in ["v1", "v1alpha"] {
        let method = format!("grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let shown = |question: &[u8]| {
            let called = call(&server, &method, question);
            assert_eq!(called.status, "0");
            String::from_utf8_lossy(&called.message).into_owned()
        };
        let listed = shown(&text(7, ""));
        for service in
            ["envoy.service.auth.v3.Authorization", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"]
        {
            assert!(listed.contains(service), "{listed}");
            assert!(shown(&text(4, service)).contains("proto3"), "{service}");
        }
        for question in [
            text(3, "grpc/health/v1/health.proto"),
            text(4, "grpc.health.v1.Health"),
            text(4, "grpc.health.v1.HealthCheckResponse.ServingStatus"),
        ] {
            let file = shown(&question);
            assert!(file.contains("HealthCheckRequest") && file.contains("NOT_SERVING"), "{file}");
        }
        // 1071 is `validate.rules`.
        let extension = [text(1, "google.protobuf.FieldOptions"), vec![2 << 3, 0xaf, 0x08]].concat();
        assert!(shown(&field(5, &extension)).contains("validate/validate.proto"));
        for question in [text(3, "shop.proto"), text(4, "shop.Orders"), text(6, "shop.Orders")] {
            assert!(shown(&question).contains("there is none"));
        }
    }
}

#[test]
fn a_client_of_reflection_calls_what_is_described_and_knows_nothing_else() {
    let deployment = Deployment::new();
    let issued = deployment.issue("live", &[]);
    let key = issued["api_key"].as_str().expect("a key");
    let server = Server::start(&deployment);
    let mut client = Command::new(reference::python());
    client
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/ask_reflection.py"))
        .env("PYTHONPATH", programs::folder().join("reflection"))
        .env("ADDRESS", &server.data.address)
        .env("KEY", key)
        .env("WRONG", format!("{key}x"));
    let told: Value = serde_json::from_str(&programs::run(&mut client)).expect("JSON");
    let services = json!({
        "envoy.service.auth.v3.Authorization": ["Check"],
        "grpc.health.v1.Health": ["Check", "Watch", "List"],
        "grpc.reflection.v1.ServerReflection": ["ServerReflectionInfo"],
        "grpc.reflection.v1alpha.ServerReflection": ["ServerReflectionInfo"],
    });
    assert_eq!(told["services"], services);
    let extensions = told["extensions"].as_array().expect("numbers");
    assert!(extensions.contains(&json!(1071)), "validate.rules: {extensions:?}");
    let (accepted, refused) = (&told["accepted"], &told["refused"]);
    assert_eq!((&accepted["status"]["code"], accepted.get("deniedResponse")), (&json!(0), None), "{accepted}");
    assert_eq!(accepted["dynamicMetadata"]["api_key_id"], issued["api_key_id"], "{accepted}");
    let headers = accepted["okResponse"]["headers"].as_array().expect("headers");
    let of = |name: &str| headers.iter().map(|option| &option["header"]).find(|header| header["key"] == name);
    assert_eq!(of("x-bulla-app-id").map(|header| &header["value"]), Some(&json!(APP)), "{accepted}");
    assert_eq!((&refused["status"]["code"], refused.get("okResponse")), (&json!(16), None), "{refused}");
    assert_eq!(refused["deniedResponse"]["status"]["code"], "Unauthorized", "{refused}");
    let serving = json!({"status": "SERVING"});
    assert_eq!(told["health"]["statuses"], json!({"": serving, "envoy.service.auth.v3.Authorization": serving}));
}

#[test]
fn an_error_is_a_status_of_grpc() {
    let server = Server::start(&Deployment::new());
    assert_eq!(call(&server, "shop.Orders/List", &[]).status, "12", "UNIMPLEMENTED");
    assert_eq!(call(&server, "envoy.service.auth.v3.Authorization/Other", &[]).status, "12", "UNIMPLEMENTED");
    let check = "envoy.service.auth.v3.Authorization/Check";
    assert_eq!(call(&server, check, &vec![0; (4 << 20) + 1]).status, "8", "RESOURCE_EXHAUSTED");
    assert_eq!(call(&server, "grpc.health.v1.Health/Check", &vec![0; 70_000]).status, "8", "RESOURCE_EXHAUSTED");
    assert_eq!(call(&server, check, &[0xff]).status, "13", "no message");
    let outside = server.data.request("POST", "/shop.Orders/List", &[("content-type", "application/json")], "{}");
    assert_eq!((outside.status, outside.problem().as_str()), (404, "not-found"), "HTTP has its own");
}
