//! gRPC beside `Check`: health, reflection, and errors as statuses of gRPC's.

use std::{collections::HashMap, process::Command};

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
    curl.args(["--silent", "--show-error", "--http2-prior-knowledge", "--max-time", "20"]);
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
    assert_eq!(call(&server, "grpc.health.v1.Health/Watch", &[]).status, "12", "UNIMPLEMENTED");
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
