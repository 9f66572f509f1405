//! What reflection describes: the services by name, and the file of the health service. Envoy describes its own.

use prost::Message;

pub(super) const SERVICES: [&str; 4] = [
    "envoy.service.auth.v3.Authorization",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

const FILE: &str = "grpc/health/v1/health.proto";
const PACKAGE: &str = "grpc.health.v1";

/// Types and labels of `google.protobuf.FieldDescriptorProto`.
const STRING: i32 = 9;
const ENUM: i32 = 14;
const OPTIONAL: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct FileDescriptor {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    package: Option<String>,
    #[prost(message, repeated, tag = "4")]
    messages: Vec<MessageDescriptor>,
    #[prost(message, repeated, tag = "6")]
    services: Vec<ServiceDescriptor>,
    #[prost(string, optional, tag = "12")]
    syntax: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct MessageDescriptor {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(message, repeated, tag = "2")]
    fields: Vec<FieldDescriptor>,
    #[prost(message, repeated, tag = "4")]
    enums: Vec<EnumDescriptor>,
}

#[derive(Clone, PartialEq, Message)]
struct FieldDescriptor {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(int32, optional, tag = "3")]
    number: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    label: Option<i32>,
    #[prost(int32, optional, tag = "5")]
    kind: Option<i32>,
    #[prost(string, optional, tag = "6")]
    type_name: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct EnumDescriptor {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(message, repeated, tag = "2")]
    values: Vec<EnumValueDescriptor>,
}

#[derive(Clone, PartialEq, Message)]
struct EnumValueDescriptor {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(int32, optional, tag = "2")]
    number: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct ServiceDescriptor {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(message, repeated, tag = "2")]
    methods: Vec<MethodDescriptor>,
}

#[derive(Clone, PartialEq, Message)]
struct MethodDescriptor {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    input: Option<String>,
    #[prost(string, optional, tag = "3")]
    output: Option<String>,
    #[prost(bool, optional, tag = "6")]
    server_streaming: Option<bool>,
}

/// The file of this name.
pub(super) fn by_name(name: &str) -> Option<Vec<u8>> {
    (name == FILE).then(health)
}

/// The file with a symbol: a service, a method, a message or what is in one.
pub(super) fn by_symbol(symbol: &str) -> Option<Vec<u8>> {
    let rest = symbol.strip_prefix(PACKAGE)?.strip_prefix('.')?;
    ["Health", "HealthCheckRequest", "HealthCheckResponse"].contains(&rest.split('.').next()?).then(health)
}

fn health() -> Vec<u8> {
    let own = |name: &str| Some(name.to_owned());
    let field = |name, kind, type_name: Option<&str>| FieldDescriptor {
        name: own(name),
        number: Some(1),
        label: Some(OPTIONAL),
        kind: Some(kind),
        type_name: type_name.map(str::to_owned),
    };
    let method = |name, server_streaming| MethodDescriptor {
        name: own(name),
        input: own(".grpc.health.v1.HealthCheckRequest"),
        output: own(".grpc.health.v1.HealthCheckResponse"),
        server_streaming,
    };
    let names = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"].into_iter().zip(0..);
    let status = EnumDescriptor {
        name: own("ServingStatus"),
        values: names.map(|(name, number)| EnumValueDescriptor { name: own(name), number: Some(number) }).collect(),
    };
    let file = FileDescriptor {
        name: own(FILE),
        package: own(PACKAGE),
        messages: vec![
            MessageDescriptor {
                name: own("HealthCheckRequest"),
                fields: vec![field("service", STRING, None)],
                enums: vec![],
            },
            MessageDescriptor {
                name: own("HealthCheckResponse"),
                fields: vec![field("status", ENUM, Some(".grpc.health.v1.HealthCheckResponse.ServingStatus"))],
                enums: vec![status],
            },
        ],
        services: vec![ServiceDescriptor {
            name: own("Health"),
            methods: vec![method("Check", None), method("Watch", Some(true))],
        }],
        syntax: own("proto3"),
    };
    file.encode_to_vec()
}
