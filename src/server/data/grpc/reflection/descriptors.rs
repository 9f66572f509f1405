//! What reflection describes: the files of all services here, with the files that these import. They are those that
//! Envoy and gRPC publish: see `services.md`.

use std::{
    collections::{BTreeSet, HashMap},
    sync::LazyLock,
};

use prost::Message;

pub(super) const SERVICES: [&str; 4] = [
    "envoy.service.auth.v3.Authorization",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

static SERVED: LazyLock<Descriptors> = LazyLock::new(|| Descriptors::of(include_bytes!("services.binpb")));

/// `google.protobuf.FileDescriptorSet`, whose files stay as they are.
#[derive(Clone, PartialEq, Message)]
struct Set {
    #[prost(bytes = "vec", repeated, tag = "1")]
    files: Vec<Vec<u8>>,
}

/// The names in a `google.protobuf.FileDescriptorProto`.
#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "4")]
    messages: Vec<DescribedMessage>,
    #[prost(message, repeated, tag = "5")]
    enums: Vec<Group>,
    #[prost(message, repeated, tag = "6")]
    services: Vec<Group>,
    #[prost(message, repeated, tag = "7")]
    extensions: Vec<Field>,
}

#[derive(Clone, PartialEq, Message)]
struct DescribedMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    fields: Vec<Field>,
    #[prost(message, repeated, tag = "3")]
    messages: Vec<DescribedMessage>,
    #[prost(message, repeated, tag = "4")]
    enums: Vec<Group>,
    #[prost(message, repeated, tag = "6")]
    extensions: Vec<Field>,
}

/// An enum with its values, or a service with its methods.
#[derive(Clone, PartialEq, Message)]
struct Group {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    members: Vec<Member>,
}

#[derive(Clone, PartialEq, Message)]
struct Member {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Field {
    #[prost(string, tag = "1")]
    name: String,
    /// Of an extension: the message that it extends, behind a dot.
    #[prost(string, tag = "2")]
    extendee: String,
    #[prost(int32, tag = "3")]
    number: i32,
}

/// Files by what is asked for: each value is the place of one in `files`.
#[derive(Default)]
struct Descriptors {
    files: Vec<Vec<u8>>,
    names: HashMap<String, usize>,
    symbols: HashMap<String, usize>,
    extensions: HashMap<(String, i32), usize>,
}

impl Descriptors {
    fn of(set: &[u8]) -> Self {
        let mut all = Descriptors { files: Set::decode(set).unwrap_or_default().files, ..Self::default() };
        let files: Vec<File> = all.files.iter().map(|file| File::decode(&**file).unwrap_or_default()).collect();
        for (at, file) in files.into_iter().enumerate() {
            let scope = file.package;
            file.messages.iter().for_each(|message| all.add_message(&scope, message, at));
            file.enums.iter().for_each(|group| all.add_enum(&scope, group, at));
            for service in &file.services {
                let name = all.add(&scope, &service.name, at);
                service.members.iter().for_each(|method| _ = all.add(&name, &method.name, at));
            }
            all.add_extensions(&scope, &file.extensions, at);
            all.names.insert(file.name, at);
        }
        all
    }

    fn add(&mut self, scope: &str, name: &str, at: usize) -> String {
        let name = format!("{scope}.{name}");
        self.symbols.insert(name.clone(), at);
        name
    }

    fn add_message(&mut self, scope: &str, message: &DescribedMessage, at: usize) {
        let name = self.add(scope, &message.name, at);
        message.fields.iter().for_each(|field| _ = self.add(&name, &field.name, at));
        message.messages.iter().for_each(|inner| self.add_message(&name, inner, at));
        message.enums.iter().for_each(|group| self.add_enum(&name, group, at));
        self.add_extensions(&name, &message.extensions, at);
    }

    /// The values of an enum stand beside it.
    fn add_enum(&mut self, scope: &str, group: &Group, at: usize) {
        self.add(scope, &group.name, at);
        group.members.iter().for_each(|value| _ = self.add(scope, &value.name, at));
    }

    fn add_extensions(&mut self, scope: &str, extensions: &[Field], at: usize) {
        for extension in extensions {
            self.add(scope, &extension.name, at);
            let extended = extension.extendee.trim_start_matches('.').to_owned();
            self.extensions.insert((extended, extension.number), at);
        }
    }

    fn file(&self, at: Option<&usize>) -> Option<Vec<u8>> {
        at.and_then(|at| self.files.get(*at)).cloned()
    }
}

/// The file of this name.
pub(super) fn by_name(name: &str) -> Option<Vec<u8>> {
    SERVED.file(SERVED.names.get(name))
}

/// The file with a symbol: a service, a message, an enum, an extension, or what is in one of these.
pub(super) fn by_symbol(symbol: &str) -> Option<Vec<u8>> {
    SERVED.file(SERVED.symbols.get(symbol))
}

/// The file with an extension of a message.
pub(super) fn by_extension(message: &str, number: i32) -> Option<Vec<u8>> {
    SERVED.file(SERVED.extensions.get(&(message.to_owned(), number)))
}

/// The numbers of all extensions of a message, in ascending order; `None` if there is no such message.
pub(super) fn extension_numbers(message: &str) -> Option<BTreeSet<i32>> {
    let numbers = || SERVED.extensions.keys().filter(|(extended, _)| extended == message).map(|(_, number)| *number);
    SERVED.symbols.contains_key(message).then(|| numbers().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(file: Option<Vec<u8>>) -> Option<String> {
        file.map(|file| File::decode(&*file).expect("a file").name)
    }

    /// `google.protobuf.FileDescriptorProto.dependency`.
    #[derive(Clone, PartialEq, Message)]
    struct Imports {
        #[prost(string, repeated, tag = "3")]
        files: Vec<String>,
    }

    #[test]
    fn each_service_is_described_with_all_that_its_file_imports() {
        let mut open: Vec<Vec<u8>> = SERVICES.map(|service| by_symbol(service).expect(service)).to_vec();
        let mut seen = BTreeSet::new();
        while let Some(file) = open.pop() {
            seen.insert(File::decode(&*file).expect("a file").name);
            for import in Imports::decode(&*file).expect("a file").files {
                open.push(by_name(&import).unwrap_or_else(|| panic!("{import} is missing")));
            }
        }
        assert_eq!(seen, SERVED.names.keys().cloned().collect(), "and nothing else");
        assert_eq!(seen.len(), SERVED.files.len());
    }

    #[test]
    fn a_file_is_found_by_each_kind_of_symbol() {
        let auth = "envoy/service/auth/v3/external_auth.proto";
        for (symbol, file) in [
            ("envoy.service.auth.v3.Authorization", auth),
            ("envoy.service.auth.v3.Authorization.Check", auth),
            ("envoy.service.auth.v3.CheckRequest", auth),
            ("envoy.service.auth.v3.CheckRequest.attributes", auth),
            ("envoy.service.auth.v3.AttributeContext.HttpRequest", "envoy/service/auth/v3/attribute_context.proto"),
            ("envoy.type.v3.StatusCode", "envoy/type/v3/http_status.proto"),
            ("envoy.type.v3.Forbidden", "envoy/type/v3/http_status.proto"),
            ("validate.rules", "validate/validate.proto"),
            ("grpc.health.v1.HealthCheckResponse.ServingStatus", "grpc/health/v1/health.proto"),
            ("grpc.health.v1.HealthCheckResponse.NOT_SERVING", "grpc/health/v1/health.proto"),
        ] {
            assert_eq!(named(by_symbol(symbol)).as_deref(), Some(file), "{symbol}");
            assert_eq!(by_symbol(symbol), by_name(file));
        }
        for symbol in ["", "grpc.health.v1", "grpc.health.v1.Health.Other", "shop.Orders", ".grpc.health.v1.Health"] {
            assert_eq!(by_symbol(symbol), None, "{symbol}");
        }
        assert_eq!(by_name("shop.proto"), None);
    }

    #[test]
    fn a_file_is_found_by_an_extension() {
        let rules = extension_numbers("google.protobuf.FieldOptions").expect("a message");
        assert!(rules.contains(&1071), "{rules:?}");
        assert_eq!(
            named(by_extension("google.protobuf.FieldOptions", 1071)).as_deref(),
            Some("validate/validate.proto")
        );
        assert_eq!(by_extension("google.protobuf.FieldOptions", 1), None);
        assert_eq!(extension_numbers("grpc.health.v1.HealthCheckRequest"), Some(BTreeSet::new()));
        assert_eq!(extension_numbers("shop.Orders"), None);
    }
}
