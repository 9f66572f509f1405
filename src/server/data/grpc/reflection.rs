//! `grpc.reflection.v1`, and `v1alpha` of older clients: which services there are, and what they take, for people with
//! grpcurl.

mod descriptors;

use axum::{
    body::Body,
    http::{Request, Response},
};
use futures_util::{
    Stream, StreamExt,
    future::{self, Ready},
    stream::BoxStream,
};
use tonic::{
    Code, Status, Streaming,
    server::{Grpc, StreamingService},
};

use super::message::Messages;

pub(super) const V1: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
pub(super) const V1ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

/// The longest question.
const MAX_MESSAGE: usize = 64 << 10;

/// The most questions of one conversation.
const MAX_QUESTIONS: usize = 1_000;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ReflectionRequest {
    #[prost(string, tag = "1")]
    host: String,
    #[prost(oneof = "Question", tags = "3, 4, 5, 6, 7")]
    question: Option<Question>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Question {
    #[prost(string, tag = "3")]
    FileByFilename(String),
    #[prost(string, tag = "4")]
    FileContainingSymbol(String),
    #[prost(message, tag = "5")]
    FileContainingExtension(Extension),
    #[prost(string, tag = "6")]
    AllExtensionNumbersOfType(String),
    #[prost(string, tag = "7")]
    ListServices(String),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Extension {
    #[prost(string, tag = "1")]
    message: String,
    #[prost(int32, tag = "2")]
    number: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ReflectionResponse {
    #[prost(string, tag = "1")]
    valid_host: String,
    #[prost(message, optional, tag = "2")]
    original_request: Option<ReflectionRequest>,
    #[prost(oneof = "Told", tags = "4, 5, 6, 7")]
    told: Option<Told>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Told {
    #[prost(message, tag = "4")]
    Files(Files),
    #[prost(message, tag = "5")]
    ExtensionNumbers(ExtensionNumbers),
    #[prost(message, tag = "6")]
    Services(Services),
    #[prost(message, tag = "7")]
    Error(ErrorResponse),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Files {
    #[prost(bytes = "vec", repeated, tag = "1")]
    descriptors: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ExtensionNumbers {
    #[prost(string, tag = "1")]
    message: String,
    #[prost(int32, repeated, tag = "2")]
    numbers: Vec<i32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Services {
    #[prost(message, repeated, tag = "1")]
    services: Vec<Service>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ErrorResponse {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

struct Reflection;

impl StreamingService<ReflectionRequest> for Reflection {
    type Response = ReflectionResponse;
    type ResponseStream = BoxStream<'static, Result<ReflectionResponse, Status>>;
    type Future = Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<ReflectionRequest>>) -> Self::Future {
        future::ready(Ok(tonic::Response::new(answers(request.into_inner()).boxed())))
    }
}

fn answers(questions: Streaming<ReflectionRequest>) -> impl Stream<Item = Result<ReflectionResponse, Status>> {
    questions.take(MAX_QUESTIONS).map(|question| question.map(response))
}

fn response(asked: ReflectionRequest) -> ReflectionResponse {
    let told = match &asked.question {
        Some(Question::ListServices(_)) => {
            let service = |name: &str| Service { name: name.to_owned() };
            Told::Services(Services { services: descriptors::SERVICES.into_iter().map(service).collect() })
        }
        Some(Question::FileByFilename(name)) => file(descriptors::by_name(name)),
        Some(Question::FileContainingSymbol(symbol)) => file(descriptors::by_symbol(symbol)),
        Some(Question::FileContainingExtension(extension)) => {
            file(descriptors::by_extension(&extension.message, extension.number))
        }
        Some(Question::AllExtensionNumbersOfType(message)) => match descriptors::extension_numbers(message) {
            Some(numbers) => Told::ExtensionNumbers(ExtensionNumbers {
                message: message.clone(),
                numbers: numbers.into_iter().collect(),
            }),
            None => file(None),
        },
        None => file(None),
    };
    ReflectionResponse { valid_host: asked.host.clone(), original_request: Some(asked), told: Some(told) }
}

fn file(found: Option<Vec<u8>>) -> Told {
    match found {
        Some(descriptor) => Told::Files(Files { descriptors: vec![descriptor] }),
        None => Told::Error(ErrorResponse { code: Code::NotFound.into(), message: "there is none".to_owned() }),
    }
}

pub(super) async fn answer(request: Request<Body>) -> Response<tonic::body::Body> {
    Grpc::new(Messages::default())
        .apply_max_message_size_config(Some(MAX_MESSAGE), None)
        .streaming(Reflection, request)
        .await
}
