//! `POST /v1/rabbitmq/{required}/{question}`.

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::schema;

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "the description of a path")]
pub(crate) struct RabbitMqPath {
    /// What a key needs, as a gateway's route says it.
    #[param(value_type = schema::Required)]
    required: String,
    /// `user`, `vhost`, `resource` or `topic`.
    #[param(pattern = "^(user|vhost|resource|topic)$")]
    question: String,
}

/// What RabbitMQ sends that counts here. Other fields are ignored.
#[derive(Deserialize, ToSchema)]
pub(crate) struct RabbitMqRequest {
    /// The key's app, its id, or its metadata `username`; or the API key itself.
    #[schema(min_length = 1)]
    pub(crate) username: String,
    /// The API key.
    #[schema(required = false)]
    #[serde(default)]
    pub(crate) password: String,
}
