//! gRPC beside `Check`: health, reflection, and errors as statuses of gRPC's.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use crate::support::{deployment::Deployment, programs, server::Server};

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
    [&[number << 3 | 2, u8::try_from(value.len()).expect("short")], value.as_bytes()].concat()
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
fn services_are_listed_and_the_health_service_is_described() {
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
        }
        for question in [
            text(3, "grpc/health/v1/health.proto"),
            text(4, "grpc.health.v1.Health"),
            text(4, "grpc.health.v1.HealthCheckResponse.ServingStatus"),
        ] {
            let file = shown(&question);
            assert!(file.contains("HealthCheckRequest") && file.contains("NOT_SERVING"), "{file}");
        }
        assert!(shown(&text(4, "envoy.service.auth.v3.Authorization")).contains("there is none"));
    }
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
