//! The question that every helper asks: `/v1/authorize` of a data plane.

use clap::Args;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::cli::{
    client::{Client, ClientError, ServerArgument},
    failure::Failure,
};

/// What a path segment cannot hold as it is. `%` is passed through: values are percent-encoded already, as a gateway's
/// route writes them.
const NOT_IN_SEGMENT: AsciiSet =
    CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'`').add(b'/');

#[derive(Args)]
pub(super) struct AuthorizeArguments {
    /// What a key needs, as a gateway's route says it: realm:live,scope:orders.read
    #[arg(long, value_name = "REQUIRED", default_value = "-")]
    require: String,
    #[command(flatten)]
    server: ServerArgument,
}

/// A data plane that is asked whether requests may pass.
pub(super) struct Authorizer {
    client: Client,
    path: String,
}

/// The answer.
pub(super) struct Decision {
    pub(super) status: u16,
    pub(super) challenge: Option<String>,
    /// The identity headers in lower case, where it may pass.
    pub(super) identity: Vec<(String, String)>,
}

impl AuthorizeArguments {
    /// Asks the server, or the one that listens where the default configuration says.
    pub(super) fn authorizer(&self) -> Result<Authorizer, Failure> {
        let client = self.server.anonymous()?.unwrap_or_else(|| Client::anonymous("http://127.0.0.1:8181"));
        Ok(Authorizer { client, path: path(&self.require) })
    }
}

fn path(require: &str) -> String {
    format!("/v1/authorize/{}", utf8_percent_encode(require, &NOT_IN_SEGMENT))
}

impl Authorizer {
    /// Asks about a request with these headers.
    pub(super) fn ask(&self, headers: &[(String, String)]) -> Result<Decision, ClientError> {
        let answer = self.client.ask(&self.path, headers)?;
        let text = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let identity = answer.headers().iter().filter(|(name, _)| name.as_str().starts_with("x-bulla-"));
        let identity = identity.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
        Ok(Decision {
            status: answer.status().as_u16(),
            challenge: text("www-authenticate"),
            identity: identity.collect(),
        })
    }
}

impl Decision {
    /// The app of the key.
    pub(super) fn app_id(&self) -> &str {
        self.identity.iter().find(|(name, _)| name == "x-bulla-app-id").map_or("", |(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_one_segment_whose_values_stay_as_they_are_encoded() {
        let encoded = "realm:live,aud:https%3A%2F%2Fshop%2Ca";
        assert_eq!(path(encoded), format!("/v1/authorize/{encoded}"));
        assert_eq!(path("scope:a/../b?c#d e"), "/v1/authorize/scope:a%2F..%2Fb%3Fc%23d%20e");
    }
}
